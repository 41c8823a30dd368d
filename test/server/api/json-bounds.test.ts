import { afterEach, expect, it } from 'vitest';
import { NodePool } from '../../../src/backend/pool/node-pool.ts';
import { createRoutedBackend } from '../../../src/backend/pool/routed.ts';
import { createCustomBackend } from '../../../src/backend/proxy/custom.ts';
import { BREAKER_FAILURES, MAX_JSON_DEPTH, MAX_JSON_VALUES } from '../../../src/config/limits.ts';
import { checkJsonBounds } from '../../../src/server/api/json-bounds.ts';
import { nativeApp } from '../native-app.ts';

const nested = (levels: number) => `${'['.repeat(levels)}${']'.repeat(levels)}`;

const pools: NodePool[] = [];
afterEach(async () => {
  for (const pool of pools.splice(0)) await pool.close();
});

it('lets through what is as deep as allowed, and refuses one level more', () => {
  expect(() => checkJsonBounds(JSON.parse(nested(MAX_JSON_DEPTH)))).not.toThrow();
  expect(() => checkJsonBounds(JSON.parse(nested(MAX_JSON_DEPTH + 1)))).toThrow(/nested more than 128 deep/);
  const objects = `${'{"a":'.repeat(200)}1${'}'.repeat(200)}`;
  expect(() => checkJsonBounds(JSON.parse(objects))).toThrow(/nested/);
});

it('counts values wherever they lie', () => {
  const half = Array.from({ length: MAX_JSON_VALUES / 2 }, () => 0);
  expect(() => checkJsonBounds({ a: half })).not.toThrow();
  expect(() => checkJsonBounds({ a: half, b: half })).toThrow(/more than 2000000 values/);
  for (const plain of [null, 1, 'a', true]) expect(() => checkJsonBounds(plain)).not.toThrow();
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
