import { pino } from 'pino';
import { afterEach, expect, it } from 'vitest';
import type { Backend } from '../../src/backend/backend.ts';
import { createOllamaBackend } from '../../src/backend/ollama/ollama.ts';
import { NodePool } from '../../src/backend/pool/node-pool.ts';
import { createRoutedBackend } from '../../src/backend/pool/routed.ts';
import { createCustomBackend } from '../../src/backend/proxy/custom.ts';
import { BREAKER_FAILURES } from '../../src/config/limits.ts';
import { createAccess } from '../../src/server/access/access.ts';
import { createApp } from '../../src/server/app.ts';
import { createHostGuard } from '../../src/server/http/host-guard.ts';
import { Metrics } from '../../src/server/metrics/metrics.ts';
import { RequestsInFlight } from '../../src/server/requests-in-flight.ts';

const PROMPT = 'alice’s own prompt';
const config = { url: 'http://backend', timeouts: { connect: 1_000, firstByte: 1_000, idle: 1_000 } };

/** Servers that quote the request in their errors, as llama.cpp does with what it cannot parse. */
const quoting = (status: number, errorOf: (text: string) => unknown) =>
  (async (url: string, init?: RequestInit) => {
    if (init?.body === undefined)
      return Response.json(
        url.endsWith('/models')
          ? { data: [{ id: 'm' }] }
          : url.endsWith('/tags')
            ? { models: [{ name: 'm' }] }
            : { version: '1' },
      );
    return Response.json(errorOf(`cannot parse: ${init.body}`), { status });
  }) as typeof fetch;

const openAi = (text: string) => ({ error: { message: text } });
const ollama = (text: string) => ({ error: text });

const open: NodePool[] = [];
afterEach(async () => {
  for (const pool of open.splice(0)) await pool.close();
});

it.each<[string, Backend]>([
  ...[401, 403, 500, 502, 503, 504, 529].map((status): [string, Backend] => [
    `custom answers ${status}`,
    createCustomBackend(config, { fetch: quoting(status, openAi) }),
  ]),
  ['custom answers 200', createCustomBackend(config, { fetch: quoting(200, openAi) })],
  ['ollama answers 401', createOllamaBackend(config, { fetch: quoting(401, ollama) })],
  ['ollama answers 404', createOllamaBackend(config, { fetch: quoting(404, ollama) })],
  ['ollama answers 500', createOllamaBackend(config, { fetch: quoting(500, ollama) })],
])('what a backend quotes of a request is told to its client alone: %s', async (_what, backend) => {
  const pool = new NodePool();
  open.push(pool);
  pool.add({ id: 'proxy-1', name: 'backend', backend, maxConcurrent: 8, anyModel: false });
  let logged = '';
  const now = () => performance.now();
  const app = createApp({
    serving: {
      backend: createRoutedBackend({ pool, provider: 'custom' }),
      mesh: null,
      served: null,
      files: () => null,
    },
    requests: new RequestsInFlight(),
    page: new Map(),
    guard: createHostGuard({ boundHost: '127.0.0.1' }),
    access: createAccess({ now }),
    metrics: new Metrics({ models: async () => ['m'], provider: () => 'custom', now }),
    nodes: () => pool.statuses(),
    log: pino(
      { level: 'trace' },
      {
        write(line) {
          logged += line;
        },
      },
    ),
  });
  const ask = async (content: string) => {
    const body = JSON.stringify({ model: 'm', messages: [{ role: 'user', content }] });
    const init = { method: 'POST', body };
    return (await app.fetch(new Request('http://localhost/v1/chat/completions', init))).text();
  };
  const get = async (path: string) => (await app.fetch(new Request(`http://localhost${path}`))).text();

  expect(await ask(PROMPT)).toContain(PROMPT);
  for (let i = 0; i < BREAKER_FAILURES; i++) await ask(PROMPT);
  for (const told of [
    await ask('bob’s'),
    await get('/api/status'),
    await get('/health/ready'),
    await get('/metrics'),
    logged,
  ])
    expect(told).not.toContain(PROMPT);
  expect(logged).toContain('backend');
});
