import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Backend, Readiness, RequestContext } from '../../src/backend/backend.ts';
import type { NodeStatus } from '../../src/backend/pool/node-pool.ts';
import { ShoalError } from '../../src/config/errors.ts';
import { MAX_BODY_BYTES } from '../../src/config/limits.ts';
import { statusSchema } from '../../src/mesh/protocol/status.ts';
import { createAccess } from '../../src/server/access/access.ts';
import { type App, createApp } from '../../src/server/app.ts';
import type { ServedFiles } from '../../src/server/files/model-routes.ts';
import { readPageFiles } from '../../src/server/files/page-files.ts';
import { createHostGuard } from '../../src/server/http/host-guard.ts';
import { Mesh } from '../../src/server/mesh/mesh.ts';
import { Metrics } from '../../src/server/metrics/metrics.ts';
import { RequestsInFlight } from '../../src/server/requests-in-flight.ts';
import { TINY_LLAMA } from '../support/plain-llama.ts';
import { COSTS } from './mesh/harness.ts';
import { TestTimers } from './socket-timers.ts';

const log = pino({ level: 'silent' });
const WEIGHTS = Uint8Array.from({ length: 1_000 }, (_, i) => i % 251);

class FakeBackend implements Backend {
  readonly provider = 'fxn';
  ready: Readiness = { ready: false, detail: 'no worker' };
  answer: (body: unknown, signal: AbortSignal) => Promise<Response> = async (body) => Response.json({ body });
  models = async () => [{ id: 'org/fake', created: 7, ownedBy: 'shoal' }];
  readiness = async () => this.ready;
  chatCompletions = (body: unknown, { signal }: RequestContext) => this.answer(body, signal);
  completions = (body: unknown, { signal }: RequestContext) => this.answer({ raw: body }, signal);
  close = async () => {};
}

let directory: string;
let backend: FakeBackend;
let nodes: NodeStatus[] = [];
let app: App;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'shoal-app-'));
  await mkdir(join(directory, 'dist/assets'), { recursive: true });
  await mkdir(join(directory, 'dist/shaders'));
  await writeFile(join(directory, 'dist/index.html'), '<p>page</p>');
  await writeFile(join(directory, 'dist/assets/main-abc.js'), 'run()');
  await writeFile(join(directory, 'dist/shaders/gemv.wgsl'), '// kernel');
  await writeFile(join(directory, 'secret.txt'), 'TOP SECRET');
  await symlink(join(directory, 'secret.txt'), join(directory, 'dist/link.txt'));
  await writeFile(join(directory, 'model.safetensors'), WEIGHTS);
  const files: ServedFiles = {
    model: 'fake',
    spec: TINY_LLAMA,
    manifest: async ({ start, end }) => ({
      version: 1,
      model: `${start}-${end}`,
      spec: TINY_LLAMA,
      tensors: {},
    }),
    filePath: (name) => {
      if (name === 'model.safetensors') return join(directory, name);
      throw new ShoalError('NOT_FOUND', 'no weight file');
    },
  };
  backend = new FakeBackend();
  app = createApp({
    serving: {
      backend,
      mesh: new Mesh({
        model: 'fake',
        costs: COSTS,
        vocab: 1_000,
        wire: 'f16',
        timers: new TestTimers(),
        log,
      }),
      served: files,
      files: (model) => (model === files.model ? files : null),
    },
    requests: new RequestsInFlight(),
    page: await readPageFiles(join(directory, 'dist')),
    guard: createHostGuard({ boundHost: '127.0.0.1', allowedOrigins: ['https://friend.example'] }),
    access: createAccess({ now: () => performance.now() }),
    metrics: new Metrics({ models: async () => ['org/fake'], provider: () => 'fxn', now: () => 0 }),
    nodes: () => nodes,
    log,
  });
});
afterAll(() => rm(directory, { recursive: true }));

const get = (path: string, init?: RequestInit) =>
  Promise.resolve(app.fetch(new Request(`http://localhost:1${path}`, init)));
const post = (body: string, headers: Record<string, string> = {}) =>
  get('/v1/chat/completions', { method: 'POST', body, headers });
const errorOf = async (response: Response) => (await response.json()).error;

describe('the OpenAI routes', () => {
  it('hand the parsed body to the backend', async () => {
    expect(await (await post('{"a":1}')).json()).toEqual({ body: { a: 1 } });
    const raw = await get('/v1/completions', { method: 'POST', body: '{"b":2}' });
    expect(await raw.json()).toEqual({ body: { raw: { b: 2 } } });
  });

  it('name who answered on both APIs, and pass on which lenders may', async () => {
    const allowed: RequestContext['lenders'][] = [];
    const { chatCompletions } = backend;
    backend.chatCompletions = async (_body, { lenders, onRouted }) => {
      allowed.push(lenders);
      onRouted?.({ name: 'box (ollama)', lender: { id: 'provider-1-aa', name: 'böx' } });
      return Response.json({ choices: [{ message: { content: 'hi' } }] });
    };
    try {
      const by = 'name=box+%28ollama%29&lender=provider-1-aa&by=b%C3%B6x';
      const answered = async (response: Promise<Response>) => {
        await (await response).text();
        return (await response).headers.get('x-shoal-served-by');
      };
      expect(await answered(post('{}'))).toBe(by);
      const body = JSON.stringify({
        model: 'fake',
        stream: false,
        messages: [{ role: 'user', content: 'x' }],
      });
      const ollama = { method: 'POST', body, headers: { 'x-shoal-lenders': 'provider-1-aa' } };
      expect(await answered(get('/api/chat', ollama))).toBe(by);
      expect(allowed).toEqual([undefined, new Set(['provider-1-aa'])]);
    } finally {
      backend.chatCompletions = chatCompletions;
    }
  });

  it('list models and find one, a slash in its name included', async () => {
    const model = { id: 'org/fake', object: 'model', created: 7, owned_by: 'shoal' };
    expect(await (await get('/v1/models')).json()).toEqual({ object: 'list', data: [model] });
    expect(await (await get('/v1/models/org/fake')).json()).toEqual(model);
    const missing = await get('/v1/models/other');
    expect(missing.status).toBe(404);
    expect(await errorOf(missing)).toMatchObject({ code: 'model_not_found', param: 'model' });
  });

  it('refuse what is not JSON, and what is too large whether it says so or not', async () => {
    const bad = await post('{');
    expect(bad.status).toBe(400);
    expect(await errorOf(bad)).toMatchObject({ type: 'invalid_request_error', code: 'invalid_request' });
    const large = JSON.stringify('x'.repeat(MAX_BODY_BYTES));
    expect((await post(large, { 'content-length': String(large.length) })).status).toBe(413);
    const stream = new ReadableStream({
      start(controller) {
        controller.enqueue(new TextEncoder().encode(large));
        controller.close();
      },
    });
    const chunked = { method: 'POST', body: stream, duplex: 'half' } as RequestInit;
    const streamed = await get('/v1/chat/completions', chunked);
    expect(streamed.status).toBe(413);
    expect(await errorOf(streamed)).toMatchObject({ code: 'body_too_large' });
  });

  it('take the size of photos where a provider of a whole model has joined', async () => {
    const photo = JSON.stringify({ photo: 'x'.repeat(MAX_BODY_BYTES) });
    expect((await post(photo)).status).toBe(413);
    const node: NodeStatus = {
      id: 'p',
      name: 'box',
      provider: 'ollama',
      state: 'ready',
      inFlight: 0,
      maxConcurrent: 1,
      models: ['llava'],
      timeToFirstTokenMs: null,
      tokensPerSecond: null,
      lastError: null,
    };
    nodes = [node];
    try {
      const taken = await post(photo);
      expect(taken.status).toBe(200);
      await taken.text();
    } finally {
      nodes = [];
    }
  });

  it('give errors OpenAI’s shape and the code’s status, with Retry-After on 429', async () => {
    const original = backend.answer;
    backend.answer = async () => {
      throw new ShoalError('OVERLOADED', 'too many', { param: 'n' });
    };
    const busy = await post('{}');
    expect(busy.status).toBe(429);
    expect(busy.headers.get('retry-after')).toMatch(/^\d+$/);
    expect(await errorOf(busy)).toEqual({
      message: 'too many',
      type: 'rate_limit_error',
      param: 'n',
      code: 'overloaded',
    });
    backend.answer = async () => {
      throw new TypeError('secret path /etc');
    };
    const broken = await post('{}');
    expect(broken.status).toBe(500);
    expect((await errorOf(broken)).message).not.toContain('/etc');
    backend.answer = original;
  });

  it('tell the backend when the client hangs up', async () => {
    const original = backend.answer;
    let heard: AbortSignal | null = null;
    backend.answer = (_body, signal) => {
      heard = signal;
      return new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    };
    const client = new AbortController();
    const answer = get('/v1/chat/completions', { method: 'POST', body: '{}', signal: client.signal });
    await expect.poll(() => heard).not.toBeNull();
    client.abort();
    expect((await answer).status).toBe(499);
    backend.answer = original;
  });

  it('add their headers to a response whose own are immutable', async () => {
    const original = backend.answer;
    backend.answer = async () => Response.redirect('http://localhost:1/elsewhere', 302);
    expect((await post('{}')).headers.get('x-content-type-options')).toBe('nosniff');
    backend.answer = original;
  });

  it('count a stream as in flight until it is read or cancelled', async () => {
    const original = backend.answer;
    backend.answer = async () =>
      new Response(
        new ReadableStream({
          pull(controller) {
            controller.enqueue(new TextEncoder().encode('data: x\n\n'));
          },
        }),
      );
    const inFlight = async () => (await app.status(new AbortController().signal)).requestsInFlight;
    const response = await post('{}');
    expect(await inFlight()).toBe(1);
    await response.body!.cancel();
    expect(await inFlight()).toBe(0);
    backend.answer = original;
  });
});

describe('who may ask', () => {
  it('a rebound name and a foreign page are refused', async () => {
    const rebound = await get('/v1/models', { headers: { host: 'evil.example' } });
    expect(rebound.status).toBe(403);
    const foreign = await post('{}', { origin: 'https://evil.example', 'content-type': 'text/plain' });
    expect(foreign.status).toBe(403);
    expect((await post('{}', { origin: 'http://localhost:1' })).status).toBe(200);
    const preflight = await get('/v1/chat/completions', {
      method: 'OPTIONS',
      headers: { origin: 'https://evil.example' },
    });
    expect(preflight.headers.get('access-control-allow-origin')).toBeNull();
  });
});

describe('a page of a listed origin', () => {
  const origin = 'https://friend.example';

  it('is granted its preflight, whatever headers its client sends', async () => {
    const preflight = await get('/v1/chat/completions', {
      method: 'OPTIONS',
      headers: {
        origin,
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'authorization,content-type,x-stainless-lang',
      },
    });
    expect(preflight.status).toBe(204);
    expect(preflight.headers.get('access-control-allow-origin')).toBe(origin);
    expect(preflight.headers.get('access-control-allow-methods')).toContain('POST');
    expect(preflight.headers.get('access-control-allow-headers')).toBe(
      'authorization,content-type,x-stainless-lang',
    );
    expect(preflight.headers.get('access-control-allow-credentials')).toBeNull();
  });

  it('may read answers and errors of the API, streams included', async () => {
    const original = backend.answer;
    backend.answer = async () =>
      new Response('data: x\n\n', { headers: { 'content-type': 'text/event-stream' } });
    const responses = [
      await post('{}', { origin }),
      await get('/v1/models', { headers: { origin } }),
      await get('/v1/models/other', { headers: { origin } }),
      await post('{', { origin }),
      await get('/v1/nothing', { headers: { origin } }),
    ];
    backend.answer = original;
    expect(responses.map(({ status }) => status)).toEqual([200, 200, 404, 400, 404]);
    for (const { headers } of responses) {
      expect(headers.get('access-control-allow-origin')).toBe(origin);
      expect(headers.get('vary')).toMatch(/origin/i);
      expect(headers.get('cross-origin-resource-policy')).toBe('cross-origin');
    }
  });

  it('may join the mesh: manifests and weights are for it, too', async () => {
    const { headers } = await get('/models/other/manifest', { headers: { origin } });
    expect(headers.get('access-control-allow-origin')).toBe(origin);
    // Without it a page of another site cannot tell whether the range that came is the one it asked for.
    expect(headers.get('access-control-expose-headers')).toContain('content-range');
  });

  it('gets nothing else, and no other origin gets anything', async () => {
    for (const [path, from] of [
      ['/api/status', origin],
      ['/', origin],
      ['/v1/models', 'https://evil.example'],
      ['/v1/models', 'http://localhost:1'],
      ['/models/other/manifest', 'https://evil.example'],
    ] as const) {
      const { headers } = await get(path, { headers: { origin: from } });
      expect(headers.get('access-control-allow-origin')).toBeNull();
      expect(headers.get('cross-origin-resource-policy')).toBe('same-origin');
    }
  });
});

describe('health and status', () => {
  it('live is live; ready tells the truth with its reason', async () => {
    expect((await get('/health/live')).status).toBe(200);
    const unready = await get('/health/ready');
    expect(unready.status).toBe(503);
    expect(await unready.json()).toEqual({ ready: false, detail: 'no worker' });
    backend.ready = { ready: true, detail: 'served' };
    expect((await get('/health/ready')).status).toBe(200);
    backend.ready = { ready: false, detail: 'no worker' };
  });

  it('status has the shape that the page reads', async () => {
    const status = statusSchema.parse(await (await get('/api/status')).json());
    expect(status).toMatchObject({
      provider: 'fxn',
      ready: false,
      model: { id: 'fake', layers: 8, contextLength: 64 },
      pipeline: null,
      workers: [],
    });
  });
});

describe('model files', () => {
  const bytes = async (response: Response) => new Uint8Array(await response.arrayBuffer());

  it('give a manifest for a shard, and refuse others', async () => {
    const query = 'start=3&end=5&embedding=0&head=0';
    expect((await (await get(`/models/fake/manifest?${query}`)).json()).model).toBe('3-5');
    for (const bad of [
      'start=5&end=5&embedding=0&head=0',
      'start=0&end=9&embedding=0&head=0',
      'start=-1&end=5&embedding=0&head=0',
      'start=0&end=5&embedding=yes&head=0',
      'start=0',
    ]) {
      const response = await get(`/models/fake/manifest?${bad}`);
      expect([bad, response.status]).toEqual([bad, 400]);
    }
    expect((await get(`/models/other/manifest?${query}`)).status).toBe(404);
  });

  it('give ranges', async () => {
    const part = await get('/models/fake/model.safetensors', { headers: { range: 'bytes=10-19' } });
    expect(part.status).toBe(206);
    expect(part.headers.get('content-range')).toBe('bytes 10-19/1000');
    expect(part.headers.get('content-length')).toBe('10');
    expect(await bytes(part)).toEqual(WEIGHTS.slice(10, 20));
    const whole = await get('/models/fake/model.safetensors');
    expect(whole.status).toBe(200);
    expect(await bytes(whole)).toEqual(WEIGHTS);
    const beyond = await get('/models/fake/model.safetensors', { headers: { range: 'bytes=1000-' } });
    expect(beyond.status).toBe(416);
    expect(beyond.headers.get('content-range')).toBe('bytes */1000');
  });

  it('give the whole file when it has changed since the first range', async () => {
    const range = { range: 'bytes=0-9' };
    const etag = (await get('/models/fake/model.safetensors', { method: 'HEAD' })).headers.get('etag')!;
    const fresh = { headers: { ...range, 'if-range': etag } };
    expect((await get('/models/fake/model.safetensors', fresh)).status).toBe(206);
    const stale = { headers: { ...range, 'if-range': '"old"' } };
    expect((await get('/models/fake/model.safetensors', stale)).status).toBe(200);
  });

  it('answer HEAD without a body', async () => {
    const head = await get('/models/fake/model.safetensors', { method: 'HEAD' });
    expect(head.headers.get('content-length')).toBe('1000');
    expect(head.headers.get('accept-ranges')).toBe('bytes');
    expect(await head.text()).toBe('');
  });

  it.each(['config.json', '..%2fsecret.txt', '%2e%2e%2fsecret.txt', '..\\secret.txt'])(
    'do not give %s',
    async (name) => {
      expect((await get(`/models/fake/${name}`)).status).toBe(404);
    },
  );
});

describe('compression', () => {
  const GZIP = { headers: { 'accept-encoding': 'gzip, deflate, br' } };
  const gunzipped = async (response: Response) => gunzipSync(await response.arrayBuffer()).toString();

  it.each(['/openapi.json', '/models/fake/manifest?start=0&end=1&embedding=1&head=0'])(
    'of %s, which is not sent twice',
    async (path) => {
      const plain = await get(path);
      expect(plain.headers.get('vary')).toContain('Accept-Encoding');
      const zipped = await get(path, GZIP);
      expect(zipped.headers.get('content-encoding')).toBe('gzip');
      expect(JSON.parse(await gunzipped(zipped))).toEqual(await plain.json());
      const etag = zipped.headers.get('etag')!;
      expect(etag).not.toBe(plain.headers.get('etag'));
      const again = await get(path, { headers: { ...GZIP.headers, 'if-none-match': etag } });
      expect(again.status).toBe(304);
      expect(again.headers.get('vary')).toContain('Accept-Encoding');
      expect((await get(path, { headers: { 'if-none-match': '"other"' } })).status).toBe(200);
    },
  );

  it.each(['/api/status', '/metrics', '/v1/models', '/api/tags'])('of %s', async (path) => {
    const zipped = await get(path, GZIP);
    expect(zipped.headers.get('content-encoding')).toBe('gzip');
    const plain = await (await get(path)).text();
    // Metrics move on between two answers.
    expect((await gunzipped(zipped)).slice(0, 40)).toBe(plain.slice(0, 40));
    expect(zipped.headers.get('vary')).toContain('Accept-Encoding');
    const refused = await get(path, { headers: { 'accept-encoding': 'gzip;q=0, *;q=0' } });
    expect(refused.headers.get('content-encoding')).toBeNull();
  });

  it('leaves answers and weights as they are', async () => {
    const stream = new Response('data: {}\n\n'.repeat(500), {
      headers: { 'content-type': 'text/event-stream' },
    });
    backend.answer = async () => stream.clone();
    const answer = await get('/v1/chat/completions', { ...GZIP, method: 'POST', body: '{}' });
    expect(answer.headers.get('content-encoding')).toBeNull();
    backend.answer = async (body) => Response.json({ body });
    const part = await get('/models/fake/model.safetensors', {
      headers: { ...GZIP.headers, range: 'bytes=0-9' },
    });
    expect(part.status).toBe(206);
    expect(part.headers.get('content-encoding')).toBeNull();
    expect((await part.arrayBuffer()).byteLength).toBe(10);
  });
});

describe('the page', () => {
  it('has types, caching, and nothing from elsewhere', async () => {
    const index = await get('/');
    expect(await index.text()).toBe('<p>page</p>');
    expect(index.headers.get('content-type')).toBe('text/html; charset=utf-8');
    expect(index.headers.get('cache-control')).toBe('no-cache');
    expect(index.headers.get('content-security-policy')).toContain("default-src 'none'");
    expect(index.headers.get('content-security-policy')).toContain("frame-ancestors 'none'");
    expect(index.headers.get('x-content-type-options')).toBe('nosniff');
    const asset = await get('/assets/main-abc.js');
    expect(asset.headers.get('content-type')).toBe('text/javascript; charset=utf-8');
    expect(asset.headers.get('cache-control')).toContain('immutable');
    const shader = await get('/shaders/gemv.wgsl');
    expect(shader.headers.get('cache-control')).toBe('no-cache');
    const again = await get('/shaders/gemv.wgsl', {
      headers: { 'if-none-match': shader.headers.get('etag')! },
    });
    expect(again.status).toBe(304);
  });

  it('answers HEAD with the length and without the bytes', async () => {
    const head = await get('/', { method: 'HEAD' });
    expect(head.headers.get('content-length')).toBe(String('<p>page</p>'.length));
    expect(await head.text()).toBe('');
  });

  it.each([
    '/../secret.txt',
    '/..%2fsecret.txt',
    '/%2e%2e/secret.txt',
    '/link.txt',
    '/assets/',
    '//etc/passwd',
    '/nothing',
  ])('does not give %s', async (path) => {
    const response = await get(path);
    expect(response.status).toBe(404);
    expect(await response.text()).not.toContain('TOP SECRET');
  });

  it('that is not built says what to do', async () => {
    const unbuilt = createApp({
      serving: { backend, mesh: null, served: null, files: () => null },
      requests: new RequestsInFlight(),
      page: await readPageFiles(join(directory, 'none')),
      guard: createHostGuard({ boundHost: '127.0.0.1' }),
      access: createAccess({ now: () => performance.now() }),
      metrics: new Metrics({ models: async () => ['org/fake'], provider: () => 'fxn', now: () => 0 }),
      nodes: () => [],
      log,
    });
    const response = await unbuilt.fetch(new Request('http://localhost/'));
    expect(response.status).toBe(404);
    expect((await errorOf(response)).message).toContain('npm run build');
  });
});
