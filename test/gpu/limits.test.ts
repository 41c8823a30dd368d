import { readdir } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { MAX_SEQUENCES_PER_STAGE } from '../../src/config/limits.ts';
import { type GpuDevice, requestDevice } from '../../src/gpu/device.ts';
import { KernelCompiler } from '../../src/gpu/kernels.ts';
import { expandShader, SHADER_FILES } from '../../src/gpu/shaders.ts';
import type { StageEngine } from '../../src/gpu/stage-engine.ts';
import { createStageEngine, type StageEngineOptions } from '../../src/gpu/transformer.ts';
import type { LoadedTensor } from '../../src/model/fetch/manifest.ts';
import { GREEDY } from '../../src/model/sampling.ts';
import { wholeModel } from '../../src/model/tensors.ts';
import { openDevice, testShaders } from '../support/gpu.ts';
import { encode, ODD_SPEC, seededTensors } from '../support/seeded-model.ts';

const shard = wholeModel(ODD_SPEC);
/** Kernels are compiled once a device, so the tests share one; those that break a device open their own. */
let device: GpuDevice;
const engines: StageEngine[] = [];

beforeAll(async () => {
  device = await openDevice();
});
afterEach(() => {
  for (const engine of engines.splice(0)) engine.destroy();
  expect(device.liveBuffers).toBe(0);
});
afterAll(() => device.destroy());

async function engineWith(options: Partial<StageEngineOptions> = {}): Promise<StageEngine> {
  const engine = await createStageEngine({
    device,
    shaders: await testShaders(),
    spec: ODD_SPEC,
    shard,
    weights: seededTensors(ODD_SPEC, shard),
    quantization: 'native',
    kvBudgetBytes: 2e6,
    ...options,
  });
  engines.push(engine);
  return engine;
}

/** Changes the tensors of a name. */
async function* altered(
  name: string,
  change: (tensor: LoadedTensor) => readonly LoadedTensor[],
): AsyncIterable<LoadedTensor> {
  for await (const tensor of seededTensors(ODD_SPEC, shard)) {
    yield* tensor.name === name ? change(tensor) : [tensor];
  }
}

const prompt = Uint32Array.from({ length: 20 }, (_, i) => (i * 53 + 2) % ODD_SPEC.vocab);
const row = (position: number, count: number) => ({
  entries: [{ sequence: 1, position, count, sample: true }],
  wire: 'f32' as const,
  tokens: prompt.subarray(position, position + count),
});

describe('device limits', () => {
  it('computes in tiles and groups of rows what exceeds a binding, with the same result', async () => {
    const ids = Uint32Array.from({ length: 100 }, (_, i) => (i * 53 + 2) % ODD_SPEC.vocab);
    const chunk = (start: number, end: number, sample: boolean) => ({
      entries: [{ sequence: 1, position: start, count: end - start, sample }],
      wire: 'f32' as const,
      tokens: ids.subarray(start, end),
    });
    const logitsOf = async (engine: StageEngine) => {
      engine.openSequence(1, { maxPositions: 100, sampling: GREEDY });
      const first = await engine.logits(chunk(0, 64, false));
      return [...first, ...(await engine.logits(chunk(64, 100, false)))];
    };
    const expected = await logitsOf(await engineWith());
    // The embedding has 307 rows of 256 bytes: four tiles; logits fit 16 rows, attention over four pages 15.
    const small = await openDevice({ maxStorageBindingBytes: 20_000 });
    const tiled = await engineWith({ device: small });
    expect(await logitsOf(tiled)).toEqual(expected);
    tiled.truncate(1, 0);
    await tiled.step(chunk(0, 64, false));
    const { sampled } = await tiled.step(chunk(64, 100, true));
    const last = expected.slice(99 * ODD_SPEC.vocab);
    expect(sampled![0]).toBe(last.indexOf(Math.max(...last)));
    tiled.destroy();
    expect(small.liveBuffers).toBe(0);
    small.destroy();
  });

  it('refuses a shard beyond the memory budget before allocating, with numbers and a remedy', async () => {
    const refused = engineWith({ memoryBudgetBytes: 1_200_000 });
    await expect(refused).rejects.toMatchObject({
      code: 'SHARD_TOO_LARGE',
      message: expect.stringMatching(/layers 0–1 need .* MB .*allows 1\.2 MB; /),
    });
  });

  it('refuses a KV budget below one page', async () => {
    await expect(engineWith({ kvBudgetBytes: 1_000 })).rejects.toMatchObject({ code: 'SHARD_TOO_LARGE' });
  });

  it('refuses sequences beyond the pages, and takes them again when one has ended', async () => {
    // One page of two layers is 32 positions × (10 + 12) × 4 bytes × 2.
    const engine = await engineWith({ kvBudgetBytes: 3 * 5_632 });
    engine.openSequence(1, { maxPositions: 40, sampling: GREEDY });
    expect(() => engine.openSequence(2, { maxPositions: 40, sampling: GREEDY })).toThrow(
      expect.objectContaining({ code: 'KV_EXHAUSTED' }),
    );
    engine.closeSequence(1);
    engine.openSequence(2, { maxPositions: 96, sampling: GREEDY });
    engine.destroy();
  });

  it('opens no more sequences than its limit', async () => {
    const engine = await engineWith();
    for (let id = 0; id < 32; id++) engine.openSequence(id, { maxPositions: 32, sampling: GREEDY });
    expect(() => engine.openSequence(32, { maxPositions: 32, sampling: GREEDY })).toThrow(
      expect.objectContaining({ code: 'SEQUENCE_LIMIT' }),
    );
  });
});

describe('damaged weights', () => {
  const name = 'model.layers.1.mlp.up_proj.weight';

  it('names a missing tensor', async () => {
    await expect(engineWith({ weights: altered(name, () => []) })).rejects.toMatchObject({
      code: 'TENSOR_MISSING',
      param: name,
    });
    expect(device.liveBuffers).toBe(0);
  });

  it('names a tensor of the wrong shape, and frees what was loaded', async () => {
    const weights = altered(name, (tensor) => [{ ...tensor, shape: [75, 49] }]);
    await expect(engineWith({ weights })).rejects.toMatchObject({ code: 'TENSOR_SHAPE', param: name });
    expect(device.liveBuffers).toBe(0);
  });

  it('names a tensor whose bytes are too few', async () => {
    const weights = altered(name, (tensor) => [{ ...tensor, bytes: tensor.bytes.subarray(4) }]);
    await expect(engineWith({ weights })).rejects.toMatchObject({ code: 'TENSOR_SHAPE', param: name });
  });

  it('reports NaN as NON_FINITE', async () => {
    const weights = altered(name, (tensor) => {
      const values = new Float32Array(tensor.bytes.slice().buffer);
      values[7] = Number.NaN;
      return [{ ...tensor, bytes: encode(values, 'F32') }];
    });
    const engine = await engineWith({ weights });
    engine.openSequence(1, { maxPositions: 20, sampling: GREEDY });
    await expect(engine.step(row(0, 3))).rejects.toMatchObject({ code: 'NON_FINITE' });
  });

  it('reports values beyond f16 as F16_RANGE on an f16 wire, and computes them on an f32 wire', async () => {
    const weights = altered('model.layers.0.mlp.down_proj.weight', (tensor) => {
      const values = new Float32Array(tensor.bytes.slice().buffer).map((value) => value * 1e7);
      return [{ ...tensor, bytes: encode(values, 'F32') }];
    });
    const engine = await engineWith({ weights });
    engine.openSequence(1, { maxPositions: 20, sampling: GREEDY });
    await expect(engine.step({ ...row(0, 3), wire: 'f16' })).rejects.toMatchObject({ code: 'F16_RANGE' });
    engine.truncate(1, 0);
    const { sampled } = await engine.step(row(0, 3));
    expect(sampled).toHaveLength(1);
  });
});

describe('steps that cannot be', () => {
  it.each([
    ['an unknown sequence', { sequence: 9, position: 0, count: 1 }, 'SEQUENCE_UNKNOWN'],
    ['a gap', { sequence: 1, position: 3, count: 1 }, 'POSITION_GAP'],
    ['more than was reserved', { sequence: 1, position: 0, count: 20 }, 'KV_EXHAUSTED'],
    ['no rows', { sequence: 1, position: 0, count: 0 }, 'INVALID_REQUEST'],
  ])('%s', async (_, entry, code) => {
    const engine = await engineWith();
    engine.openSequence(1, { maxPositions: 10, sampling: GREEDY });
    const step = engine.step({
      entries: [{ ...entry, sample: false }],
      wire: 'f32',
      tokens: prompt.subarray(0, entry.count),
    });
    await expect(step).rejects.toMatchObject({ code });
    expect(engine.length(1)).toBe(0);
  });

  it('an id beyond the vocabulary', async () => {
    const engine = await engineWith();
    engine.openSequence(1, { maxPositions: 10, sampling: GREEDY });
    const step = engine.step({ ...row(0, 1), tokens: Uint32Array.of(ODD_SPEC.vocab) });
    await expect(step).rejects.toMatchObject({ code: 'INVALID_REQUEST' });
  });

  it.each([
    ['before the shard', [0, 2]],
    ['behind it', [1, 4]],
    ['none', [2, 2]],
    ['the wrong way round', [3, 1]],
    ['no numbers', [1.5, 2]],
  ] as const)('layers that the shard does not hold: %s', async (_, layers) => {
    const middle = { start: 1, end: 3, embedding: false, head: false };
    const spec = { ...ODD_SPEC, layers: 4 };
    const engine = await engineWith({ spec, shard: middle, weights: seededTensors(spec, middle) });
    engine.openSequence(1, { maxPositions: 10, sampling: GREEDY });
    const entries = [{ sequence: 1, position: 0, count: 1, sample: false }];
    const hidden = new Uint8Array(spec.hidden * 4);
    await expect(engine.step({ entries, wire: 'f32', hidden, layers })).rejects.toMatchObject({
      code: 'INVALID_REQUEST',
      message: expect.stringContaining('holds [1, 3)'),
    });
    expect(engine.length(1)).toBe(0);
  });

  it('other layers than those that computed what the sequence holds, until it holds nothing', async () => {
    const engine = await engineWith();
    engine.openSequence(1, { maxPositions: 10, sampling: GREEDY });
    const { hidden } = await engine.step({ ...row(0, 3), layers: [0, 1] });
    const second = { entries: row(3, 1).entries, wire: 'f32' as const, hidden: hidden!.subarray(0, 200) };
    const refused = {
      code: 'INVALID_REQUEST',
      message: expect.stringMatching(/of layer 0, .* over layer 1;/),
    };
    await expect(engine.step({ ...second, layers: [1, 2] })).rejects.toMatchObject(refused);
    await expect(engine.step(row(3, 1))).rejects.toMatchObject({ code: 'INVALID_REQUEST' });
    await engine.step({ ...row(3, 1), layers: [0, 1] });
    engine.truncate(1, 0);
    const fromHidden = { ...row(0, 3), hidden: hidden!, layers: [1, 2] as const };
    expect((await engine.step(fromHidden)).sampled).toHaveLength(1);
  });

  it('ids for layers behind the first, hidden states for the first, and logits without the last', async () => {
    const engine = await engineWith();
    engine.openSequence(1, { maxPositions: 10, sampling: GREEDY });
    const { entries, tokens } = row(0, 1);
    const hidden = new Uint8Array(ODD_SPEC.hidden * 4);
    const invalid = { code: 'INVALID_REQUEST' };
    await expect(engine.step({ entries, wire: 'f32', tokens, layers: [1, 2] })).rejects.toMatchObject(
      invalid,
    );
    await expect(engine.step({ entries, wire: 'f32', hidden, layers: [0, 1] })).rejects.toMatchObject(
      invalid,
    );
    await expect(engine.logits({ ...row(0, 1), layers: [0, 1] })).rejects.toMatchObject(invalid);
    expect(engine.length(1)).toBe(0);
  });

  it('a truncation beyond what is held', async () => {
    const engine = await engineWith();
    engine.openSequence(1, { maxPositions: 10, sampling: GREEDY });
    expect(() => engine.truncate(1, 1)).toThrow(expect.objectContaining({ code: 'POSITION_GAP' }));
  });
});

describe('memory', () => {
  it('counts all that it holds, with as many steps in flight as there may be, each reading logits back', async () => {
    const sampling = { ...GREEDY, temperature: 1 };
    const engine = await engineWith();
    const sequences = Array.from({ length: MAX_SEQUENCES_PER_STAGE }, (_, i) => i + 1);
    for (const sequence of sequences) engine.openSequence(sequence, { maxPositions: 20, sampling });
    const stepAt = (position: number) =>
      engine.step({
        entries: sequences.map((sequence) => ({ sequence, position, count: 1, sample: true })),
        wire: 'f32',
        tokens: Uint32Array.from(sequences),
      });
    await Promise.all([0, 1, 2, 3, 4].map(stepAt));
    const { weights, kv, scratch } = engine.bytes;
    // A buffer of nothing takes 16 bytes all the same.
    expect(device.liveBytes).toBeLessThanOrEqual(weights + kv + scratch + device.liveBuffers * 16);
    expect(device.liveBytes).toBeGreaterThan(0.9 * (weights + kv + scratch));
  });

  it('does not keep a readback that is larger than what is counted', async () => {
    const engine = await engineWith();
    engine.openSequence(1, { maxPositions: 64, sampling: GREEDY });
    await engine.step(row(0, 1));
    engine.truncate(1, 0);
    const before = device.liveBytes;
    const tokens = Uint32Array.from({ length: 64 }, (_, i) => i);
    const entries = [{ sequence: 1, position: 0, count: 64, sample: false }];
    await engine.logits({ entries, wire: 'f32', tokens });
    expect(device.liveBytes).toBeLessThanOrEqual(before);
    engine.truncate(1, 0);
    expect((await engine.step(row(0, 1))).sampled).toHaveLength(1);
  });

  it('tells how many positions there is room for, and how many are free, in whole pages', async () => {
    const engine = await engineWith({ kvBudgetBytes: 3 * 5_632 });
    expect([engine.kvPositions, engine.freePositions]).toEqual([96, 96]);
    engine.openSequence(1, { maxPositions: 33, sampling: GREEDY });
    expect([engine.kvPositions, engine.freePositions]).toEqual([96, 32]);
    engine.closeSequence(1);
    expect(engine.freePositions).toBe(96);
  });
});

describe('lifetime', () => {
  it('frees every buffer', async () => {
    const engine = await engineWith();
    engine.openSequence(1, { maxPositions: 20, sampling: GREEDY });
    await Promise.all([engine.step(row(0, 5)), engine.step(row(5, 5)), engine.step(row(10, 5))]);
    expect(device.liveBuffers).toBeGreaterThan(20);
    engine.destroy();
    expect(device.liveBuffers).toBe(0);
    await expect(engine.step(row(15, 5))).rejects.toMatchObject({ code: 'ABORTED' });
  });

  it('runs queued steps in order, more than may be in flight', async () => {
    const engine = await engineWith();
    engine.openSequence(1, { maxPositions: 20, sampling: GREEDY });
    const queued = await Promise.all(Array.from({ length: 20 }, (_, i) => engine.step(row(i, 1))));
    engine.truncate(1, 0);
    for (const [i, { sampled }] of queued.entries()) {
      expect((await engine.step(row(i, 1))).sampled).toEqual(sampled);
    }
  });

  it('a device lost in mid-step rejects it and every later one with DEVICE_LOST', async () => {
    const doomed = await openDevice();
    const engine = await engineWith({ device: doomed });
    engine.openSequence(1, { maxPositions: 20, sampling: GREEDY });
    await engine.step(row(0, 1));
    const step = engine.step(row(1, 5));
    doomed.raw.destroy();
    await expect(step).rejects.toMatchObject({ code: 'DEVICE_LOST' });
    await expect(engine.step(row(6, 1))).rejects.toMatchObject({ code: 'DEVICE_LOST' });
    await expect(doomed.lost).resolves.toMatchObject({ code: 'DEVICE_LOST' });
    engine.destroy();
    expect(doomed.liveBuffers).toBe(0);
  });

  it('is aborted while it loads, and frees what was loaded', async () => {
    const abort = new AbortController();
    const weights = altered('model.layers.1.mlp.up_proj.weight', (tensor) => {
      abort.abort();
      return [tensor];
    });
    await expect(engineWith({ weights, signal: abort.signal })).rejects.toMatchObject({ code: 'ABORTED' });
    expect(device.liveBuffers).toBe(0);
  });
});

describe('adapters and shaders', () => {
  it('says so where there is no WebGPU and where there is no adapter', async () => {
    await expect(requestDevice(undefined)).rejects.toMatchObject({ code: 'NO_WEBGPU' });
    const none = { requestAdapter: async () => null } as unknown as GPU;
    await expect(requestDevice(none)).rejects.toMatchObject({ code: 'NO_ADAPTER' });
  });

  it('names file and line of a shader that does not compile', async () => {
    const shaders = new Map(await testShaders());
    shaders.set(
      'argmax.wgsl',
      shaders.get('argmax.wgsl')!.replace('var high = -3.4e38;', 'var high = nowhere;'),
    );
    await expect(engineWith({ shaders })).rejects.toMatchObject({
      code: 'SHADER_INVALID',
      message: expect.stringMatching(/argmax\.wgsl, line \d+ .*nowhere/),
    });
    expect(device.liveBuffers).toBe(0);
  });

  it('lists every shader file', async () => {
    const files = await readdir(fileURLToPath(new URL('../../public/shaders', import.meta.url)));
    expect([...SHADER_FILES].sort()).toEqual(files.sort());
  });

  it('refuses a missing include, an include in a circle and a missing override', async () => {
    const source = new Map([
      ['a.wgsl', '// #include "b.wgsl"'],
      ['b.wgsl', '// #include "a.wgsl"'],
      ['c.wgsl', '// #include "{PART}.wgsl"'],
      ['d.wgsl', 'override N: u32;\n@compute @workgroup_size(1) fn main() { _ = N; }'],
    ]);
    expect(() => expandShader(source, 'a.wgsl', {})).toThrow(
      expect.objectContaining({ code: 'SHADER_INVALID' }),
    );
    expect(() => expandShader(source, 'c.wgsl', {})).toThrow(/\{PART\}/);
    expect(() => expandShader(source, 'c.wgsl', { PART: 'e' })).toThrow(/e\.wgsl/);
    const kernel = new KernelCompiler(device, source).kernel({ file: 'd.wgsl', constants: {}, bindings: [] });
    await expect(kernel).rejects.toMatchObject({
      code: 'SHADER_INVALID',
      message: expect.stringMatching(/N/),
    });
  });
});
