/** A backend that ignores `echo` is told to the client, as docs/backends.md promises. */
import { expect, it } from 'vitest';
import { createCustomBackend } from '../../../src/backend/proxy/custom.ts';
import { nativeApp } from '../../server/native-app.ts';

const config = { url: 'http://backend', timeouts: { connect: 1_000, firstByte: 1_000, idle: 1_000 } };
const PROMPT = 'Once upon a time, in a land far away, there was';

/** @param texts of the choices, in pieces where it is a stream */
function answering(texts: readonly (readonly string[])[], stream: boolean) {
  const choice = (index: number, text: string, isLast: boolean) => ({
    index,
    text,
    finish_reason: isLast ? 'length' : null,
  });
  const whole = { choices: texts.map((pieces, index) => choice(index, pieces.join(''), true)) };
  const events = texts.flatMap((pieces, index) =>
    pieces.map((text, at) => ({ choices: [choice(index, text, at === pieces.length - 1)] })),
  );
  const body = stream
    ? `${events.map((event) => `data: ${JSON.stringify(event)}\n\n`).join('')}data: [DONE]\n\n`
    : JSON.stringify(whole);
  const type = stream ? 'text/event-stream' : 'application/json';
  const fetch = (async () =>
    new Response(body, { headers: { 'content-type': type } })) as typeof globalThis.fetch;
  return nativeApp(createCustomBackend(config, { fetch }));
}

it.each<[boolean, string[][], object]>([
  [false, [[`${PROMPT} a fox`]], {}],
  [true, [['Once upon', ' a time, in a land', ' far away, there was a', ' fox']], {}],
  [false, [[`<s> ${PROMPT} a fox`]], {}],
  [
    false,
    [[`${PROMPT} a`], [`${PROMPT} b`], ['The cat sat'], ['The cat ran']],
    { prompt: [PROMPT, 'The cat'], n: 2 },
  ],
  [false, [['anything']], { prompt: [1, 2, 3] }],
  [false, [['a fox']], { echo: false }],
  [true, [['a', ' fox']], { echo: false }],
])(
  'a backend that repeats the prompt, or need not, is passed on (stream %s): %j %j',
  async (stream, texts, extra) => {
    const answer = await answering(texts, stream).post('/v1/completions', {
      model: 'm',
      prompt: PROMPT,
      echo: true,
      stream,
      ...extra,
    });
    expect(answer.status).toBe(200);
    expect(await answer.text()).not.toContain('"error"');
  },
);

it.each<[boolean, string[][], object]>([
  [false, [[' a fox that']], {}],
  [true, [[' a fox', ' that']], {}],
  [false, [['Once upon a time']], {}],
  [false, [[`${PROMPT} a`], [' sat']], { prompt: [PROMPT, 'The cat'] }],
])('one that does not is told by name (stream %s): %j %j', async (stream, texts, extra) => {
  const answer = await answering(texts, stream).post('/v1/completions', {
    model: 'm',
    prompt: PROMPT,
    echo: true,
    stream,
    ...extra,
  });
  expect(answer.status).toBe(400);
  expect((await answer.json()).error).toMatchObject({ code: 'unsupported_parameter', param: 'echo' });
});
