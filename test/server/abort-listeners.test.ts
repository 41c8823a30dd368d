/** However many requests at once, and however they end: no warning of a leak, and no listener left on anything. */
import { getEventListeners } from 'node:events';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Backend } from '../../src/backend/backend.ts';
import { Ending } from '../../src/backend/ending.ts';
import { createFxnBackend } from '../../src/backend/fxn/fxn.ts';
import { createOllamaBackend } from '../../src/backend/ollama/ollama.ts';
import { NodePool } from '../../src/backend/pool/node-pool.ts';
import { createRoutedBackend } from '../../src/backend/pool/routed.ts';
import { createCustomBackend } from '../../src/backend/proxy/custom.ts';
import { FakeGenerator, says, stallsAfter } from '../support/fake-generator.ts';
import { fakeModel } from '../support/fake-model.ts';
import { collect, Harness, request } from './mesh/harness.ts';
import { nativeApp } from './native-app.ts';

const AT_ONCE = 50;

/** What our code put on signals; the platform and Vitest have listeners of their own. */
const added: { readonly signal: AbortSignal; readonly listener: unknown }[] = [];
const endings = new Set<Ending>();
const warnings: string[] = [];
const onWarning = ({ name, message }: Error) => warnings.push(`${name}: ${message}`);

beforeEach(() => {
  added.length = 0;
  endings.clear();
  warnings.length = 0;
  process.on('warning', onWarning);
  vi.spyOn(AbortSignal.prototype, 'addEventListener').mockImplementation(function (
    this: AbortSignal,
    ...args: unknown[]
  ) {
    const [caller] = new Error()
      .stack!.split('\n')
      .filter((line) => !/^Error|abort-listeners|spy/.test(line));
    if (caller?.includes('/src/')) added.push({ signal: this, listener: args[1] });
    return EventTarget.prototype.addEventListener.apply(this, args as never);
  });
  const add = Ending.prototype.addEventListener;
  vi.spyOn(Ending.prototype, 'addEventListener').mockImplementation(function (this: Ending, ...args) {
    endings.add(this);
    return add.apply(this, args);
  });
});
afterEach(() => {
  process.off('warning', onWarning);
  vi.restoreAllMocks();
});

const left = () =>
  added.filter(({ signal, listener }) => {
    const now: unknown[] = getEventListeners(signal, 'abort');
    return !signal.aborted && now.includes(listener);
  }).length + [...endings].reduce((sum, { listeners }) => sum + listeners, 0);

/** Warnings are told in the next turn of the event loop. */
async function expectClean(): Promise<void> {
  expect(added.length + endings.size).toBeGreaterThan(0);
  await expect.poll(left, { timeout: 5_000 }).toBe(0);
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(warnings).toEqual([]);
}

const config = { url: 'http://backend', timeouts: { connect: 1_000, firstByte: 60_000, idle: 60_000 } };
const CHUNK = 'data: {"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":"stop"}]}\n\n';
const WHOLE = '{"choices":[{"index":0,"message":{"role":"assistant","content":"a"},"finish_reason":"stop"}]}';

/** A backend that begins each stream and, where it stalls, waits in its midst for its client to leave. */
const upstream = (stalls: boolean) =>
  (async (url: string | URL | Request, init?: RequestInit) => {
    if (String(url).endsWith('/models')) return Response.json({ data: [{ id: 'fake' }] });
    if (!init?.body) return Response.json({ version: '0.12.0', models: [{ name: 'fake' }] });
    if (String(url).includes('/api/')) {
      const line = (done: boolean) => `${JSON.stringify({ message: { content: 'a' }, done })}\n`;
      return streamOf(stalls ? [line(false)] : [line(false), line(true)], stalls, init.signal);
    }
    const wantsStream = String(init.body).includes('"stream":true');
    if (!wantsStream && !stalls)
      return new Response(WHOLE, { headers: { 'content-type': 'application/json' } });
    const type = wantsStream ? 'text/event-stream' : 'application/json';
    return streamOf(
      stalls ? [CHUNK.replace('"stop"', 'null')] : [CHUNK, 'data: [DONE]\n\n'],
      stalls,
      init.signal,
      type,
    );
  }) as typeof fetch;

function streamOf(
  texts: string[],
  stalls: boolean,
  signal?: AbortSignal | null,
  type = 'application/x-ndjson',
) {
  const encoder = new TextEncoder();
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      for (const text of texts) controller.enqueue(encoder.encode(text));
      if (!stalls) return controller.close();
      const fail = () => {
        signal?.removeEventListener('abort', fail);
        controller.error(signal?.reason);
      };
      signal?.addEventListener('abort', fail);
    },
  });
  return new Response(body, { headers: { 'content-type': type } });
}

const native = (stalls: boolean) =>
  createFxnBackend({
    generator: new FakeGenerator(stalls ? stallsAfter('He') : says('Hello')),
    model: fakeModel,
    readiness: () => ({ ready: true, detail: '' }),
  });

const BACKENDS: readonly [string, (stalls: boolean) => Backend][] = [
  ['the mesh', native],
  ['a proxy', (stalls) => createCustomBackend(config, { fetch: upstream(stalls) })],
  ['an Ollama', (stalls) => createOllamaBackend(config, { fetch: upstream(stalls) })],
];

function serve(backend: Backend) {
  const pool = new NodePool();
  pool.add({ id: 'n', name: 'n', backend, maxConcurrent: 2 * AT_ONCE, anyModel: false });
  const app = nativeApp(createRoutedBackend({ pool, provider: backend.provider }));
  const body = { model: 'fake', messages: [{ role: 'user', content: 'Hi' }], max_tokens: 8 };
  const ask = (path: string, extra: object, signal?: AbortSignal) =>
    app.send(path, {
      method: 'POST',
      body: JSON.stringify({ ...body, ...extra }),
      ...(signal && { signal }),
    });
  return { ...app, pool, ask };
}

const paths = ['/v1/chat/completions', '/api/chat'];
const each = <T>(make: (at: number) => T) => Array.from({ length: AT_ONCE }, (_, at) => make(at));

describe.each(BACKENDS)('%s', (_, open) => {
  it('answers many, one after the other and at once', async () => {
    const { ask, pool } = serve(open(false));
    const answer = async (at: number) => {
      const response = await ask(paths[at % 2]!, {
        stream: at % 3 === 0,
        n: at % 4 === 1 && at % 2 === 0 ? 8 : 1,
      });
      expect(response.status, await response.clone().text()).toBe(200);
      await response.text();
    };
    for (let at = 0; at < AT_ONCE; at++) await answer(at);
    await Promise.all(each(answer));
    await pool.close();
    await expectClean();
  });

  it('is left by many in the middle of their answers', async () => {
    const { ask, pool, requests } = serve(open(true));
    const clients = each(() => new AbortController());
    const answers = clients.map((client, at) =>
      ask(paths[at % 2]!, { stream: at % 5 !== 0 }, client.signal).then(
        async (response) => {
          const reader = response.body?.getReader();
          await reader?.read().catch(() => {});
          await reader?.cancel().catch(() => {});
        },
        () => {},
      ),
    );
    await expect.poll(() => requests.count).toBeGreaterThan(0);
    await new Promise((resolve) => setTimeout(resolve, 50));
    for (const client of clients) client.abort();
    await Promise.all(answers);
    await pool.close();
    await expectClean();
  });

  it('refuses many', async () => {
    const { ask, pool } = serve(open(false));
    const refused = async (at: number) => {
      // The first is found only when the answer is about to begin.
      const response = await ask(paths[0]!, at % 2 === 0 ? { logit_bias: { 9999: 1 } } : { n: -1 });
      await response.text();
    };
    await Promise.all(each(refused));
    await pool.close();
    await expectClean();
  });
});

it('many generations wait for the mesh and run on it', async () => {
  const harness = await Harness.start();
  const { coordinator } = harness.mesh;
  const clients = Array.from({ length: 20 }, () => new AbortController());
  const waiting = clients.map(({ signal }) =>
    collect(coordinator.generate(request(), signal)).catch(() => {}),
  );
  await new Promise((resolve) => setTimeout(resolve, 20));
  for (const client of clients) client.abort();
  await Promise.all(waiting);
  await harness.joinAll(['a', 'b']);
  const { signal } = new AbortController();
  for (let at = 0; at < 3; at++) await collect(coordinator.generate(request({ maxTokens: 3 }), signal));
  await harness.stop();
  await expectClean();
});

it('many nodes that are away are asked again', async () => {
  const pool = new NodePool();
  for (let at = 0; at < 20; at++) {
    const fetch = (async () => {
      throw new TypeError('fetch failed');
    }) as typeof globalThis.fetch;
    pool.add({
      id: `n${at}`,
      name: 'n',
      backend: createCustomBackend(config, { fetch }),
      maxConcurrent: 1,
      anyModel: false,
    });
  }
  await new Promise((resolve) => setTimeout(resolve, 50));
  await pool.close();
  await expectClean();
});
