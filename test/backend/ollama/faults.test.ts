import OpenAI from 'openai';
import { afterEach, describe, expect, it } from 'vitest';
import type { OpenAiProxyConfig } from '../../../src/backend/proxy/openai-proxy.ts';
import { MAX_UPSTREAM_BODY_BYTES, MAX_UPSTREAM_EVENT_BYTES } from '../../../src/config/limits.ts';
import { Secret } from '../../../src/config/secret.ts';
import type { Failure, FakeOllamaOptions } from '../../support/fake-ollama.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { type OllamaSetup, setUpOllama, textOf } from '../../support/ollama-setup.ts';
import { until } from '../../support/until.ts';

let ollama: OllamaSetup;
afterEach(() => ollama.close());
const start = async (
  options: FakeOllamaOptions = {},
  config: Partial<OpenAiProxyConfig> = {},
  clock?: ManualClock,
) => {
  ollama = await setUpOllama(options, config, clock && { clock });
};
const failing = (failure: Failure) =>
  start({ fail: ({ path }) => (/chat/.test(path) ? failure : undefined) });

/** Reads a stream to its end: the text so far, and the error. */
async function readStream(extra: object = {}): Promise<{ text: string; error: unknown }> {
  const chunks: OpenAI.ChatCompletionChunk[] = [];
  try {
    const stream = await ollama.api.client.chat.completions.create({
      model: 'llama3.2',
      messages: [{ role: 'user', content: 'sing of the sea' }],
      temperature: 0,
      stream: true,
      ...extra,
    });
    for await (const chunk of stream) chunks.push(chunk);
    return { text: textOf(chunks), error: undefined };
  } catch (error) {
    return { text: textOf(chunks), error };
  }
}

describe('before the first byte: a status', () => {
  it.each([
    [
      { status: 404, error: "model 'llama3.2' not found" },
      404,
      'model_not_found',
      'run: ollama pull llama3.2',
    ],
    [
      { status: 404, error: 'model "llama3.2" not found, try pulling it first' },
      404,
      'model_not_found',
      'ollama pull',
    ],
    [
      { status: 503, error: 'server busy, please try again.  maximum pending requests exceeded' },
      429,
      'overloaded',
      'OLLAMA_MAX_QUEUE',
    ],
    [{ status: 400, error: 'something is off' }, 400, 'invalid_request', 'something is off'],
    [
      { status: 500, error: 'model requires more system memory (5.6 GiB) than is available (2.1 GiB)' },
      502,
      'backend_failed',
      'more system memory',
    ],
    [{ status: 502, error: '<html>Bad Gateway</html>', page: true }, 502, 'backend_failed', 'answered 502'],
    [
      { status: 404, error: '404 page not found', page: true },
      502,
      'backend_failed',
      'url in model_backend.yaml',
    ],
    [{ status: 401, error: 'unauthorized' }, 502, 'backend_failed', 'set api_key or bearer_token'],
    [{ status: 403, error: '', page: true }, 502, 'backend_failed', 'OLLAMA_HOST'],
    [{ status: 500, error: 'open model: file not found' }, 502, 'backend_failed', 'file not found'],
    [{ status: 301, error: '', page: true, headers: { location: '/x' } }, 502, 'backend_failed', 'redirect'],
  ])('%o', async (failure, status, code, message) => {
    await failing({ kind: 'status', ...failure });
    const refused = { status, code, message: expect.stringContaining(message) };
    await expect(ollama.chat()).rejects.toMatchObject(refused);
    expect((await readStream()).error).toMatchObject(refused);
    expect(ollama.reports).toEqual([]);
  });

  it('tells when to come back', async () => {
    await failing({ kind: 'status', status: 503, error: 'server busy', headers: { 'retry-after': '7' } });
    await expect(ollama.chat()).rejects.toSatisfy(
      (error) => error instanceof OpenAI.RateLimitError && error.headers.get('retry-after') === '7',
    );
  });

  it.each([
    [{ tools: [{ type: 'function', function: { name: 'f' } }] }, 'tools'],
    [{ think: true }, 'think'],
    [{ reasoning_effort: 'low' }, 'reasoning_effort'],
    [{ reasoning: { effort: 'low' } }, 'reasoning.effort'],
  ])('names the parameter that the model has nothing for: %o', async (extra, param) => {
    await start();
    await expect(ollama.chat(extra, 'tiny:1b')).rejects.toMatchObject({
      status: 400,
      code: 'unsupported_parameter',
      param,
    });
  });

  it('refuses a chat that is longer than the context, which Ollama would cut', async () => {
    await start();
    const content = 'word '.repeat(40);
    const messages = [{ role: 'user', content }];
    await expect(ollama.chat({ messages }, 'tiny:1b')).rejects.toMatchObject({
      status: 400,
      code: 'context_length_exceeded',
      param: 'messages',
      message: expect.stringContaining('num_ctx'),
    });
    await expect(ollama.complete({ prompt: content }, 'tiny:1b')).rejects.toMatchObject({
      code: 'context_length_exceeded',
      param: 'prompt',
    });
    const answer = await ollama.chat({ messages, num_ctx: 64 }, 'tiny:1b');
    expect(answer.choices[0]!.finish_reason).toBe('stop');
  });

  it('says how to start an Ollama that is not there', async () => {
    await start();
    await ollama.fake.close();
    await expect(ollama.chat()).rejects.toMatchObject({
      status: 502,
      code: 'backend_failed',
      message: expect.stringMatching(/ECONNREFUSED.*ollama serve.*model_backend\.yaml/),
    });
  });

  it('waits no longer than firstByte', async () => {
    const clock = new ManualClock();
    await start({ fail: () => ({ kind: 'stall', after: 0 }) }, {}, clock);
    const answer = readStream();
    await until(() => ollama.fake.running === 1 && clock.waitingMs.includes(30_000));
    clock.advance(30_000);
    expect((await answer).error).toMatchObject({ status: 504, code: 'deadline_exceeded' });
    await until(() => ollama.fake.running === 0);
  });
});

describe('after the first byte: an error event', () => {
  it.each<[Failure, string, string]>([
    [
      { kind: 'line', after: 3, error: 'llama runner process has terminated' },
      'backend_failed',
      'has terminated',
    ],
    [{ kind: 'end', after: 3 }, 'backend_failed', 'in the middle of the answer'],
    [{ kind: 'reset', after: 3 }, 'backend_failed', 'cannot be reached or broke off'],
    [
      { kind: 'bytes', after: 3, bytes: new TextEncoder().encode('{"model": oops}\n') },
      'backend_failed',
      'none of Ollama’s',
    ],
    [
      { kind: 'bytes', after: 3, bytes: new TextEncoder().encode('["done"]\n') },
      'backend_failed',
      'none of Ollama’s',
    ],
    [
      { kind: 'bytes', after: 3, bytes: new Uint8Array(2 * MAX_UPSTREAM_EVENT_BYTES).fill(120) },
      'backend_failed',
      `a line of more than ${MAX_UPSTREAM_EVENT_BYTES} bytes`,
    ],
  ])('%#', async (failure, code, message) => {
    await failing(failure);
    const { text, error } = await readStream();
    expect(text.split(' ')).toHaveLength(3);
    expect(error).toMatchObject({ code, message: expect.stringContaining(message) });
    await until(() => ollama.reports.length === 1 && ollama.fake.running === 0);
    expect(ollama.reports[0]).toMatchObject({ outcome: 'error', completionTokens: null });
    await expect(ollama.chat()).rejects.toMatchObject({ status: 502, code });
  });

  it('finds a silence in the middle', async () => {
    const clock = new ManualClock();
    await start(
      { fail: () => ({ kind: 'stall', after: 2 }) },
      { timeouts: { connect: 1, firstByte: 9_000, idle: 5_000 } },
      clock,
    );
    const stream = await ollama.api.client.chat.completions.create({
      model: 'llama3.2',
      messages: [{ role: 'user', content: 'a' }],
      stream: true,
    });
    const chunks = stream[Symbol.asyncIterator]();
    for (let words = 0; words < 2; ) if ((await chunks.next()).value.choices[0].delta.content) words++;
    const next = chunks.next();
    next.catch(() => {});
    await until(() => clock.waitingMs.includes(5_000));
    clock.advance(5_000);
    await expect(next).rejects.toMatchObject({ code: 'deadline_exceeded' });
  });

  it('finds that none of several choices begins', async () => {
    const clock = new ManualClock();
    await start({ fail: () => ({ kind: 'stall', after: 0 }) }, {}, clock);
    const answer = readStream({ n: 2 });
    await until(() => ollama.fake.running === 2 && clock.waitingMs.includes(30_000));
    clock.advance(30_000);
    expect((await answer).error).toMatchObject({ status: 504, code: 'deadline_exceeded' });
    await until(() => ollama.fake.running === 0);
  });

  it('bytes that are no UTF-8 become a replacement character', async () => {
    const line = (content: string, done: boolean) =>
      `${JSON.stringify({ model: 'm', message: { role: 'assistant', content }, done })}\n`;
    const bytes = new TextEncoder().encode(line('a#b', false) + line('', true));
    bytes[bytes.indexOf(35)] = 0xff;
    await start({ fail: () => ({ kind: 'bytes', after: 0, bytes }) });
    expect(await readStream()).toEqual({ text: 'a\uFFFDb', error: undefined });
  });
});

describe('the client', () => {
  it('frees Ollama when it hangs up, in the middle or before the first token', async () => {
    await start({ fail: ({ body }) => ({ kind: 'stall', after: body.keep_alive === 1 ? 0 : 2 }) });
    const request = {
      model: 'llama3.2',
      messages: [{ role: 'user' as const, content: 'a' }],
      stream: true as const,
    };
    const stream = await ollama.api.client.chat.completions.create(request);
    await stream[Symbol.asyncIterator]().next();
    stream.controller.abort();
    await until(() => ollama.fake.running === 0 && ollama.reports.length === 1);
    expect(ollama.reports[0]).toMatchObject({ outcome: 'aborted' });

    const early = new AbortController();
    const body = { ...request, keep_alive: 1 };
    const waiting = ollama.api.client.chat.completions.create(body, { signal: early.signal });
    waiting.catch(() => {});
    await until(() => ollama.fake.running === 1);
    early.abort();
    await until(() => ollama.fake.running === 0);
    expect(ollama.fake.hangUps).toBe(2);
  });

  it('that reads slowly slows Ollama down', async () => {
    let asked = 0;
    const content = 'x'.repeat(512 * 1024);
    const line = `${JSON.stringify({ model: 'm', message: { role: 'assistant', content }, done: false })}\n`;
    const bytes = new TextEncoder().encode(line);
    const endless = new ReadableStream<Uint8Array>(
      {
        pull(controller) {
          asked++;
          controller.enqueue(bytes);
        },
      },
      { highWaterMark: 0 },
    );
    ollama = await setUpOllama({}, {}, { fetch: async () => new Response(endless) });
    const response = await ollama.backend.chatCompletions(
      { model: 'm', messages: [{ role: 'user', content: 'a' }], stream: true },
      { signal: new AbortController().signal },
    );
    const reader = response.body!.getReader();
    for (let read = 0; read < 4; read++) await reader.read();
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(asked).toBeLessThan(10);
    await reader.cancel();
  });

  it('gets no whole answer without end', async () => {
    const content = 'x'.repeat(512 * 1024);
    const line = `${JSON.stringify({ model: 'm', message: { role: 'assistant', content }, done: false })}\n`;
    const bytes = new TextEncoder().encode(line);
    let cancelled = false;
    const endless = new ReadableStream<Uint8Array>({
      pull: (controller) => controller.enqueue(bytes),
      cancel: () => {
        cancelled = true;
      },
    });
    ollama = await setUpOllama({}, {}, { fetch: async () => new Response(endless) });
    await expect(ollama.chat()).rejects.toMatchObject({
      status: 502,
      message: expect.stringContaining(`more than ${MAX_UPSTREAM_BODY_BYTES} bytes; ask for a stream`),
    });
    expect(cancelled).toBe(true);
  });

  it('is told when the server goes down', async () => {
    await start({ fail: () => ({ kind: 'stall', after: 1 }) });
    const answer = readStream();
    await until(() => ollama.fake.running === 1);
    await ollama.backend.close();
    expect((await answer).error).toMatchObject({
      code: 'aborted',
      message: expect.stringContaining('shutting down'),
    });
  });
});

describe('keys', () => {
  it('go to Ollama, and to nobody else', async () => {
    const bearerToken = new Secret('hunter2-bearer');
    const told = 'the key hunter2-bearer is known to hunter2-bearer';
    await start(
      {
        bearer: 'hunter2-bearer',
        fail: ({ body }) =>
          body.keep_alive === 1 ? { kind: 'status', status: 400, error: told } : undefined,
      },
      { bearerToken },
    );
    expect((await ollama.chat()).choices[0]!.finish_reason).toBe('stop');
    expect(JSON.stringify(ollama.fake.requests)).not.toContain('clients-own-key');
    await expect(ollama.chat({ keep_alive: 1 })).rejects.toMatchObject({
      message: expect.stringContaining('the key *** is known to ***'),
    });
  });

  it('that are wrong are the operator’s matter', async () => {
    await start({ bearer: 'right' }, { bearerToken: new Secret('wrong-key') });
    const refused = ollama.chat();
    await expect(refused).rejects.toMatchObject({
      status: 502,
      message: expect.stringContaining('correct api_key'),
    });
    await expect(refused).rejects.not.toMatchObject({ message: expect.stringContaining('wrong-key') });
  });
});
