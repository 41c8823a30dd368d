import type OpenAI from 'openai';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Backend } from '../../../src/backend/backend.ts';
import { createFxnBackend } from '../../../src/backend/fxn/fxn.ts';
import { chatLogprobs, completionLogprobs } from '../../../src/backend/fxn/openai-logprobs.ts';
import { TokenAlignment } from '../../../src/backend/fxn/token-alignment.ts';
import { type ApiServer, serveApi } from '../../support/api-server.ts';
import { FakeGenerator, fakeLogprobs, says } from '../../support/fake-generator.ts';
import { bytes, fakeModel } from '../../support/fake-model.ts';

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
  generator = new FakeGenerator(says('Zoë 🐟.'));
  backend = createFxnBackend({
    generator,
    model: fakeModel,
    readiness: () => ({ ready: true, detail: '' }),
  });
});

const ask = {
  model: 'fake',
  messages: [{ role: 'user' as const, content: 'Hi' }],
  logprobs: true,
  top_logprobs: 2,
};
type Logprobs = OpenAI.ChatCompletionTokenLogprob[];
const bytesOf = (logprobs: Logprobs) => logprobs.flatMap(({ bytes: own }) => own!);

async function streamed(
  extra: object = {},
): Promise<{ text: string; logprobs: Logprobs; pieces: [string, Logprobs][] }> {
  const pieces: [string, Logprobs][] = [];
  const stream = await client.chat.completions.create({ ...ask, ...extra, stream: true });
  for await (const { choices } of stream) {
    pieces.push([choices[0]!.delta.content ?? '', choices[0]!.logprobs?.content ?? []]);
  }
  return {
    text: pieces.map(([text]) => text).join(''),
    logprobs: pieces.flatMap(([, logprobs]) => logprobs),
    pieces,
  };
}

describe('a chat', () => {
  it('tells every token of the text with bytes, half characters too', async () => {
    const answer = await client.chat.completions.create(ask);
    const content = answer.choices[0]!.logprobs!.content!;
    expect(bytesOf(content)).toEqual(bytes('Zoë 🐟.'));
    expect(content[0]).toEqual({
      token: 'Z',
      bytes: [90],
      logprob: -90 / 256,
      top_logprobs: [
        { token: 'Z', bytes: [90], logprob: -90 / 256 },
        { token: '[', bytes: [91], logprob: -90 / 256 - 1 },
      ],
    });
    expect(content[2]).toMatchObject({ token: '\\xc3', bytes: [0xc3] });
    expect(generator.requests[0]!.topLogprobs).toBe(2);
  });

  it('streams the same, never a token before its text', async () => {
    const whole = (await client.chat.completions.create(ask)).choices[0]!.logprobs!.content!;
    const { logprobs, text, pieces } = await streamed();
    expect(logprobs).toEqual(whole);
    expect(text).toBe('Zoë 🐟.');
    const fish = pieces.find(([piece]) => piece === '🐟')!;
    expect(bytesOf(fish[1])).toEqual(bytes('🐟'));
  });

  it('tells nothing of what a stop string cut off, and keeps the rest beside its text', async () => {
    generator.script = says('abc. the end');
    const { text, logprobs, pieces } = await streamed({ stop: ['. the', 'cx'] });
    expect(text).toBe('abc');
    expect(bytesOf(logprobs)).toEqual(bytes('abc'));
    for (const [piece, own] of pieces) expect(bytesOf(own)).toEqual(bytes(piece));
    const whole = await client.chat.completions.create({ ...ask, stop: '. the' });
    expect(bytesOf(whole.choices[0]!.logprobs!.content!)).toEqual(bytes('abc'));
  });

  it('tells the picked token alone without top_logprobs, and nothing without logprobs', async () => {
    const { top_logprobs: _, ...plain } = ask;
    const answer = await client.chat.completions.create(plain);
    expect(answer.choices[0]!.logprobs!.content![0]!.top_logprobs).toEqual([]);
    const without = await client.chat.completions.create({ ...ask, logprobs: false, top_logprobs: 0 });
    expect(without.choices[0]!.logprobs).toBeNull();
    expect(generator.requests.map(({ topLogprobs }) => topLogprobs)).toEqual([0, undefined]);
  });

  it('has an empty list where there is no text', async () => {
    generator.script = says('');
    const answer = await client.chat.completions.create(ask);
    expect(answer.choices[0]!.logprobs).toEqual({ content: [], refusal: null });
  });
});

describe('a completion', () => {
  it('has the older form, with offsets into its text in code points', async () => {
    const answer = await client.completions.create({ model: 'fake', prompt: 'x', logprobs: 1 });
    const logprobs = answer.choices[0]!.logprobs!;
    expect(logprobs.tokens!.slice(0, 4)).toEqual(['Z', 'o', 'bytes:\\xc3', 'bytes:\\xab']);
    expect(logprobs.text_offset).toEqual([0, 1, 2, 2, 3, 4, 4, 4, 4, 5]);
    expect(logprobs.token_logprobs![0]).toBe(-90 / 256);
    expect(logprobs.top_logprobs![0]).toEqual({ Z: -90 / 256 });
  });

  it('keeps counting offsets from chunk to chunk', async () => {
    const offsets: number[] = [];
    const stream = await client.completions.create({ model: 'fake', prompt: 'x', logprobs: 0, stream: true });
    for await (const { choices } of stream) offsets.push(...(choices[0]!.logprobs?.text_offset ?? []));
    expect(offsets).toEqual([0, 1, 2, 2, 3, 4, 4, 4, 4, 5]);
  });
});

describe('the forms', () => {
  const token = (id: number, picked: number, top: [number, number][]) => ({
    id,
    logprobs: { picked, top },
    offset: 0,
  });
  const bytesFor = (id: number) => (id === 9 ? null : Uint8Array.of(id));

  it('hold the picked token even if it is unlikely, the likelier of one name, and no −Infinity', () => {
    const told = completionLogprobs(
      [
        token(66, -1e30, [
          [65, -0.1],
          [9, -2],
          [9, -3],
        ]),
      ],
      bytesFor,
    );
    expect(told.top_logprobs).toEqual([{ A: -0.1, '': -2, B: -9999 }]);
    expect(told.token_logprobs).toEqual([-9999]);
    expect(chatLogprobs([token(9, -1, [])], bytesFor).content[0]).toMatchObject({ token: '', bytes: null });
  });
});

describe('alignment', () => {
  const logprobs = fakeLogprobs(1, 0);
  const own = ['<s>', 'ab', null, 'cd', ''];
  const aligned = () => new TokenAlignment((id) => own[id] ?? null);
  const ids = (tokens: readonly { id: number }[]) => tokens.map(({ id }) => id);

  it('gives a token the text that is its own, not what was held back before it', () => {
    const one = aligned();
    one.decoded(2, logprobs, '');
    one.decoded(1, logprobs, '\uFFFDab');
    expect(one.sent('\uFFFD')).toMatchObject([{ id: 2, offset: 0 }]);
    expect(one.sent('ab')).toMatchObject([{ id: 1, offset: 1 }]);
  });

  it('sends a token of which a stop string leaves a part, and none after it', () => {
    const one = aligned();
    one.decoded(1, logprobs, 'ab');
    one.decoded(3, logprobs, 'cd');
    expect(ids(one.sent('a'))).toEqual([1]);
    expect(one.rest()).toEqual([]);
  });

  it('sends tokens without text with what follows, or at the end', () => {
    const one = aligned();
    one.decoded(4, logprobs, '');
    one.decoded(1, logprobs, 'ab');
    one.decoded(4, logprobs, '');
    expect(ids(one.sent('ab'))).toEqual([4, 1]);
    expect(ids(one.rest())).toEqual([4]);
  });
});
