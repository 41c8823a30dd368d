import type OpenAI from 'openai';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { AnswerReport, Backend } from '../../../src/backend/backend.ts';
import { createFxnBackend } from '../../../src/backend/fxn/fxn.ts';
import type { GenerateRequest } from '../../../src/backend/fxn/generator.ts';
import { choiceSeed } from '../../../src/backend/fxn/request-sampling.ts';
import { ShoalError } from '../../../src/config/errors.ts';
import { type ApiServer, serveApi } from '../../support/api-server.ts';
import { FakeGenerator, STAGES, says, stallsAfter } from '../../support/fake-generator.ts';
import { BOS, bytes, END, fakeModel } from '../../support/fake-model.ts';

/** Several answers to one request: `n`, and completions' list of prompts. */

let generator: FakeGenerator;
let backend: Backend;
let api: ApiServer;
let client: OpenAI;

beforeAll(async () => {
  api = await serveApi(() => backend);
  client = api.client;
});
afterAll(() => api.close());
beforeEach(() => {
  generator = new FakeGenerator((request, signal) => says(textFor(request))(request, signal));
  backend = createFxnBackend({
    generator,
    model: fakeModel,
    readiness: () => ({ ready: true, detail: '' }),
    randomSeed: () => 77,
  });
});
afterEach(() => expect(generator.open, 'sequences left open').toBe(0));

/** Each seed has its own text. */
const TEXTS = ['one', 'number two.', 'the third of them'];
const seedOf = (choice: number) => choiceSeed(5, choice);
const textFor = ({ sampling }: GenerateRequest) =>
  TEXTS[[0, 1, 2].findIndex((choice) => seedOf(choice) === sampling.seed)] ?? 'other';

const ask = { model: 'fake', messages: [{ role: 'user' as const, content: 'Hi' }], seed: 5, n: 3 };

async function collect<T>(stream: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const one of stream) all.push(one);
  return all;
}

it('gives every choice a seed of its own, the first the request’s', () => {
  for (const seed of [0, 1, 77, 0xffff_ffff]) {
    const seeds = Array.from({ length: 8 }, (_, choice) => choiceSeed(seed, choice));
    expect(seeds[0]).toBe(seed);
    expect(new Set(seeds).size).toBe(8);
    expect(seeds.every((value) => Number.isInteger(value) && value >= 0 && value <= 0xffff_ffff)).toBe(true);
  }
});

describe('n', () => {
  it('answers with as many choices, the first as it would be alone', async () => {
    const answer = await client.chat.completions.create(ask);
    expect(
      answer.choices.map(({ index, message, finish_reason }) => [index, message.content, finish_reason]),
    ).toEqual(TEXTS.map((text, index) => [index, text, 'stop']));
    const alone = await client.chat.completions.create({ ...ask, n: 1 });
    expect(alone.choices).toEqual([answer.choices[0]]);
  });

  it('counts the prompt once and every completion', async () => {
    const { usage } = await client.chat.completions.create(ask);
    const prompt = generator.requests[0]!.prompt.length;
    const completion = TEXTS.reduce((sum, text) => sum + text.length + 1, 0);
    expect(usage).toEqual({
      prompt_tokens: prompt,
      completion_tokens: completion,
      total_tokens: prompt + completion,
    });
  });

  it('streams the choices interleaved, each with its own role, text and end, and usage once', async () => {
    const chunks = await collect(
      await client.chat.completions.create({ ...ask, stream: true, stream_options: { include_usage: true } }),
    );
    const order = chunks.flatMap(({ choices }) => choices.map(({ index }) => index));
    // All begin before any ends.
    expect(new Set(order.slice(0, 6))).toEqual(new Set([0, 1, 2]));
    for (const [index, text] of TEXTS.entries()) {
      const own = chunks.flatMap(({ choices }) => choices.filter((choice) => choice.index === index));
      expect(own[0]!.delta).toMatchObject({ role: 'assistant' });
      expect(own.map(({ delta }) => delta.content ?? '').join('')).toBe(text);
      expect(own.map(({ finish_reason }) => finish_reason).filter((reason) => reason !== null)).toEqual([
        'stop',
      ]);
      expect(own.at(-1)!.finish_reason).toBe('stop');
    }
    expect(chunks.filter(({ usage }) => usage != null)).toHaveLength(1);
    expect(chunks.at(-1)).toMatchObject({ choices: [], usage: { completion_tokens: 34 } });
  });

  it('ends only the choice that a stop string or the length ends', async () => {
    const stopped = await client.chat.completions.create({ ...ask, stop: ' two' });
    expect(stopped.choices.map(({ message }) => message.content)).toEqual(['one', 'number', TEXTS[2]]);
    const cut = await client.chat.completions.create({ ...ask, max_tokens: 5 });
    expect(cut.choices.map(({ message, finish_reason }) => [message.content, finish_reason])).toEqual([
      ['one', 'stop'],
      ['numbe', 'length'],
      ['the t', 'length'],
    ]);
  });

  it('fails as one, and frees the others', async () => {
    generator.script = async function* (request, signal) {
      if (request.sampling.seed !== seedOf(1)) return yield* stallsAfter('ab')(request, signal);
      yield { type: 'pipeline', stages: STAGES, restarts: 0 };
      yield { type: 'token', id: 65 };
      throw new ShoalError('PIPELINE_LOST', 'started 8 times');
    };
    await expect(client.chat.completions.create(ask)).rejects.toMatchObject({
      status: 503,
      code: 'pipeline_lost',
    });
    expect(generator.open).toBe(0);
    const seen: string[] = [];
    const read = async () => {
      for await (const chunk of await client.chat.completions.create({ ...ask, stream: true })) {
        seen.push(chunk.choices[0]?.delta.content ?? '');
      }
    };
    await expect(read()).rejects.toMatchObject({ code: 'pipeline_lost' });
    expect(seen.join('')).toContain('A');
  });

  it('is freed whole when the client hangs up', async () => {
    generator.script = stallsAfter('Hel');
    const stream = await client.chat.completions.create({ ...ask, stream: true });
    for await (const chunk of stream) if (chunk.choices[0]!.delta.content === 'l') break;
    await expect.poll(() => generator.open).toBe(0);
    expect(generator.requests).toHaveLength(3);
  });
});

describe('a list of prompts', () => {
  it('gets n choices each, in the order of the prompts, each as if it were asked alone', async () => {
    const answer = await client.completions.create({ model: 'fake', prompt: ['a', 'b'], n: 2, seed: 5 });
    expect(answer.choices.map(({ index, text }) => [index, text])).toEqual([
      [0, 'one'],
      [1, 'number two.'],
      [2, 'one'],
      [3, 'number two.'],
    ]);
    expect(generator.requests.map(({ prompt }) => prompt)).toEqual(
      ['a', 'a', 'b', 'b'].map((text) => [BOS, ...bytes(text)]),
    );
    expect(answer.usage).toMatchObject({ prompt_tokens: 4, completion_tokens: 32 });
    await client.completions.create({ model: 'fake', prompt: [[1, 2], [3]] });
    expect(generator.requests.slice(4).map(({ prompt }) => prompt)).toEqual([[1, 2], [3]]);
  });

  it('draws differently for each where the request has no seed', async () => {
    let seed = 0;
    backend = createFxnBackend({
      generator,
      model: fakeModel,
      readiness: () => ({ ready: true, detail: '' }),
      randomSeed: () => ++seed,
    });
    await client.completions.create({ model: 'fake', prompt: ['a', 'b'] });
    expect(generator.requests.map(({ sampling }) => sampling.seed)).toEqual([1, 2]);
  });
});

describe('what is reported of an answer', () => {
  const reports: AnswerReport[] = [];
  const call = (extra: object, signal = new AbortController().signal) =>
    backend.chatCompletions({ ...ask, ...extra }, { signal, onAnswered: (report) => reports.push(report) });
  beforeEach(() => void reports.splice(0));

  it.each([false, true])('counts tokens and says how it ended; stream: %s', async (stream) => {
    await (await call({ stream })).text();
    expect(reports).toEqual([
      {
        model: 'fake',
        outcome: 'stop',
        promptTokens: generator.requests[0]!.prompt.length,
        completionTokens: 34,
        timeToFirstTokenMs: expect.any(Number),
        durationMs: expect.any(Number),
        restarts: 0,
      },
    ]);
    await (await call({ stream, max_tokens: 4 })).text();
    expect(reports[1]).toMatchObject({ outcome: 'length', completionTokens: 12 });
  });

  it('says error or aborted, once', async () => {
    generator.script = async function* () {
      yield { type: 'pipeline', stages: STAGES, restarts: 0 };
      yield { type: 'token', id: END - 1 };
      throw new ShoalError('PIPELINE_LOST', 'gone');
    };
    await expect(call({})).rejects.toMatchObject({ code: 'PIPELINE_LOST' });
    expect(reports).toMatchObject([{ outcome: 'error', completionTokens: 3 }]);

    generator.script = stallsAfter('Hel');
    const reader = (await call({ stream: true })).body!.getReader();
    await reader.read();
    await reader.cancel();
    expect(reports.slice(1)).toMatchObject([{ outcome: 'aborted' }]);

    const abort = new AbortController();
    const answer = call({}, abort.signal);
    abort.abort();
    await expect(answer).rejects.toMatchObject({ code: 'ABORTED' });
    expect(reports.slice(2)).toMatchObject([{ outcome: 'aborted' }]);
  });

  it('is nothing where no generation began', async () => {
    await expect(call({ n: 0 })).rejects.toMatchObject({ code: 'INVALID_REQUEST' });
    expect(reports).toEqual([]);
  });
});
