import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { GpuDevice } from '../../src/gpu/device.ts';
import { type ReferenceWeights, referenceForward } from '../../src/gpu/reference/forward.ts';
import { unpackRows } from '../../src/gpu/reference/weights.ts';
import { sampleToken, TokenHistory } from '../../src/gpu/sampler.ts';
import type { StageEngine } from '../../src/gpu/stage-engine.ts';
import { createStageEngine } from '../../src/gpu/transformer.ts';
import { FALLBACK_TUNING } from '../../src/gpu/tuning.ts';
import { packRows } from '../../src/gpu/weight-format.ts';
import type { FileDtype } from '../../src/model/fetch/manifest.ts';
import { GREEDY, type SamplingParams } from '../../src/model/sampling.ts';
import type { Quantization } from '../../src/model/shard.ts';
import type { ModelSpec } from '../../src/model/spec.ts';
import { wholeModel } from '../../src/model/tensors.ts';
import { formatOf } from '../../src/model/weight-layout.ts';
import { openDevice, testShaders } from '../support/gpu.ts';
import { ODD_SPEC, seededTensors } from '../support/seeded-model.ts';

/** The whole model against its CPU twin in f64, on the very weights that the GPU holds. */

const IDS = Array.from({ length: 37 }, (_, i) => (i * 41 + 3) % ODD_SPEC.vocab);

interface Case {
  readonly name: string;
  readonly spec: ModelSpec;
  readonly dtype: FileDtype;
  readonly quantization: Quantization;
}
const CASES: readonly Case[] = [
  { name: 'f32', spec: ODD_SPEC, dtype: 'F32', quantization: 'native' },
  { name: 'f16 as it is', spec: ODD_SPEC, dtype: 'F16', quantization: 'native' },
  {
    name: 'biases, q/k norm, linear RoPE, untied',
    spec: {
      ...ODD_SPEC,
      hidden: 52,
      heads: 4,
      kvHeads: 2,
      headDim: 14,
      qkvBias: true,
      oBias: true,
      mlpBias: true,
      qkNorm: true,
      tiedEmbeddings: false,
      rope: { theta: 10_000, scaling: { type: 'linear', factor: 4 } },
    },
    dtype: 'BF16',
    quantization: 'native',
  },
  { name: 'q8', spec: ODD_SPEC, dtype: 'F16', quantization: 'q8' },
  { name: 'q4', spec: ODD_SPEC, dtype: 'F32', quantization: 'q4' },
];

let device: GpuDevice;
beforeAll(async () => {
  device = await openDevice();
});
afterAll(() => device.destroy());

async function weightsOnGpu({ spec, dtype, quantization }: Case): Promise<ReferenceWeights> {
  const weights = new Map<string, ArrayLike<number>>();
  for await (const tensor of seededTensors(spec, wholeModel(spec), dtype)) {
    const [rows = 1, k = rows] = tensor.shape.length === 1 ? [1, tensor.shape[0]!] : tensor.shape;
    const lookup = tensor.name.includes('embed') || tensor.name.includes('lm_head');
    const storage = {
      quantization: tensor.shape.length === 1 ? 'native' : quantization,
      dtype,
      expandF16: false,
    };
    const format = formatOf(storage, lookup);
    weights.set(tensor.name, unpackRows(packRows(tensor.bytes, dtype, rows, k, format), format, rows, k));
  }
  return weights;
}

async function engineOf({ spec, dtype, quantization }: Case): Promise<StageEngine> {
  const shard = wholeModel(spec);
  return createStageEngine({
    device,
    shaders: await testShaders(),
    spec,
    shard,
    weights: seededTensors(spec, shard, dtype),
    quantization,
    kvBudgetBytes: 4e6,
    tuning: { ...FALLBACK_TUNING, expandF16: false },
  });
}

const rowsOf = (position: number, count: number, sample = false) => ({
  entries: [{ sequence: 1, position, count, sample }],
  wire: 'f32' as const,
  tokens: Uint32Array.from(IDS.slice(position, position + count)),
});

describe.each(CASES)('$name', (testCase) => {
  it('logits on every position within 1e-4', async () => {
    const { spec } = testCase;
    const engine = await engineOf(testCase);
    engine.openSequence(1, { maxPositions: IDS.length, sampling: GREEDY });
    const actual = await engine.logits(rowsOf(0, IDS.length));
    const expected = referenceForward(spec, await weightsOnGpu(testCase), IDS);
    for (const [position, row] of expected.entries()) {
      let difference = 0;
      let norm = 0;
      for (const [i, value] of row.entries()) {
        difference += (actual[position * spec.vocab + i]! - value) ** 2;
        norm += value ** 2;
      }
      expect(Math.sqrt(difference / norm)).toBeLessThan(1e-4);
    }
    engine.destroy();
  });
});

it('rounding every layer to f16 costs little, and is what the twin does', async () => {
  const testCase = CASES[0]!;
  const engine = await engineOf(testCase);
  engine.openSequence(1, { maxPositions: IDS.length, sampling: GREEDY });
  const actual = await engine.logits({ ...rowsOf(0, IDS.length), wire: 'f16' });
  const weights = await weightsOnGpu(testCase);
  const distance = (rows: readonly Float64Array[]) => {
    const flat = rows.flatMap((row) => [...row]);
    const norm = Math.hypot(...flat);
    return Math.hypot(...flat.map((value, i) => actual[i]! - value)) / norm;
  };
  const rounded = distance(referenceForward(testCase.spec, weights, IDS, true));
  const plain = distance(referenceForward(testCase.spec, weights, IDS, false));
  expect(rounded).toBeLessThan(plain);
  expect(plain).toBeLessThan(1e-2);
  engine.destroy();
});

describe('sampling on the last stage', () => {
  const params: SamplingParams = {
    ...GREEDY,
    temperature: 0.9,
    topK: 50,
    topP: 0.95,
    repetitionPenalty: 1.3,
    frequencyPenalty: 0.5,
    seed: 42,
  };

  it('draws from its logits with the noted ids, keyed by position, beside a greedy sequence', async () => {
    const engine = await engineOf(CASES[0]!);
    engine.openSequence(1, { maxPositions: 64, sampling: params });
    engine.openSequence(2, { maxPositions: 64, sampling: GREEDY });
    engine.note(1, 0, Uint32Array.from(IDS), true);
    const { sampled } = await engine.step({
      entries: [
        { sequence: 1, position: 0, count: 30, sample: true },
        { sequence: 2, position: 0, count: 30, sample: true },
      ],
      wire: 'f32',
      tokens: Uint32Array.from([...IDS.slice(0, 30), ...IDS.slice(0, 30)]),
    });
    engine.openSequence(3, { maxPositions: 64, sampling: GREEDY });
    const logits = await engine.logits({
      ...rowsOf(0, 30),
      entries: [{ sequence: 3, position: 0, count: 30, sample: false }],
    });
    const last = logits.slice(29 * ODD_SPEC.vocab);
    expect(sampled![1]).toBe(last.indexOf(Math.max(...last)));
    const history = new TokenHistory();
    history.note(0, IDS, true);
    expect(sampled![0]).toBe(sampleToken(last.slice(), params, history, 30));
    engine.destroy();
  });

  it('a resumed generation goes on with the same ids', async () => {
    const engine = await engineOf(CASES[0]!);
    const generate = async (sequence: number, start: readonly number[], until: number) => {
      const ids = [...start];
      let position = 0;
      while (ids.length < until) {
        const count = ids.length - position;
        const { sampled } = await engine.step({
          entries: [{ sequence, position, count, sample: true }],
          wire: 'f32',
          tokens: Uint32Array.from(ids.slice(position)),
        });
        position += count;
        ids.push(sampled![0]!);
      }
      return ids;
    };
    const prompt = IDS.slice(0, 9);
    engine.openSequence(1, { maxPositions: 64, sampling: params });
    engine.note(1, 0, Uint32Array.from(prompt), true);
    const whole = await generate(1, prompt, 40);
    engine.openSequence(2, { maxPositions: 64, sampling: params });
    engine.note(2, 0, Uint32Array.from(prompt), true);
    engine.note(2, 9, Uint32Array.from(whole.slice(9, 25)), false);
    expect(await generate(2, whole.slice(0, 25), 40)).toEqual(whole);
    engine.openSequence(3, { maxPositions: 64, sampling: { ...params, seed: 43 } });
    engine.note(3, 0, Uint32Array.from(prompt), true);
    expect(await generate(3, prompt, 40)).not.toEqual(whole);
    engine.destroy();
  });
});
