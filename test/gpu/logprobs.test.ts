import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { GpuDevice } from '../../src/gpu/device.ts';
import { createStageEngine } from '../../src/gpu/transformer.ts';
import { GREEDY, type TokenLogprobs } from '../../src/model/sampling.ts';
import { wholeModel } from '../../src/model/tensors.ts';
import { openDevice, testShaders } from '../support/gpu.ts';
import { diskModel, fixture } from '../support/model-weights.ts';
import { deal, type GenerateOptions, TestPipeline } from '../worker/pipeline.ts';

/** Log probabilities from the real engine: against transformers' logits, and in every split and company. */

const NAME = 'odd-llama';
const SAMPLED = { ...GREEDY, temperature: 0.9, topP: 0.9, seed: 7, repetitionPenalty: 1.2 };

let device: GpuDevice;
const pipelines: TestPipeline[] = [];
let sequence = 0;
beforeAll(async () => {
  device = await openDevice();
});
afterAll(() => {
  for (const pipeline of pipelines) pipeline.destroy();
  expect(device.liveBuffers).toBe(0);
  device.destroy();
});

async function pipelineOf(k: number): Promise<TestPipeline> {
  const { spec, tensors } = await diskModel(fixture(NAME));
  const shards = k === 1 ? [wholeModel(spec)] : deal(spec.layers, k);
  const engines = await Promise.all(
    shards.map(async (shard) =>
      createStageEngine({
        device,
        shaders: await testShaders(),
        spec,
        shard,
        weights: tensors(shard),
        quantization: 'native',
        kvBudgetBytes: 8e6,
      }),
    ),
  );
  const pipeline = new TestPipeline({ engines });
  pipelines.push(pipeline);
  return pipeline;
}

it('are the log-softmax of the logits that transformers computes', async () => {
  const reference = JSON.parse(await readFile(`${fixture(NAME)}/reference.json`, 'utf8'));
  const file = await readFile(`${fixture(NAME)}/${reference.logits.file}`);
  const { vocab } = (await diskModel(fixture(NAME))).spec;
  const pipeline = await pipelineOf(1);
  for (const { ids, offset } of reference.logits.prompts) {
    const at = offset + (ids.length - 1) * vocab * 4;
    const expected = logSoftmax(new Float32Array(Uint8Array.from(file.subarray(at, at + vocab * 4)).buffer));
    // A bias of 100 makes the pick the second likeliest; what is told of the probabilities stays.
    const second = [...expected.keys()].sort((a, b) => expected[b]! - expected[a]!)[1]!;
    for (const logitBias of [[], [[second, 100]]] as [number, number][][]) {
      const { tokens, logprobs } = await pipeline.generate(++sequence, {
        prompt: ids,
        maxTokens: 1,
        wire: 'f32',
        sampling: { ...GREEDY, logitBias },
        topLogprobs: 5,
      });
      const { picked, top } = logprobs[0]!;
      expect(tokens[0]).toBe(top[logitBias.length > 0 ? 1 : 0]![0]);
      expect(Math.abs(picked - expected[tokens[0]!]!)).toBeLessThan(1e-3);
      expect(top).toHaveLength(5);
      const fifth = [...expected].sort((a, b) => b - a)[4]!;
      for (const [id, logprob] of top) {
        expect(Math.abs(logprob - expected[id]!)).toBeLessThan(1e-3);
        expect(expected[id]!).toBeGreaterThan(fifth - 1e-3);
      }
    }
  }
});

it('have the same bits in every split and in any company, and change no token', async () => {
  const prompt = Array.from({ length: 70 }, (_, i) => (i * 29 + 7) % 90);
  const runs: GenerateOptions[] = [
    { prompt, maxTokens: 12, topLogprobs: 3 },
    { prompt: prompt.slice(9), maxTokens: 12, sampling: SAMPLED, topLogprobs: 20 },
    { prompt: prompt.slice(4), maxTokens: 12 },
    { prompt: prompt.slice(2), maxTokens: 12, sampling: SAMPLED },
  ];
  const solo = await pipelineOf(1);
  const alone: { tokens: number[]; logprobs: (TokenLogprobs | undefined)[] }[] = [];
  for (const run of runs) alone.push(await solo.generate(++sequence, run));
  expect(alone.map(({ logprobs }) => logprobs.map((told) => told?.top.length))).toEqual([
    Array(12).fill(3),
    Array(12).fill(20),
    Array(12).fill(undefined),
    Array(12).fill(undefined),
  ]);
  const { topLogprobs: _, ...without } = runs[1]!;
  expect((await solo.generate(++sequence, without)).tokens).toEqual(alone[1]!.tokens);
  for (const k of [2, 3]) {
    const pipeline = await pipelineOf(k);
    const together = await Promise.all(runs.map((run) => pipeline.generate(++sequence, run)));
    expect(pipeline.failures).toEqual([]);
    expect(together.map(({ tokens, logprobs }) => ({ tokens, logprobs }))).toEqual(
      alone.map(({ tokens, logprobs }) => ({ tokens, logprobs })),
    );
  }
});

function logSoftmax(logits: Float32Array): number[] {
  const max = Math.max(...logits);
  const sum = Math.log(logits.reduce((total, logit) => total + Math.exp(logit - max), 0));
  return Array.from(logits, (logit) => logit - max - sum);
}
