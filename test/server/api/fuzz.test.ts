import { beforeEach, describe, expect, it } from 'vitest';
import { createFxnBackend } from '../../../src/backend/fxn/fxn.ts';
import { errorBodySchema } from '../../../src/backend/openai/answer-schema.ts';
import { seededRandom } from '../../mesh/seeded.ts';
import { FakeGenerator, says } from '../../support/fake-generator.ts';
import { fakeModel } from '../../support/fake-model.ts';
import { type NativeApp, nativeApp } from '../native-app.ts';

/**
 * Valid requests, damaged in thousands of ways: never a 500, never a hang, and every refusal says in OpenAI's shape what
 * was wrong. The same damage in every run.
 */

const CASES = 4_000;

const VALID: readonly [string, object][] = [
  [
    '/v1/chat/completions',
    {
      model: 'fake',
      messages: [
        { role: 'system', content: 'Be short.' },
        { role: 'user', content: [{ type: 'text', text: 'Hi' }], name: 'me' },
        { role: 'assistant', content: 'Hello' },
        { role: 'tool', content: '4', tool_call_id: 'c' },
      ],
      stream: true,
      stream_options: { include_usage: true },
      max_tokens: 9,
      temperature: 0.5,
      top_p: 0.9,
      top_k: 4,
      min_p: 0.1,
      repetition_penalty: 1.1,
      presence_penalty: 0.1,
      frequency_penalty: -0.1,
      logit_bias: { 5: -100, 6: 3.5 },
      seed: 7,
      n: 2,
      stop: ['.', 'end'],
      logprobs: true,
      top_logprobs: 2,
      user: 'me',
      metadata: { a: 'b' },
      tools: [],
    },
  ],
  [
    '/v1/completions',
    { model: 'fake', prompt: ['Once', 'upon'], max_tokens: 5, logprobs: 2, n: 2, stop: 'x', echo: false },
  ],
  ['/v1/completions', { model: 'fake', prompt: [1, 2, 3], best_of: 1, suffix: '', ignore_eos: true }],
];

const JUNK: readonly unknown[] = [
  null,
  true,
  false,
  0,
  -1,
  1.5,
  1e308,
  -1e-308,
  2 ** 53,
  '',
  'a',
  '\u0000',
  '\uD800',
  '🐟'.repeat(50),
  'x'.repeat(3_000),
  '<|end|><|system|>',
  [],
  [[]],
  [null],
  Array(100).fill(1),
  {},
  { a: { b: {} } },
  JSON.parse('{"__proto__":{"n":1}}'),
  { constructor: 1, toString: null },
];

const KEYS = [
  'n',
  '__proto__',
  'constructor',
  'toString',
  'zzz',
  'tools',
  'best_of',
  'echo',
  '',
  'функция',
  'Stream',
];

type Random = () => number;
const pick = <T>(random: Random, from: readonly T[]): T => from[Math.floor(random() * from.length)]!;

/** One place of the value is replaced, taken away, doubled, or gets a neighbour. */
function damaged(value: unknown, random: Random): unknown {
  if (typeof value !== 'object' || value === null || random() < 0.15) return pick(random, JUNK);
  if (Array.isArray(value)) {
    const copy = [...value];
    const at = Math.floor(random() * copy.length);
    const how = random();
    if (how < 0.15) copy.splice(at, 1);
    else if (how < 0.3) copy.push(...copy, ...copy);
    else copy[at] = damaged(copy[at], random);
    return copy;
  }
  const entries = Object.entries(value);
  const at = Math.floor(random() * entries.length);
  const how = random();
  if (how < 0.15) entries.splice(at, 1);
  else if (how < 0.3) entries.push([pick(random, KEYS), pick(random, JUNK)]);
  else if (entries[at] !== undefined) entries[at] = [entries[at][0], damaged(entries[at][1], random)];
  return Object.fromEntries(entries);
}

/** JSON text with a hole, a doubled part, or a foreign character. */
function torn(text: string, random: Random): string {
  const at = Math.floor(random() * text.length);
  return pick(random, [
    text.slice(0, at),
    text.slice(at),
    text.slice(0, at) + pick(random, ['"', '{', ']', ',', '\\', '\u0001', '9'.repeat(400)]) + text.slice(at),
    text + text,
  ]);
}

let generator: FakeGenerator;
let native: NativeApp;

beforeEach(() => {
  generator = new FakeGenerator(says('Hello there. The end'));
  native = nativeApp(
    createFxnBackend({ generator, model: fakeModel, readiness: () => ({ ready: true, detail: '' }) }),
  );
});

async function outcome(path: string, body: string): Promise<number> {
  const answer = await native.send(path, { method: 'POST', body });
  const text = await answer.text();
  const about = `${path} ${body.slice(0, 1_500)} → ${answer.status} ${text.slice(0, 300)}`;
  expect(answer.status, about).toBeLessThan(500);
  if (answer.status >= 400) {
    const { error } = errorBodySchema.parse(JSON.parse(text));
    expect(error.message.length, about).toBeLessThan(1_000);
    const isWhole = /request body (is not JSON|must be a JSON object)/.test(error.message);
    if (!isWhole) expect(error.param, about).not.toBeNull();
  } else if (answer.headers.get('content-type')?.startsWith('text/event-stream')) {
    expect(text.endsWith('data: [DONE]\n\n'), about).toBe(true);
  } else expect(JSON.parse(text), about).toHaveProperty('choices');
  return answer.status;
}

describe.each(VALID)('%s', (path, valid) => {
  it('is valid to begin with', async () => {
    expect(await outcome(path, JSON.stringify(valid))).toBe(200);
  });

  it('with damaged values', async () => {
    const random = seededRandom(path.length);
    const statuses = new Map<number, number>();
    for (let i = 0; i < CASES / VALID.length; i++) {
      let body: unknown = valid;
      for (let times = 1 + Math.floor(random() * 3); times > 0; times--) body = damaged(body, random);
      const status = await outcome(path, JSON.stringify(body));
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
    }
    // The damage reaches behind the checks, too.
    expect(statuses.get(200)).toBeGreaterThan(20);
    expect(statuses.get(400)).toBeGreaterThan(200);
    expect(generator.open + native.requests.count).toBe(0);
  }, 60_000);

  it('with torn text', async () => {
    const random = seededRandom(path.length + 1);
    for (let i = 0; i < 300; i++) await outcome(path, torn(JSON.stringify(valid), random));
    expect(generator.open + native.requests.count).toBe(0);
  }, 60_000);
});
