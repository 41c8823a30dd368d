import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { GpuDevice } from '../../src/gpu/device.ts';
import type { WireDtype } from '../../src/gpu/stage-engine.ts';
import { createStageEngine } from '../../src/gpu/transformer.ts';
import { GREEDY } from '../../src/model/sampling.ts';
import { wholeModel } from '../../src/model/tensors.ts';
import { splitRows } from '../../src/worker/frame-work.ts';
import { openDevice, testShaders } from '../support/gpu.ts';
import { partEngine } from '../support/part-engine.ts';
import { ODD_SPEC, seededTensors } from '../support/seeded-model.ts';
import { deal, type GenerateOptions, TestPipeline } from '../worker/pipeline.ts';

/** Invariant 1: where the cuts fall changes no bit. The real engine, the real stage loop, frames in between. */

const SPEC = { ...ODD_SPEC, layers: 8, hidden: 36, heads: 4, kvHeads: 2, tiedEmbeddings: false };
const SAMPLED = { ...GREEDY, temperature: 0.8, topP: 0.95, seed: 1234 };
const PENALTIES = { ...SAMPLED, repetitionPenalty: 1.3, frequencyPenalty: 0.4 };
/** Two prefill chunks, the second not full. */
const PROMPT = Array.from({ length: 83 }, (_, i) => (i * 29 + 7) % SPEC.vocab);
const SPLITS = [2, 3, 8];

let device: GpuDevice;
const pipelines = new Map<number, TestPipeline>();
let sequence = 0;
beforeAll(async () => {
  device = await openDevice();
});
afterAll(() => device.destroy());

/** One pipeline a number of stages, shared by the tests: compiling takes longer than computing. */
async function pipelineOf(k: number): Promise<TestPipeline> {
  const known = pipelines.get(k);
  if (known !== undefined) return known;
  const engines = await Promise.all(
    deal(SPEC.layers, k).map(async (shard) =>
      createStageEngine({
        device,
        shaders: await testShaders(),
        spec: SPEC,
        shard,
        weights: seededTensors(SPEC, shard),
        quantization: 'native',
        kvBudgetBytes: 4e6,
      }),
    ),
  );
  const pipeline = new TestPipeline({ engines });
  pipelines.set(k, pipeline);
  return pipeline;
}

async function tokensOf(k: number, options: GenerateOptions): Promise<number[]> {
  const pipeline = await pipelineOf(k);
  const { tokens } = await pipeline.generate(++sequence, options);
  expect(pipeline.failures).toEqual([]);
  return tokens;
}

/** What left layer `layer − 1` for one sequence, by position: (hidden) values in wire format, as text. */
function rowsAt(pipeline: TestPipeline, layer: number, sequence: number): Map<number, string> {
  const stage = pipeline.stages.findIndex(
    (_, index) => deal(SPEC.layers, pipeline.stages.length)[index]!.end === layer,
  );
  return rowsFrom(pipeline, stage, sequence);
}

function rowsFrom(pipeline: TestPipeline, stage: number, sequence: number): Map<number, string> {
  const rows = new Map<number, string>();
  for (const { from, frame } of pipeline.sent) {
    if (from !== stage || frame.kind !== 'activation') continue;
    for (const { entry, rows: payload } of splitRows(frame.entries, frame.payload)) {
      if (entry.sequence !== sequence) continue;
      for (const { entry: position, rows: row } of splitRows(positionsOf(entry), payload)) {
        rows.set(position.at, row.toString());
      }
    }
  }
  return rows;
}

function positionsOf({
  position,
  count,
}: {
  position: number;
  count: number;
}): { at: number; count: number }[] {
  return Array.from({ length: count }, (_, i) => ({ at: position + i, count: 1 }));
}

describe.each(['f16', 'f32'] as const)('with the %s wire', (wire: WireDtype) => {
  it.each([
    ['greedy', GREEDY],
    ['seeded sampling', SAMPLED],
    ['penalties', PENALTIES],
  ] as const)('every split gives the same tokens: %s', async (_name, sampling) => {
    const options = { prompt: PROMPT, maxTokens: 16, wire, sampling };
    const solo = await tokensOf(1, options);
    expect(new Set(solo).size).toBeGreaterThan(3);
    for (const k of SPLITS) expect(await tokensOf(k, options)).toEqual(solo);
  });

  it('the same bits cross the middle of the model, however it is cut and in whatever company', async () => {
    const options = { prompt: PROMPT, maxTokens: 12, wire };
    await tokensOf(2, options);
    const alone = rowsAt(await pipelineOf(2), 4, sequence);
    const eight = await pipelineOf(8);
    const one = ++sequence;
    const before = eight.sent.length;
    const others = [1, 2, 3].map((cut) =>
      eight.generate(++sequence, { ...options, prompt: PROMPT.slice(cut) }),
    );
    await Promise.all([eight.generate(one, options), ...others]);
    expect(eight.sent.slice(before).some(({ frame }) => frame.entries.length > 1)).toBe(true);
    expect(alone.size).toBe(PROMPT.length + 11);
    expect(rowsAt(eight, 4, one)).toEqual(alone);
  });
});

it('a generation goes on identically on other stages after a departure', async () => {
  const options = { prompt: PROMPT, sampling: PENALTIES };
  const whole = await tokensOf(1, { ...options, maxTokens: 30 });
  const before = await tokensOf(3, { ...options, maxTokens: 17 });
  const after = await tokensOf(2, {
    prompt: [...PROMPT, ...before],
    promptTokens: PROMPT.length,
    maxTokens: 13,
    sampling: PENALTIES,
  });
  expect([...before, ...after]).toEqual(whole);
});

it('sequences in one pipeline get the tokens they get alone', async () => {
  const prompts = [PROMPT, PROMPT.slice(10), [5], PROMPT.slice(0, 64)];
  const options = { maxTokens: 20, sampling: SAMPLED };
  const alone: number[][] = [];
  for (const prompt of prompts) alone.push(await tokensOf(1, { ...options, prompt }));
  const together = await Promise.all(prompts.map((prompt) => tokensOf(3, { ...options, prompt })));
  expect(together).toEqual(alone);
});

it('routes through parts of what engines hold give the same tokens and the same rows', async () => {
  const whole = wholeModel(SPEC);
  const middle = { start: 2, end: 7, embedding: false, head: false };
  const held = [whole, whole, middle, whole];
  const engines = await Promise.all(
    held.map(async (shard) =>
      createStageEngine({
        device,
        shaders: await testShaders(),
        spec: SPEC,
        shard,
        weights: seededTensors(SPEC, shard),
        quantization: 'native',
        kvBudgetBytes: 4e6,
      }),
    ),
  );
  const routes = [
    [3, 4, 6, 8],
    [1, 2, 7, 8],
    [2, 5, 6, 8],
  ];
  for (const ends of routes) {
    const parts = ends.map((end, index) => {
      const start = ends[index - 1] ?? 0;
      return { start, end, embedding: start === 0, head: end === SPEC.layers };
    });
    const route = new TestPipeline({
      engines: parts.map((part, index) => partEngine(engines[index]!, part)),
    });
    for (const wire of ['f16', 'f32'] as const) {
      const options = { prompt: PROMPT, maxTokens: 12, wire, sampling: PENALTIES };
      const { tokens } = await route.generate(++sequence, options);
      const through = new Map(
        ends.slice(0, -1).map((end, stage) => [end, rowsFrom(route, stage, sequence)] as const),
      );
      expect(tokens).toEqual(await tokensOf(1, options));
      await tokensOf(8, options);
      for (const [end, rows] of through) {
        expect(rows.size).toBe(PROMPT.length + 11);
        expect(rows).toEqual(rowsAt(await pipelineOf(8), end, sequence));
      }
    }
  }
  for (const engine of engines) engine.destroy();
});

it('stages give back every buffer', () => {
  expect(device.liveBuffers).toBeGreaterThan(0);
  for (const pipeline of pipelines.values()) pipeline.destroy();
  expect(device.liveBuffers).toBe(0);
});
