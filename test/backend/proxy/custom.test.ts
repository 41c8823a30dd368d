import OpenAI from 'openai';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Backend } from '../../../src/backend/backend.ts';
import { NodePool } from '../../../src/backend/pool/node-pool.ts';
import { createRoutedBackend } from '../../../src/backend/pool/routed.ts';
import { createCustomBackend } from '../../../src/backend/proxy/custom.ts';
import type { OpenAiProxyConfig } from '../../../src/backend/proxy/openai-proxy.ts';
import {
  BREAKER_FAILURES,
  MAX_UPSTREAM_BODY_BYTES,
  MAX_UPSTREAM_EVENT_BYTES,
  UPSTREAM_ANSWER_MS,
} from '../../../src/config/limits.ts';
import { Secret } from '../../../src/config/secret.ts';
import { type ApiServer, serveApi } from '../../support/api-server.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { chunk, event, json, streams, UpstreamServer } from '../../support/upstream-server.ts';

const API_KEY = 'sk-hunter2-api';
const BEARER = 'hunter3-bearer';
const timeouts = { connect: 1_000, firstByte: 30_000, idle: 60_000 };

let upstream: UpstreamServer;
let url: string;
let backend: Backend;
let api: ApiServer;

beforeAll(async () => {
  api = await serveApi(() => backend);
});
afterAll(() => api.close());
beforeEach(async () => {
  upstream = new UpstreamServer();
  url = await upstream.listen();
  use({});
});
afterEach(() => upstream.close());

const use = (config: Partial<OpenAiProxyConfig>, clock?: ManualClock) => {
  backend = createCustomBackend({ url, timeouts, ...config }, clock && { clock });
};

const messages = [{ role: 'user' as const, content: 'Hi' }];
const chat = (extra: object = {}) =>
  api.client.chat.completions.create({
    model: 'mine',
    messages,
    ...extra,
  } as OpenAI.ChatCompletionCreateParamsNonStreaming);
const chatStream = (extra: object = {}) =>
  api.client.chat.completions.create({
    model: 'mine',
    messages,
    ...extra,
    stream: true,
  } as OpenAI.ChatCompletionCreateParamsStreaming);

const ANSWER = {
  id: 'chatcmpl-1',
  object: 'chat.completion',
  created: 1,
  model: 'llama3-8b',
  choices: [
    {
      index: 0,
      message: { role: 'assistant', content: 'Hello', refusal: null },
      logprobs: null,
      finish_reason: 'stop',
    },
  ],
  usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 },
  vendor: { cost: 1 },
};
const HELLO = [event(chunk('Hel')), event(chunk('lo')), event(chunk('', 'stop')), 'data: [DONE]\n\n'];

/** Reads a stream to its end: the text so far, and the error if it failed. */
async function read(extra: object = {}): Promise<{ text: string; models: Set<string>; error: unknown }> {
  let text = '';
  const models = new Set<string>();
  try {
    for await (const part of await chatStream(extra)) {
      text += part.choices[0]?.delta.content ?? '';
      models.add(part.model);
    }
    return { text, models, error: undefined };
  } catch (error) {
    return { text, models, error };
  }
}

describe('forwarding', () => {
  it('passes request and answer through untouched', async () => {
    upstream.handler = json(ANSWER);
    const answer = await chat({
      temperature: 0.3,
      seed: 7,
      tools: [{ type: 'function', function: { name: 'f' } }],
      vendor_option: 7,
    });
    expect(answer).toEqual(ANSWER);
    expect(upstream.received[0]).toMatchObject({
      method: 'POST',
      path: '/v1/chat/completions',
      body: {
        model: 'mine',
        messages,
        temperature: 0.3,
        seed: 7,
        tools: [{ type: 'function', function: { name: 'f' } }],
        vendor_option: 7,
      },
    });
  });

  it('forwards completions', async () => {
    upstream.handler = json({ ...ANSWER, object: 'text_completion' });
    await api.client.completions.create({ model: 'mine', prompt: 'Once' });
    expect(upstream.received[0]).toMatchObject({ path: '/v1/completions', body: { prompt: 'Once' } });
  });

  it.each([
    ['', '/v1/chat/completions'],
    ['/v1', '/v1/chat/completions'],
    ['/llm/a', '/llm/a/v1/chat/completions'],
    ['/llm/v1', '/llm/v1/chat/completions'],
    ['/llm/v1/', '/llm/v1/chat/completions'],
    ['///', '/v1/chat/completions'],
    ['/api/v1', '/api/v1/chat/completions'],
    ['/openai/v1', '/openai/v1/chat/completions'],
    ['/api/paas/v4', '/api/paas/v4/chat/completions'],
    ['/v1beta/openai', '/v1beta/openai/chat/completions'],
    ['/v1/chat/completions', '/v1/chat/completions'],
    ['/v1x', '/v1x/chat/completions'],
    ['/v1/models/mine', '/v1/models/mine/v1/chat/completions'],
  ])('finds the endpoint below "%s"', async (prefix, path) => {
    use({ url: `${url}${prefix}` });
    upstream.handler = json(ANSWER);
    await chat();
    expect(upstream.received[0]!.path).toBe(path);
  });

  it.each([
    [{}, undefined, undefined],
    [{ apiKey: new Secret(API_KEY) }, API_KEY, `Bearer ${API_KEY}`],
    [{ bearerToken: new Secret(BEARER) }, undefined, `Bearer ${BEARER}`],
    [{ apiKey: new Secret(API_KEY), bearerToken: new Secret(BEARER) }, API_KEY, `Bearer ${BEARER}`],
  ])('sends the node’s keys and never the client’s: %#', async (keys, apiKey, authorization) => {
    use(keys);
    upstream.handler = json(ANSWER);
    await chat();
    const { headers } = upstream.received[0]!;
    expect(headers['x-api-key']).toBe(apiKey);
    expect(headers.authorization).toBe(authorization);
    expect(JSON.stringify(upstream.received)).not.toContain('clients-own-key');
  });

  it('exchanges the model’s name both ways', async () => {
    use({ modelNameAlias: 'llama3-8b' });
    upstream.handler = json(ANSWER);
    const answer = await chat();
    expect(upstream.received[0]!.body.model).toBe('llama3-8b');
    expect(answer).toEqual({ ...ANSWER, model: 'mine' });
  });

  it('exchanges it in what a backend says of it, and nowhere else', async () => {
    use({ modelNameAlias: 'llama3' });
    upstream.handler = json(
      {
        error: {
          message: 'The model `llama3` is not llama3-8b.',
          type: 'NotFoundError',
          param: 'model',
          code: 404,
        },
      },
      404,
    );
    await expect(chat()).rejects.toMatchObject({
      status: 404,
      message: expect.stringContaining('The model `mine` is not llama3-8b.'),
    });
    upstream.handler = streams([
      event(chunk('llama3')),
      event({ error: { message: "model 'llama3' crashed" } }),
    ]);
    expect(await read()).toMatchObject({
      text: 'llama3',
      models: new Set(['mine']),
      error: { message: expect.stringContaining("model 'mine' crashed") },
    });
  });

  it('keeps every digit and escape of an answer, with an alias too', async () => {
    use({ modelNameAlias: 'llama3-8b' });
    const wire = '{"id":12345678901234567890,"model":"llama3-8b","choices":[{"x":1.0,"s":"\\u00e9\\/"}]}';
    upstream.handler = (response) =>
      response.writeHead(200, { 'content-type': 'application/json' }).end(wire);
    const response = await backend.chatCompletions(
      { model: 'mine', messages },
      { signal: new AbortController().signal },
    );
    expect(await response.text()).toBe(wire.replace('llama3-8b', 'mine'));
  });

  it('lists the backend’s models, or its own name for the one', async () => {
    upstream.handler = json({
      object: 'list',
      data: [{ id: 'llama3-8b', object: 'model', created: 5, owned_by: 'vllm' }, { id: 'other' }],
    });
    expect((await api.client.models.list()).data.map(({ id }) => id)).toEqual(['llama3-8b', 'other']);
    expect(upstream.received[0]).toMatchObject({ method: 'GET', path: '/v1/models' });
    use({ modelNameAlias: 'llama3-8b', fxnId: '2' });
    expect((await api.client.models.list()).data).toEqual([
      { id: '2', object: 'model', created: 5, owned_by: 'vllm' },
    ]);
  });

  it('is ready when the backend lists its models, and says why not otherwise', async () => {
    upstream.handler = json({ data: [{ id: 'a' }] });
    const { signal } = new AbortController();
    expect(await backend.readiness(signal)).toMatchObject({
      ready: true,
      detail: expect.stringContaining('a'),
    });
    upstream.handler = json({ status: 'ok' });
    expect(await backend.readiness(signal)).toMatchObject({
      ready: false,
      detail: expect.stringContaining('no model list'),
    });
    await upstream.close();
    expect(await backend.readiness(signal)).toMatchObject({
      ready: false,
      detail: expect.stringContaining('cannot be reached'),
    });
  });
});

describe('a backend without a list of models', () => {
  const { signal } = new AbortController();
  beforeEach(() => {
    upstream.handler = json({ detail: 'Not Found' }, 404);
  });

  it('serves the model that its alias names', async () => {
    use({ modelNameAlias: 'llama3-8b', fxnId: 'mine' });
    expect(await backend.models(signal)).toEqual([{ id: 'mine', created: 0, ownedBy: 'custom' }]);
    expect(await backend.readiness(signal)).toEqual({
      ready: true,
      detail: 'forwarding to llama3-8b of a custom backend, which has no list of models',
    });
  });

  it('is asked for that name without one', async () => {
    await expect(backend.models(signal)).rejects.toMatchObject({ code: 'BACKEND_FAILED' });
    expect(await backend.readiness(signal)).toMatchObject({
      ready: false,
      detail: expect.stringContaining('model_name_alias'),
    });
  });
});

describe('streams', () => {
  it('come through event for event', async () => {
    upstream.handler = streams(HELLO);
    expect(await read()).toEqual({ text: 'Hello', models: new Set(['llama3-8b']), error: undefined });
    expect(upstream.received[0]!.headers.accept).toBe('text/event-stream');
  });

  it('carry the client’s name for the model', async () => {
    use({ modelNameAlias: 'llama3-8b' });
    upstream.handler = streams(HELLO);
    expect(await read()).toEqual({ text: 'Hello', models: new Set(['mine']), error: undefined });
    expect(upstream.received[0]!.body.model).toBe('llama3-8b');
  });

  it('survive any cut, comments, CRLF and a missing last line break', async () => {
    use({ modelNameAlias: 'llama3-8b' });
    const wire = `: hello\r\n\r\n${[event(chunk('Zoë 🐟 ')), event(chunk('ok', 'stop'))].join('').replaceAll('\n', '\r\n')}data: [DONE]`;
    upstream.handler = streams([...new TextEncoder().encode(wire)].map((byte) => Uint8Array.of(byte)));
    expect(await read()).toEqual({ text: 'Zoë 🐟 ok', models: new Set(['mine']), error: undefined });
  });

  it('keep their headers but no cookie', async () => {
    upstream.handler = streams(HELLO);
    const response = await fetch(`${api.baseURL}/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'm', messages, stream: true }),
    });
    expect(await response.text()).toBe(HELLO.join(''));
    expect(response.headers.get('x-request-id')).toBe('r1');
    expect(response.headers.has('set-cookie')).toBe(false);
  });

  it('pass the first event on before the second is there', async () => {
    upstream.handler = streams([event(chunk('Hel'))], 'open');
    for await (const part of await chatStream()) {
      expect(part.choices[0]!.delta.content).toBe('Hel');
      break;
    }
    await expect.poll(() => upstream.hangUps).toBe(1);
  });

  it('end at the backend when the body is cancelled, without any signal', async () => {
    upstream.handler = streams([event(chunk('Hel'))], 'open');
    const { signal } = new AbortController();
    const response = await backend.chatCompletions({ model: 'm', messages, stream: true }, { signal });
    const reader = response.body!.getReader();
    await reader.read();
    // The stream reads ahead by one: it waits at the backend once the first event is taken.
    await new Promise((resolve) => setTimeout(resolve, 20));
    void reader.cancel();
    await expect.poll(() => upstream.hangUps).toBe(1);
  });

  it('read from the backend only what the client takes', async () => {
    let written = 0;
    upstream.handler = async (response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      const big = event(chunk('x'.repeat(64_000)));
      while (!response.destroyed && written < 2_000) {
        written++;
        if (!response.write(big)) await new Promise((resolve) => response.once('drain', resolve));
      }
      response.end();
    };
    const response = await backend.chatCompletions(
      { model: 'm', messages, stream: true },
      { signal: new AbortController().signal },
    );
    const reader = response.body!.getReader();
    await reader.read();
    // The sockets' own buffers take some megabytes; 2,000 events would be 128 MB.
    let before = -1;
    await vi.waitFor(
      () => {
        const still = written === before;
        before = written;
        expect(still).toBe(true);
      },
      { interval: 100, timeout: 5_000 },
    );
    expect(written).toBeLessThan(1_000);
    await reader.cancel();
    await expect.poll(() => upstream.hangUps).toBe(1);
  });

  it('end with an error when the connection is reset', async () => {
    upstream.handler = streams(HELLO.slice(0, 2), 'reset');
    const { text, error } = await read();
    expect(text).toBe('Hello');
    expect(error).toBeInstanceOf(OpenAI.APIError);
    expect(error).toMatchObject({ code: 'backend_failed' });
  });

  it('end with an error when the backend stops in mid-answer without a word', async () => {
    upstream.handler = streams(HELLO.slice(0, 2));
    expect((await read()).error).toMatchObject({
      code: 'backend_failed',
      message: expect.stringContaining('in the middle'),
    });
  });

  it('are whole without [DONE] when a finish reason came', async () => {
    upstream.handler = streams(HELLO.slice(0, 3));
    expect(await read()).toMatchObject({ text: 'Hello', error: undefined });
  });

  it('pass the backend’s own error event on', async () => {
    upstream.handler = streams([
      HELLO[0]!,
      event({ error: { message: 'CUDA out of memory', type: 'server_error', code: null } }),
    ]);
    expect(await read()).toMatchObject({
      text: 'Hel',
      error: { message: expect.stringContaining('CUDA out of memory') },
    });
  });

  it('end with an error when the backend stalls', async () => {
    const clock = new ManualClock();
    use({}, clock);
    upstream.handler = streams([event(chunk('Hel'))], 'open');
    const reading = read();
    await expect.poll(() => upstream.received).toHaveLength(1);
    // The first event may still be on its way: each wait for one starts the deadline anew.
    const done = reading.then(() => true);
    for (let ended = false; !ended; ) {
      await new Promise((resolve) => setTimeout(resolve, 20));
      clock.advance(timeouts.idle);
      ended = await Promise.race([done, new Promise<boolean>((resolve) => setTimeout(resolve, 20, false))]);
    }
    expect((await reading).error).toMatchObject({
      code: 'deadline_exceeded',
      message: expect.stringContaining('silent for 60 s'),
    });
    await expect.poll(() => upstream.hangUps).toBe(1);
  });

  it('do not hold an endless event', async () => {
    upstream.handler = streams([`data: ${'x'.repeat(MAX_UPSTREAM_EVENT_BYTES)}`, 'x'.repeat(1_000)], 'open');
    expect((await read()).error).toMatchObject({
      code: 'backend_failed',
      message: expect.stringContaining('event of more than'),
    });
    await expect.poll(() => upstream.hangUps).toBe(1);
  });
});

describe('failures', () => {
  const failure = async (extra: object = {}) => {
    const error = await chat(extra).then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    expect(error).toBeInstanceOf(OpenAI.APIError);
    return error as InstanceType<typeof OpenAI.APIError>;
  };

  it('nobody listens', async () => {
    await upstream.close();
    for (const stream of [false, true]) {
      expect(await failure({ stream })).toMatchObject({
        status: 502,
        code: 'backend_failed',
        message: expect.stringMatching(/ECONNREFUSED.*model_backend\.yaml/),
      });
    }
  });

  it.each([
    [
      'an OpenAI error with its status',
      json(
        { error: { message: 'too many', type: 'requests', param: null, code: 'rate_limit_exceeded' } },
        429,
        { 'retry-after': '7' },
      ),
      { status: 429, code: 'rate_limit_exceeded' },
      'too many',
    ],
    [
      'a proxy’s HTML page',
      (r) => void r.writeHead(503, { 'content-type': 'text/html' }).end('<title>no</title>'),
      { status: 503, code: 'backend_unavailable' },
      'is not available (503): no',
    ],
    ['another form of error', json({ detail: 'Not Found' }, 404), { status: 502 }, 'answered 404'],
    [
      'a redirect',
      (r) => void r.writeHead(302, { location: '/elsewhere' }).end(),
      { status: 502 },
      'redirect (302)',
    ],
    ['no JSON', (r) => void r.writeHead(200).end('hello'), { status: 502 }, 'not a JSON object'],
    ['a JSON list', json([]), { status: 502 }, 'not a JSON object'],
    ['a reset before the headers', (r) => void r.destroy(), { status: 502 }, 'broke off'],
    [
      'a reset in the body',
      (r) => void r.writeHead(200, { 'content-length': '100' }).write('{"id"', () => r.destroy()),
      { status: 502 },
      'broke off',
    ],
    [
      'too much',
      (r) => void r.writeHead(200).end('x'.repeat(MAX_UPSTREAM_BODY_BYTES + 1)),
      { status: 502 },
      `more than ${MAX_UPSTREAM_BODY_BYTES} bytes`,
    ],
  ] satisfies [string, UpstreamServer['handler'], object, string][])(
    '%s',
    async (_, handler, expected, message) => {
      upstream.handler = handler;
      const error = await failure();
      expect(error).toMatchObject(expected);
      expect(error.message).toContain(message);
      expect(upstream.received).toHaveLength(1);
    },
  );

  it('keeps retry-after', async () => {
    upstream.handler = json({ error: { message: 'too many' } }, 429, { 'retry-after': '7' });
    expect((await failure()).headers?.get('retry-after')).toBe('7');
  });

  it('a stream request answered without a stream', async () => {
    upstream.handler = json(ANSWER);
    expect((await read()).error).toMatchObject({
      status: 502,
      message: expect.stringContaining('application/json'),
    });
  });

  it('no headers in time', async () => {
    const clock = new ManualClock();
    use({}, clock);
    upstream.handler = () => {};
    const failing = failure();
    await expect.poll(() => upstream.received).toHaveLength(1);
    clock.advance(UPSTREAM_ANSWER_MS);
    expect(await failing).toMatchObject({ status: 504, code: 'deadline_exceeded' });
    await expect.poll(() => upstream.hangUps).toBe(1);
  });

  it('a client that hangs up before the answer', async () => {
    upstream.handler = () => {};
    const abort = new AbortController();
    const call = api.client.chat.completions
      .create({ model: 'm', messages }, { signal: abort.signal })
      .catch(() => 'aborted');
    await expect.poll(() => upstream.received).toHaveLength(1);
    abort.abort();
    expect(await call).toBe('aborted');
    await expect.poll(() => upstream.hangUps).toBe(1);
  });

  it('a body that is no request', async () => {
    const { signal } = new AbortController();
    for (const body of [null, [], 'x', {}, { model: 5 }, { model: 'm', stream: 'yes' }]) {
      await expect(backend.chatCompletions(body, { signal })).rejects.toMatchObject({
        code: 'INVALID_REQUEST',
      });
    }
    expect(upstream.received).toHaveLength(0);
  });

  it('ends everything when it closes', async () => {
    upstream.handler = streams([event(chunk('Hel'))], 'open');
    const stream = await chatStream();
    await backend.close();
    await expect(async () => {
      for await (const _ of stream);
    }).rejects.toThrow(/shutting down/);
    await expect.poll(() => upstream.hangUps).toBe(1);
  });
});

describe('one client’s failures', () => {
  it.each([
    ['its status', json({ error: { message: 'shape mismatch' } }, 500)],
    ['its first event', streams([event({ error: { message: 'shape mismatch', code: 500 } })])],
  ])('do not shut out the others where the only backend tells of them by %s', async (_, poisoned) => {
    const proxied = backend;
    const pool = new NodePool();
    pool.add({ id: 'only', name: 'only', backend: proxied, maxConcurrent: 8, anyModel: false });
    backend = createRoutedBackend({ pool, provider: 'custom' });
    upstream.handler = (response, received) => {
      if (received.path === '/v1/models') return json({ data: [{ id: 'mine' }] })(response, received);
      if ('poison' in received.body) return poisoned(response, received);
      return json(ANSWER)(response, received);
    };
    const poison = { poison: true, stream: true };
    for (let i = 0; i <= BREAKER_FAILURES; i++) {
      await expect(chat(poison)).rejects.toMatchObject({ status: 502, code: 'backend_failed' });
    }
    expect((await chat()).choices[0]!.message.content).toBe('Hello');
    await pool.close();
  });

  it('do, where no answer comes or a gateway answers for it', async () => {
    const pool = new NodePool();
    pool.add({ id: 'only', name: 'only', backend, maxConcurrent: 8, anyModel: false });
    backend = createRoutedBackend({ pool, provider: 'custom' });
    upstream.handler = json({ error: { message: 'Bad Gateway' } }, 502);
    for (let i = 0; i < BREAKER_FAILURES; i++) await expect(chat()).rejects.toMatchObject({ status: 502 });
    await expect(chat()).rejects.toMatchObject({ status: 503, code: 'backend_unavailable' });
    await pool.close();
  });
});

describe('secrets', () => {
  it('stay out of every error, even when the backend repeats them', async () => {
    use({ apiKey: new Secret(API_KEY), bearerToken: new Secret(BEARER) });
    const echo = `Incorrect API key provided: ${API_KEY} / ${BEARER}`;
    const told: string[] = [];
    const handlers: UpstreamServer['handler'][] = [
      json({ error: { message: echo, type: 'invalid_request_error', code: 'invalid_api_key' } }, 401),
      json({ detail: echo }, 401),
      (r) => void r.writeHead(302, { location: `/?key=${API_KEY}` }).end(),
      streams([event({ error: { message: echo } })]),
      streams([event(chunk(echo, 'stop'))]),
      (r) => void r.destroy(),
    ];
    for (const handler of handlers) {
      upstream.handler = handler;
      for (const stream of [false, true]) {
        const response = await fetch(`${api.baseURL}/chat/completions`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify({ model: 'm', messages, stream }),
        });
        told.push(await response.text(), JSON.stringify([...response.headers]));
      }
    }
    told.push(JSON.stringify(await backend.readiness(new AbortController().signal)));
    expect(upstream.received.some(({ headers }) => headers['x-api-key'] === API_KEY)).toBe(true);
    expect(told.join('\n')).toContain('Incorrect API key provided: *** / ***');
    expect(told.join('\n')).not.toMatch(/hunter/);
  });
});
