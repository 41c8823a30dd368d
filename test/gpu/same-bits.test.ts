import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { GpuDevice } from '../../src/gpu/device.ts';
import type { StageEngine, WireDtype } from '../../src/gpu/stage-engine.ts';
import { createStageEngine } from '../../src/gpu/transformer.ts';
import { FALLBACK_TUNING, type Tuning } from '../../src/gpu/tuning.ts';
import type { FileDtype } from '../../src/model/fetch/manifest.ts';
import { GREEDY } from '../../src/model/sampling.ts';
import type { Quantization } from '../../src/model/shard.ts';
import type { ModelSpec } from '../../src/model/spec.ts';
import { openDevice, testShaders } from '../support/gpu.ts';
import { ODD_SPEC, seededTensors } from '../support/seeded-model.ts';

/** Invariant 2: a token's hidden state has the same bits in any company (docs/KERNELS.md, "One order of summation"). */

const LENGTH = 71;
const IDS = Uint32Array.from({ length: LENGTH }, (_, i) => (i * 37 + 11) % ODD_SPEC.vocab);
const OTHER_IDS = Uint32Array.from({ length: LENGTH }, (_, i) => (i * 91 + 5) % ODD_SPEC.vocab);

const WORKGROUP_TUNING: Tuning = {
  matmulFew: 'workgroup',
  matmulMany: 'workgroup',
  reduction: 'workgroup',
  threads: 64,
  expandF16: false,
};

interface Case {
  readonly name: string;
  readonly spec: ModelSpec;
  readonly dtype: FileDtype;
  readonly quantization: Quantization;
}

const wide: ModelSpec = {
  ...ODD_SPEC,
  hidden: 172,
  intermediate: 331,
  heads: 6,
  kvHeads: 3,
  headDim: 14,
  qkvBias: true,
  oBias: true,
  mlpBias: true,
  qkNorm: true,
};
const CASES: readonly Case[] = [
  { name: 'f32', spec: ODD_SPEC, dtype: 'F32', quantization: 'native' },
  { name: 'f16', spec: ODD_SPEC, dtype: 'F16', quantization: 'native' },
  { name: 'bf16', spec: ODD_SPEC, dtype: 'BF16', quantization: 'native' },
  { name: 'q8', spec: ODD_SPEC, dtype: 'F16', quantization: 'q8' },
  { name: 'q4', spec: ODD_SPEC, dtype: 'F16', quantization: 'q4' },
  { name: 'f16, biases, q/k norm', spec: wide, dtype: 'F16', quantization: 'native' },
  {
    name: 'f16, hidden 13',
    spec: { ...ODD_SPEC, hidden: 13, heads: 2, headDim: 8 },
    dtype: 'F16',
    quantization: 'native',
  },
];

describe.each(CASES)('same bits: $name', ({ spec, dtype, quantization }) => {
  let device: GpuDevice;
  let engine: StageEngine;
  let byWorkgroup: StageEngine;
  const shard = { start: 0, end: spec.layers, embedding: true, head: false };

  beforeAll(async () => {
    device = await openDevice();
    const engineOf = async (tuning: Tuning) =>
      createStageEngine({
        device,
        shaders: await testShaders(),
        spec,
        shard,
        weights: seededTensors(spec, shard, dtype),
        quantization,
        kvBudgetBytes: 4e6,
        tuning,
      });
    engine = await engineOf({ ...FALLBACK_TUNING, expandF16: false });
    byWorkgroup = await engineOf(WORKGROUP_TUNING);
  });
  afterAll(() => device.destroy());

  /** Hidden states of all positions, cut into chunks of `rows`. */
  const run = async (on: StageEngine, wire: WireDtype, rows: number, start = 0) => {
    const parts: Uint8Array[] = [];
    for (let position = start; position < LENGTH; position += rows) {
      const count = Math.min(rows, LENGTH - position);
      const { hidden } = await on.step({
        entries: [{ sequence: 1, position, count, sample: false }],
        wire,
        tokens: IDS.subarray(position, position + count),
      });
      parts.push(hidden!);
    }
    return Buffer.concat(parts);
  };
  const fresh = async (on: StageEngine, wire: WireDtype, rows: number) => {
    on.openSequence(1, { maxPositions: LENGTH, sampling: GREEDY });
    const bytes = await run(on, wire, rows);
    on.closeSequence(1);
    return bytes;
  };

  it.each(['f16', 'f32'] as const)('decode = chunks of 7 = chunks of 64, wire %s', async (wire) => {
    const decoded = await fresh(engine, wire, 1);
    expect(decoded.some((byte) => byte !== 0)).toBe(true);
    expect((await fresh(engine, wire, 7)).equals(decoded)).toBe(true);
    expect((await fresh(engine, wire, 64)).equals(decoded)).toBe(true);
  });

  it('the workgroup kernels give the bits of the thread kernels', async () => {
    const decoded = await fresh(engine, 'f32', 1);
    expect((await fresh(byWorkgroup, 'f32', 1)).equals(decoded)).toBe(true);
    expect((await fresh(byWorkgroup, 'f32', 64)).equals(decoded)).toBe(true);
  });

  it('f16 weights stored as f32 give the same bits', async () => {
    const expanded = await createStageEngine({
      device,
      shaders: await testShaders(),
      spec,
      shard,
      weights: seededTensors(spec, shard, dtype),
      quantization,
      kvBudgetBytes: 4e6,
      tuning: { ...FALLBACK_TUNING, expandF16: true },
    });
    expect((await fresh(expanded, 'f32', 64)).equals(await fresh(engine, 'f32', 64))).toBe(true);
    expanded.destroy();
  });

  it('beside another sequence', async () => {
    const alone = await fresh(engine, 'f32', 64);
    engine.openSequence(2, { maxPositions: LENGTH, sampling: GREEDY });
    engine.openSequence(1, { maxPositions: LENGTH, sampling: GREEDY });
    const rowBytes = spec.hidden * 4;
    const parts: Uint8Array[] = [];
    for (let position = 0; position < LENGTH; position += 9) {
      const count = Math.min(9, LENGTH - position);
      const ids = [OTHER_IDS, IDS].flatMap((all) => [...all.subarray(position, position + count)]);
      const { hidden } = await engine.step({
        entries: [2, 1].map((sequence) => ({ sequence, position, count, sample: false })),
        wire: 'f32',
        tokens: Uint32Array.from(ids),
      });
      parts.push(hidden!.subarray(count * rowBytes));
    }
    expect(Buffer.concat(parts).equals(alone)).toBe(true);
    engine.closeSequence(1);
    engine.closeSequence(2);
  });

  it.each(['f16', 'f32'] as const)('layer by layer, out and in again, wire %s', async (wire) => {
    const whole = await fresh(engine, wire, 64);
    const alone = { start: 1, end: 2, embedding: false, head: false };
    const second = await createStageEngine({
      device,
      shaders: await testShaders(),
      spec,
      shard: alone,
      weights: seededTensors(spec, alone, dtype),
      quantization,
      kvBudgetBytes: 4e6,
      tuning: { ...FALLBACK_TUNING, expandF16: false },
    });
    const options = { maxPositions: LENGTH, sampling: GREEDY };
    // Two sequences of one engine, since a sequence is of the same layers for as long as it holds positions.
    for (const sequence of [1, 2]) engine.openSequence(sequence, options);
    second.openSequence(1, options);
    const parts: Buffer[] = [];
    for (let position = 0; position < LENGTH; position += 9) {
      const count = Math.min(9, LENGTH - position);
      const entryOf = (sequence: number) => [{ sequence, position, count, sample: false }];
      const tokens = IDS.subarray(position, position + count);
      const between = await engine.step({ entries: entryOf(1), wire, tokens, layers: [0, 1] });
      const onward = { wire, hidden: between.hidden! };
      const { hidden } = await engine.step({ ...onward, entries: entryOf(2), layers: [1, 2] });
      expect((await second.step({ ...onward, entries: entryOf(1) })).hidden).toEqual(hidden);
      parts.push(Buffer.from(hidden!));
    }
    expect(Buffer.concat(parts).equals(whole)).toBe(true);
    for (const sequence of [1, 2]) engine.closeSequence(sequence);
    second.destroy();
  });

  it('after truncate and replay', async () => {
    engine.openSequence(1, { maxPositions: LENGTH, sampling: GREEDY });
    const first = await run(engine, 'f16', 64);
    engine.truncate(1, 33);
    const replayed = await run(engine, 'f16', 5, 33);
    expect(replayed.equals(first.subarray(33 * spec.hidden * 2))).toBe(true);
    engine.closeSequence(1);
  });
});
