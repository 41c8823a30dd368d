/** What was checked here is what a backend reads, whichever parser it has. */
import { expect, it } from 'vitest';
import { createCustomBackend } from '../../../src/backend/proxy/custom.ts';
import { nativeApp } from '../../server/native-app.ts';

const config = {
  url: 'http://backend',
  timeouts: { connect: 1_000, firstByte: 1_000, idle: 1_000 },
  modelNameAlias: 'theirs',
  fxnId: 'm',
};

async function send(body: string) {
  const got: string[] = [];
  const fetch = (async (_: unknown, init?: RequestInit) => {
    got.push(String(init?.body));
    return Response.json({ choices: [{ index: 0, text: 'a', finish_reason: 'stop' }] });
  }) as typeof globalThis.fetch;
  const app = nativeApp(createCustomBackend(config, { fetch }));
  const answer = await app.send('/v1/completions', { method: 'POST', body });
  return { status: answer.status, text: await answer.text(), got };
}

it.each([
  // Go's encoding/json compares names without their case.
  ['{"model":"m","prompt":"a","Model":"other"}', 'model'],
  ['{"model":"m","prompt":"a","\\u004dODEL":"other"}', 'model'],
  ['{"model":"m","prompt":"a","N":64}', 'n'],
  ['{"model":"m","prompt":"a","be\\u017ft_of":64}', 'best_of'],
  ['{"model":"m","prompt":"a","Stream":true}', 'stream'],
  // RapidJSON and others find the first.
  ['{"n":64,"model":"m","prompt":"a","n":1}', 'n'],
  ['{"mod\\u0065l":"other","model":"m","prompt":"a"}', 'model'],
])('refuses what backends read in two ways: %s', async (body, param) => {
  const { status, text, got } = await send(body);
  expect(status, text).toBe(400);
  expect(JSON.parse(text).error.param).toBe(param);
  expect(got).toEqual([]);
});

it('passes on what concerns the backend alone', async () => {
  const { status, got } = await send(
    '{"mod\\u0065l":"m","prompt":"a","X":1,"x":2,"x":3,"Temperature":0,"metadata":{"n":1,"n":2,"Model":"y"}}',
  );
  expect(status).toBe(200);
  expect(got).toEqual([
    '{"mod\\u0065l":"theirs","prompt":"a","X":1,"x":2,"x":3,"Temperature":0,"metadata":{"n":1,"n":2,"Model":"y"}}',
  ]);
});
