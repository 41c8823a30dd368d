/** Every digit as sent reaches a backend, and every digit of an answer the client, whatever is translated between. */
import { beforeEach, describe, expect, it } from 'vitest';
import type { Backend } from '../../../src/backend/backend.ts';
import { createFxnBackend } from '../../../src/backend/fxn/fxn.ts';
import { createOllamaBackend } from '../../../src/backend/ollama/ollama.ts';
import { NodePool } from '../../../src/backend/pool/node-pool.ts';
import { createRoutedBackend } from '../../../src/backend/pool/routed.ts';
import { createCustomBackend } from '../../../src/backend/proxy/custom.ts';
import type { OpenAiProxyConfig } from '../../../src/backend/proxy/openai-proxy.ts';
import { createVllmBackend } from '../../../src/backend/proxy/vllm.ts';
import { FakeGenerator, says } from '../../support/fake-generator.ts';
import { fakeModel } from '../../support/fake-model.ts';
import { nativeApp } from '../native-app.ts';
import { Pair, quiet } from '../provide/provide-pair.ts';

let got: string[];
let reply: string;
beforeEach(() => {
  got = [];
  reply = '{"choices":[{"index":0,"message":{"role":"assistant","content":"Hi"},"finish_reason":"stop"}]}';
});

const config: OpenAiProxyConfig = {
  url: 'http://backend',
  timeouts: { connect: 1_000, firstByte: 1_000, idle: 1_000 },
};
const fetch = (async (url: string | URL | Request, init?: RequestInit) => {
  if (String(url).endsWith('/models')) return Response.json({ data: [{ id: 'm' }] });
  if (String(url).endsWith('/api/tags')) return Response.json({ models: [{ name: 'm' }] });
  if (String(url).endsWith('/api/show')) return Response.json({});
  if (!init?.body) return Response.json({ version: '0.0' });
  got.push(String(init.body));
  const type = reply.startsWith('data:') ? 'text/event-stream' : 'application/json';
  return new Response(reply, { headers: { 'content-type': type } });
}) as typeof globalThis.fetch;

function behind(backend: Backend) {
  const pool = new NodePool();
  pool.add({ id: 'proxy-1', name: 'b', backend, maxConcurrent: 8, anyModel: false });
  const { send } = nativeApp(createRoutedBackend({ pool, provider: backend.provider }));
  return async (path: string, body: string) => {
    const answer = await send(path, { method: 'POST', body });
    const text = await answer.text();
    expect(answer.status, text).toBe(200);
    return text;
  };
}

/** Bug 21, and what else JSON.parse and JSON.stringify change. */
const BIG =
  '{"model":"m","seed":9223372036854775807,"metadata":{"trace":12345678901234567890,"deep":[[{"a":-9007199254740993}]]},' +
  '"temperature":1.0, "x":1e400,"y":-0,"z":0.12345678901234567890,"__proto__":{"a":1},"x":2,"s":"\\ud800",\n' +
  '"messages":[{"role":"user","content":"hi \\u00e9"}]}';

describe('a proxy sends a request on as it is', () => {
  it('to the last character', async () => {
    await behind(createCustomBackend(config, { fetch }))('/v1/chat/completions', BIG);
    expect(got).toEqual([BIG]);
    await behind(createVllmBackend(config, { fetch }))(
      '/v1/completions',
      '{"model":"m","prompt":"a","seed":18446744073709551615}',
    );
    expect(got[1]).toBe('{"model":"m","prompt":"a","seed":18446744073709551615}');
  });

  it('but for the model’s name', async () => {
    const backend = createCustomBackend({ ...config, modelNameAlias: 'theirs', fxnId: 'm' }, { fetch });
    await behind(backend)('/v1/chat/completions', BIG);
    expect(got).toEqual([BIG.replace('"m"', '"theirs"')]);
  });

  it.each([
    [
      '{"model":"m","seed":9007199254740993,"stream":true}',
      '"stream":true,"stream_options":{"include_usage":true}}',
    ],
    [
      '{"model":"m","stream_options":{"t":9007199254740993},"stream":true}',
      '{"t":9007199254740993,"include_usage":true},"stream":true}',
    ],
    [
      '{"model":"m","stream_options":null,"seed":9007199254740993,"stream":true}',
      '{"model":"m","stream_options":{"include_usage":true},"seed":9007199254740993,"stream":true}',
    ],
  ])('and but for the usage that vLLM is asked for: %s', async (body, end) => {
    reply =
      'data: {"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n';
    await behind(createVllmBackend(config, { fetch }))('/v1/chat/completions', body);
    expect(got[0]).toContain('9007199254740993');
    expect(got[0]!.endsWith(end)).toBe(true);
  });

  it('over a provider’s connection, too', async () => {
    const pair = new Pair({ backend: createCustomBackend(config, { fetch }) });
    pair.host.start();
    await quiet();
    const answer = await pair.node.backend.chatCompletions(JSON.parse(BIG), {
      signal: new AbortController().signal,
      text: BIG,
    });
    await answer.text();
    expect(got).toEqual([BIG]);
  });

  it('and the answer back', async () => {
    reply = `{"id":12345678901234567890,"model":"theirs","system_fingerprint":9007199254740993,"x":1.0,${reply.slice(1)}`;
    const backend = createCustomBackend({ ...config, modelNameAlias: 'theirs', fxnId: 'm' }, { fetch });
    const text = await behind(backend)('/v1/chat/completions', '{"model":"m","messages":[]}');
    expect(text).toBe(reply.replace('"theirs"', '"m"'));
  });
});

const TOOLS =
  '[{"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{"id":{"const":9007199254740993}}}}}]';

describe('a translation keeps the digits', () => {
  it('of Ollama’s requests', async () => {
    const body =
      '{"model":"m","stream":false,"options":{"seed":9223372036854775807},"format":{"const":12345678901234567890},' +
      `"tools":${TOOLS},"messages":[{"role":"user","content":"a"},` +
      '{"role":"assistant","content":"","tool_calls":[{"function":{"name":"f","arguments":{"id":9007199254740993}}}]}]}';
    await behind(createCustomBackend(config, { fetch }))('/api/chat', body);
    expect(got[0]).toContain('"seed":9223372036854775807');
    expect(got[0]).toContain('"schema":{"const":12345678901234567890}');
    expect(got[0]).toContain('"id":{"const":9007199254740993}');
    expect(got[0]).toContain(JSON.stringify('{"id":9007199254740993}'));
  });

  it('of what a model calls, in Ollama’s answers', async () => {
    const call = {
      index: 0,
      id: 'c',
      type: 'function',
      function: { name: 'f', arguments: '{"id":9007199254740993}' },
    };
    const message = { role: 'assistant', content: null, tool_calls: [call] };
    reply = JSON.stringify({ choices: [{ index: 0, message, finish_reason: 'tool_calls' }] });
    const ask = behind(createCustomBackend(config, { fetch }));
    const body = (stream: boolean) =>
      `{"model":"m","stream":${stream},"messages":[{"role":"user","content":"a"}]}`;
    expect(await ask('/api/chat', body(false))).toContain('"arguments":{"id":9007199254740993}');
    const delta = { tool_calls: [call] };
    reply = `data: ${JSON.stringify({ choices: [{ index: 0, delta, finish_reason: 'tool_calls' }] })}\n\ndata: [DONE]\n\n`;
    expect(await ask('/api/chat', body(true))).toContain('"arguments":{"id":9007199254740993}');
  });

  it('of requests to an Ollama, and of its answers', async () => {
    reply =
      '{"message":{"role":"assistant","content":"","tool_calls":[{"function":{"name":"f","arguments":{"id":9007199254740993}}}]},"done":true}\n';
    const text = await behind(createOllamaBackend(config, { fetch }))(
      '/v1/chat/completions',
      `{"model":"m","seed":9223372036854775807,"tools":${TOOLS},"messages":[{"role":"user","content":"a"},` +
        '{"role":"assistant","tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":"{\\"id\\":9007199254740995}"}}]}]}',
    );
    expect(got[0]).toContain('"id":{"const":9007199254740993}');
    expect(got[0]).toContain('"arguments":{"id":9007199254740995}');
    // The last 31 bits: Ollama reads seeds as doubles.
    expect(got[0]).toContain('"seed":2147483647');
    expect(text).toContain(JSON.stringify('{"id":9007199254740993}'));
  });
});

describe('the mesh’s seed', () => {
  const generator = new FakeGenerator(says('a'));
  const { send } = nativeApp(
    createFxnBackend({ generator, model: fakeModel, readiness: () => ({ ready: true, detail: '' }) }),
  );
  const ask = (seed: string) =>
    send('/v1/completions', { method: 'POST', body: `{"model":"fake","prompt":"a","seed":${seed}}` });

  it.each([
    ['9223372036854775807', 0xffff_ffff],
    ['9223372036854775806', 0xffff_fffe],
    ['-9223372036854775808', 0],
    ['18446744073709551615', 0xffff_ffff],
    ['9007199254740993', 1],
    ['-2', 0xffff_fffe],
    ['4294967296', 0],
  ])('takes 64 bits and uses the last 32: %s', async (seed, used) => {
    const answer = await ask(seed);
    expect(answer.status).toBe(200);
    await answer.text();
    expect(generator.requests.at(-1)!.sampling.seed).toBe(used);
  });

  it.each(['36893488147419103232', '-18446744073709551616', '1.5', '1e400'])(
    'refuses %s by name',
    async (seed) => {
      const answer = await ask(seed);
      expect(answer.status).toBe(400);
      expect((await answer.json()).error.param).toBe('seed');
    },
  );
});
