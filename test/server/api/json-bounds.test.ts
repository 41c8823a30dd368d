import { afterEach, expect, it } from 'vitest';
import { NodePool } from '../../../src/backend/pool/node-pool.ts';
import { createRoutedBackend } from '../../../src/backend/pool/routed.ts';
import { createCustomBackend } from '../../../src/backend/proxy/custom.ts';
import {
  BREAKER_FAILURES,
  MAX_JSON_CONTAINERS,
  MAX_JSON_DEPTH,
  MAX_JSON_NAMES,
  MAX_JSON_TEXTS,
  MAX_JSON_VALUES,
} from '../../../src/config/limits.ts';
import { JsonBounds } from '../../../src/server/api/json-bounds.ts';
import { nativeApp } from '../native-app.ts';

const nested = (levels: number) => `${'['.repeat(levels)}${']'.repeat(levels)}`;

const pools: NodePool[] = [];
afterEach(async () => {
  for (const pool of pools.splice(0)) await pool.close();
});

const check = (json: string, sliceBytes = json.length): void => {
  const bytes = new TextEncoder().encode(json);
  const bounds = new JsonBounds();
  for (let at = 0; at < bytes.length; at += sliceBytes) bounds.push(bytes.subarray(at, at + sliceBytes));
};

it('lets through what is as deep as allowed, and refuses one level more', () => {
  expect(() => check(nested(MAX_JSON_DEPTH))).not.toThrow();
  expect(() => check(nested(MAX_JSON_DEPTH + 1))).toThrow(/nested more than 128 deep/);
  const objects = `${'{"a":'.repeat(200)}1${'}'.repeat(200)}`;
  expect(() => check(objects)).toThrow(/nested/);
});

it('counts values, lists and objects, names and texts wherever they lie', () => {
  const list = (count: number, item: string) => `[${Array.from({ length: count }, () => item).join()}]`;
  const half = list(MAX_JSON_VALUES / 2 - 1, '0');
  expect(() => check(half)).not.toThrow();
  expect(() => check(`{"a":${half},"b":${half}}`)).toThrow(/more than 131072 values/);
  expect(() => check(list(MAX_JSON_CONTAINERS - 1, '{}'))).not.toThrow();
  expect(() => check(list(MAX_JSON_CONTAINERS, '[]'))).toThrow(/more than 16384 lists and objects/);
  const names = (count: number) => `{${Array.from({ length: count }, (_, i) => `"${i}":0`).join()}}`;
  expect(() => check(names(MAX_JSON_NAMES))).not.toThrow();
  expect(() => check(names(MAX_JSON_NAMES + 1))).toThrow(/more than 32768 names/);
  expect(() => check(list(MAX_JSON_TEXTS, '"a"'))).not.toThrow();
  expect(() => check(list(MAX_JSON_TEXTS + 1, '"a"'))).toThrow(/more than 65536 texts and names/);
  expect(() => check(`[${names(10)},${list(MAX_JSON_TEXTS - 9, '"\\""')}]`)).toThrow(/texts and names/);
  for (const plain of ['null', '1', '"a"', 'true']) expect(() => check(plain)).not.toThrow();
});

it.each([1, 2, 3, 7])('does not count what stands in a text, cut every %i bytes', (sliceBytes) => {
  const text = JSON.stringify(`${'[{,:'.repeat(200)}"\\"[`.repeat(3));
  const key = JSON.stringify('\\');
  expect(() => check(`{"a":${text},${key}:"${'é['.repeat(200)}"}`, sliceBytes)).not.toThrow();
  expect(() => check(`[${text},${nested(MAX_JSON_DEPTH)}]`, sliceBytes)).toThrow(/nested/);
});

it('keeps a client from taking a node out of service with bodies that cannot be written again', async () => {
  const pool = new NodePool();
  pools.push(pool);
  const json = (value: unknown) => Response.json(value);
  const backend = createCustomBackend(
    { url: 'http://backend', timeouts: { connect: 1_000, firstByte: 1_000, idle: 1_000 } },
    {
      fetch: (async (url: string) =>
        json(
          url.endsWith('/models')
            ? { data: [{ id: 'm' }] }
            : { choices: [{ index: 0, message: { content: 'fine' }, finish_reason: 'stop' }] },
        )) as typeof fetch,
    },
  );
  pool.add({ id: 'proxy-1', name: 'backend', backend, maxConcurrent: 8, anyModel: false });
  const { send, post } = nativeApp(createRoutedBackend({ pool, provider: 'custom' }));
  const deep = `{"model":"m","messages":[],"x":${nested(200_000)}}`;
  for (let i = 0; i <= BREAKER_FAILURES; i++) {
    const refused = await send('/v1/chat/completions', { method: 'POST', body: deep });
    expect(refused.status).toBe(400);
    expect(await refused.json()).toMatchObject({ error: { code: 'invalid_request' } });
  }
  expect((await post('/v1/chat/completions', { model: 'm', messages: [] })).status).toBe(200);
});
