import { describe, expect, it } from 'vitest';
import { checkBudget, reservedBytes } from '../../src/gpu/budget.ts';
import type { FileDtype } from '../../src/model/fetch/manifest.ts';
import { kvBytes, scratchBytes } from '../../src/model/gpu-bytes.ts';
import type { Quantization, Shard } from '../../src/model/shard.ts';
import type { ModelSpec } from '../../src/model/spec.ts';
import { wholeModel } from '../../src/model/tensors.ts';
import { shardWeightBytes, type WeightStorage } from '../../src/model/weight-layout.ts';
import { headMacs, layerMacs, modelCosts } from '../../src/schedule/costs.ts';
import { layout } from '../../src/schedule/layout/layout.ts';
import type { WorkerView } from '../../src/schedule/mesh-view.ts';
import { kvBudgetBytes } from '../../src/worker/kv-budget.ts';
import { PLAIN_LLAMA } from '../support/plain-llama.ts';

const SPEC: ModelSpec = {
  layers: 8,
  hidden: 256,
  intermediate: 640,
  heads: 8,
  kvHeads: 4,
  headDim: 32,
  vocab: 2_048,
  contextLength: 512,
  ...PLAIN_LLAMA,
  bosTokenId: 1,
  eosTokenIds: [2],
};

const workerOf = (id: string, memoryBytes: number, over: Partial<WorkerView> = {}): WorkerView => ({
  id,
  class: null,
  macsPerSecond: 1,
  rateIs: 'probed',
  memoryBytes,
  maxBufferBytes: 1e12,
  isFallback: false,
  trusted: false,
  held: [],
  cached: [],
  ...over,
});
/** Over all workers, as far as the layers go. */
const place = (costs: ReturnType<typeof modelCosts>, workers: readonly WorkerView[]) =>
  layout({ costs, workers, rtt: () => 0, options: { minStages: workers.length, replicaGoal: 1 } });

describe('modelCosts', () => {
  it('counts multiply-accumulates as the matrices have weights', () => {
    expect(layerMacs(SPEC)).toBe(256 * 256 + 2 * 256 * 128 + 256 * 256 + 3 * 256 * 640);
    expect(headMacs(SPEC)).toBe(256 * 2_048);
  });

  it('counts keys and values of a full sequence in f32', () => {
    expect(kvBytes(SPEC, 1, SPEC.contextLength)).toBe(2 * 4 * 32 * 512 * 4);
  });

  it.each([true, false])('adds up to the model’s own bytes on one worker (tied %s)', (tiedEmbeddings) => {
    const spec = { ...SPEC, tiedEmbeddings };
    for (const [dtype, quantization] of [
      ['F16', 'native'],
      ['F32', 'native'],
      ['F16', 'q8'],
    ] as const) {
      const costs = modelCosts(spec, dtype, quantization);
      const placement = place(costs, [workerOf('a', 1e12)]);
      if (placement.kind !== 'placed') throw new Error(placement.detail);
      const shard = wholeModel(spec);
      expect(placement.holdings[0]!.bytes).toBe(
        shardWeightBytes(spec, shard, { dtype, quantization, expandF16: false }) +
          kvBytes(spec, spec.layers, spec.contextLength) +
          scratchBytes(spec, true),
      );
      const macs = spec.layers * layerMacs(spec) + headMacs(spec);
      expect(placement.tokenSeconds).toBeCloseTo(macs, 3);
    }
  });

  it('keeps the ends at 8 bits where the layers have 4', () => {
    const [q4, q8] = [modelCosts(SPEC, 'F16', 'q4'), modelCosts(SPEC, 'F16', 'q8')];
    expect(q4.embedding).toEqual(q8.embedding);
    expect(q4.layers[0]!.bytes).toBeLessThan(q8.layers[0]!.bytes);
  });
});

describe('what is placed loads', () => {
  const specs: [string, ModelSpec][] = [
    ['even widths, tied', SPEC],
    [
      'odd widths, biases, untied',
      {
        ...SPEC,
        layers: 5,
        hidden: 50,
        intermediate: 75,
        heads: 5,
        kvHeads: 1,
        headDim: 10,
        vocab: 307,
        contextLength: 130,
        qkvBias: true,
        oBias: true,
        mlpBias: true,
        qkNorm: true,
        tiedEmbeddings: false,
      },
    ],
    [
      'the sizes of Llama 3.2 1B',
      { ...SPEC, layers: 16, hidden: 2_048, intermediate: 8_192, heads: 32, kvHeads: 8, headDim: 64 },
    ],
    ['the context and vocabulary of a large model', { ...SPEC, vocab: 128_256, contextLength: 8_192 }],
  ];
  const formats: [FileDtype, Quantization][] = [
    ['F32', 'native'],
    ['F16', 'native'],
    ['BF16', 'native'],
    ['F16', 'q8'],
    ['F16', 'q4'],
  ];
  const limits = { maxBufferBytes: 2 ** 28, maxStorageBindingBytes: 2 ** 27 };

  /** The engine's own check, with the KV budget that a worker gives it. */
  function load(spec: ModelSpec, shard: Shard, storage: WeightStorage, budgetBytes: number): void {
    const { quantization, dtype, expandF16 } = storage;
    const entry = { file: 'f', start: 0, end: 1, dtype, shape: [1, 1], sha256: '' };
    const manifest = { spec, tensors: { any: entry } };
    const kv = kvBudgetBytes(manifest, { shard, quantization, budgetBytes }, { expandF16 }, limits);
    const budget = {
      spec,
      shard,
      quantization,
      expandF16,
      memoryBudgetBytes: budgetBytes,
      reservedBytes: reservedBytes({ limits }, spec, shard, kv),
    };
    checkBudget(budget, dtype);
  }

  it.each(specs)('to the byte, whatever the format and the worker: %s', (_, spec) => {
    for (const [dtype, quantization] of formats) {
      const costs = modelCosts(spec, dtype, quantization);
      for (const expands of [
        [false, false],
        [true, true],
        [true, false],
      ]) {
        const workers = (memoryBytes: number) =>
          expands.map((storesF16AsF32, i) =>
            workerOf(`${i}`, memoryBytes, { maxBufferBytes: limits.maxStorageBindingBytes, storesF16AsF32 }),
          );
        // The least budget that is placed: it leaves no slack in which a difference could hide.
        let [fails, fits] = [0, 2 ** 40];
        while (fits - fails > 1) {
          const middle = Math.floor((fails + fits) / 2);
          if (place(costs, workers(middle)).kind === 'placed') fits = middle;
          else fails = middle;
        }
        let full = 0;
        for (const budget of [fits, fits + 1, ...[1.01, 1.3, 2, 10].map((more) => Math.ceil(fits * more))]) {
          const placement = place(costs, workers(budget));
          if (placement.kind !== 'placed') throw new Error(placement.detail);
          for (const { worker, start, end, bytes } of placement.holdings) {
            const shard = { start, end, embedding: start === 0, head: end === spec.layers };
            const storage = { dtype, quantization, expandF16: expands[Number(worker)]! };
            expect(() => load(spec, shard, storage, budget)).not.toThrow();
            if (bytes !== budget) continue;
            full++;
            expect(() => load(spec, shard, storage, bytes - 1)).toThrow(/this device allows/);
          }
        }
        expect(full).toBeGreaterThan(0);
      }
    }
  });

  it('counts f16 twice where a worker stores it as f32, and only there', () => {
    const [f16, f32] = [modelCosts(SPEC, 'F16', 'native'), modelCosts(SPEC, 'F32', 'native')];
    expect(f16.expanded).toEqual(f32);
    expect(f16.layers[0]!.bytes).toBeLessThan(f32.layers[0]!.bytes);
    expect(modelCosts(SPEC, 'F16', 'q8').expanded).toBeUndefined();
    expect(modelCosts(SPEC, 'BF16', 'native').expanded).toBeUndefined();
    const all = place(f32, [workerOf('a', 1e12)]);
    const memoryBytes = all.kind === 'placed' ? all.holdings[0]!.bytes - 1 : 0;
    expect(place(f16, [workerOf('a', memoryBytes)]).kind).toBe('placed');
    expect(place(f16, [workerOf('a', memoryBytes, { storesF16AsF32: true })])).toMatchObject({
      kind: 'does-not-fit',
      neededBytes: memoryBytes + 1,
    });
  });
});
