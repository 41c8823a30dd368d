import { expect, it } from 'vitest';
import type { SequenceOptions, StageEngine, StepInput } from '../../src/gpu/stage-engine.ts';
import { generate } from '../../src/library/generate.ts';
import { GREEDY } from '../../src/model/sampling.ts';
import type { ModelSpec } from '../../src/model/spec.ts';

const END = 9;

/** Its next token is the number of rows that it holds; from `endAt` rows on the end. */
function countingEngine({ endAt = 1_000, head = true } = {}) {
  const opened: SequenceOptions[] = [];
  const steps: StepInput[] = [];
  const held = new Map<number, number>();
  const noted: number[] = [];
  const engine = {
    spec: { eosTokenIds: [END] } as unknown as ModelSpec,
    shard: { start: 0, end: 2, embedding: true, head },
    openSequence(sequence: number, options: SequenceOptions) {
      opened.push(options);
      held.set(sequence, 0);
    },
    closeSequence: (sequence: number) => void held.delete(sequence),
    length: (sequence: number) => held.get(sequence)!,
    note: (_sequence: number, _position: number, ids: Uint32Array) => void noted.push(...ids),
    async step(input: StepInput) {
      steps.push(input);
      const [{ sequence, count, sample } = { sequence: 0, count: 0, sample: false }] = input.entries;
      const rows = held.get(sequence)! + count;
      held.set(sequence, rows);
      return { ...(sample && { sampled: Uint32Array.of(rows >= endAt ? END : 100 + rows) }) };
    },
  };
  return { engine: engine as unknown as StageEngine, opened, steps, held, noted };
}

async function all(ids: AsyncIterable<number>): Promise<number[]> {
  const found: number[] = [];
  for await (const id of ids) found.push(id);
  return found;
}

it('yields as many tokens as were asked for, and frees the sequence', async () => {
  const { engine, opened, held } = countingEngine();
  expect(await all(generate(engine, [1, 2, 3], { maxTokens: 3 }))).toEqual([103, 104, 105]);
  expect(opened).toEqual([{ maxPositions: 6, sampling: GREEDY }]);
  expect(held.size).toBe(0);
});

it('ends before an end token', async () => {
  const { engine, held } = countingEngine({ endAt: 5 });
  expect(await all(generate(engine, [1, 2, 3], { maxTokens: 30 }))).toEqual([103, 104]);
  expect(held.size).toBe(0);
});

it('gives a long prompt in micro-batches, and picks a token after the last', async () => {
  const { engine, steps } = countingEngine();
  const prompt = Array.from({ length: 130 }, (_, i) => i);
  expect(await all(generate(engine, prompt, { maxTokens: 1 }))).toEqual([230]);
  expect(steps.map(({ entries: [entry] }) => entry)).toMatchObject([
    { position: 0, count: 64, sample: false },
    { position: 64, count: 64, sample: false },
    { position: 128, count: 2, sample: true },
  ]);
  expect(steps.flatMap(({ tokens }) => [...tokens!])).toEqual(prompt);
});

it('frees the sequence of whoever stops reading', async () => {
  const { engine, held } = countingEngine();
  for await (const _ of generate(engine, [1], { maxTokens: 100 })) break;
  expect(held.size).toBe(0);
});

it('lets two generations run at once', async () => {
  const { engine, held } = countingEngine();
  const both = [1, 2].map((length) => all(generate(engine, Array(length).fill(7), { maxTokens: 2 })));
  expect(await Promise.all(both)).toEqual([
    [101, 102],
    [102, 103],
  ]);
  expect(held.size).toBe(0);
});

it('tells the sampler the prompt where penalties count it', async () => {
  const { engine, noted } = countingEngine();
  const sampling = { ...GREEDY, repetitionPenalty: 1.2 };
  await all(generate(engine, [4, 5], { maxTokens: 1, sampling }));
  expect(noted).toEqual([4, 5]);
});

it('refuses an empty prompt, and an engine without the LM head', async () => {
  await expect(all(generate(countingEngine().engine, [], { maxTokens: 1 }))).rejects.toThrow('no token');
  const { engine } = countingEngine({ head: false });
  await expect(all(generate(engine, [1], { maxTokens: 1 }))).rejects.toThrow('layers [0, 2)');
});
