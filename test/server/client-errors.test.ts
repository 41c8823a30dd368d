import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { APICallError, generateText, streamText } from 'ai';
import { Ollama } from 'ollama';
import OpenAI from 'openai';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MAX_PROXY_BODY_BYTES } from '../../src/config/limits.ts';
import type { AccessSettings } from '../../src/server/access/open-access.ts';
import type { RunningServer } from '../../src/server/server.ts';
import { openGateway } from '../support/gateway.ts';

/** Every status that the gateway may answer with, as the official clients see it. The backend does what `misbehave` says. */

let upstream: Server;
let gateway: RunningServer | undefined;
let directory: string;
let misbehave: (response: ServerResponse) => void;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'shoal-errors-'));
  upstream = createServer((request, response) => {
    request.resume().on('end', () => {
      if (request.url === '/v1/models') json(response, 200, { data: [{ id: 'm' }] });
      else misbehave(response);
    });
  });
  upstream.listen(0, '127.0.0.1');
  await once(upstream, 'listening');
});
afterEach(async () => {
  await gateway?.close();
  gateway = undefined;
  upstream.closeAllConnections();
  await new Promise((resolve) => upstream.close(resolve));
  await rm(directory, { recursive: true });
});

function json(response: ServerResponse, status: number, body: object, headers: object = {}): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
}

const fails = (status: number, headers?: object) => (response: ServerResponse) =>
  json(
    response,
    status,
    { error: { message: 'as told', type: 'x', param: 'temperature', code: null } },
    headers,
  );

async function open(access: AccessSettings = {}): Promise<string> {
  const { port } = upstream.address() as AddressInfo;
  gateway = await openGateway(
    `backend_provider: custom\nurl: http://127.0.0.1:${port}\ntimeout_seconds: { first_byte: 1, idle: 1 }\n`,
    access,
  );
  return gateway.url;
}

const messages = [{ role: 'user' as const, content: 'Hi' }];

/** What each client throws, as [status, message]; the openai client's class, too. */
async function thrown(url: string, content = 'Hi') {
  const said = [{ role: 'user' as const, content }];
  const openai = new OpenAI({ baseURL: `${url}/v1`, apiKey: 'sk-wrong', maxRetries: 0 });
  const ollama = new Ollama({ host: url, headers: { authorization: 'Bearer sk-wrong' } });
  const provider = createOpenAICompatible({ name: 'shoal', baseURL: `${url}/v1`, apiKey: 'sk-wrong' });
  const caught = async (call: Promise<unknown>) =>
    call.then(
      () => null,
      (error: unknown) => error,
    );
  const [byOpenAi, byOllama, bySdk] = await Promise.all([
    caught(openai.chat.completions.create({ model: 'm', messages: said })),
    caught(ollama.chat({ model: 'm', messages: said, stream: false })),
    caught(generateText({ model: provider('m'), messages: said, maxRetries: 0 })),
  ]);
  return { byOpenAi, byOllama, bySdk };
}

const CASES = [
  { status: 400, behaves: fails(400), type: OpenAI.BadRequestError, retryable: false, says: 'as told' },
  { status: 404, behaves: fails(404), type: OpenAI.NotFoundError, retryable: false, says: 'as told' },
  {
    status: 429,
    behaves: fails(429, { 'retry-after': '7' }),
    type: OpenAI.RateLimitError,
    retryable: true,
    says: '',
  },
  { status: 502, behaves: fails(500), type: OpenAI.InternalServerError, retryable: true, says: 'backend' },
  {
    status: 502,
    behaves: (response: ServerResponse) => response.destroy(),
    type: OpenAI.InternalServerError,
    retryable: true,
    says: 'backend',
  },
] as const;

describe('the official clients', () => {
  it.each(CASES)('understand a $status', async ({ status, behaves, type, retryable, says }) => {
    misbehave = behaves;
    const { byOpenAi, byOllama, bySdk } = await thrown(await open());
    expect(byOpenAi).toBeInstanceOf(type);
    expect(byOpenAi).toMatchObject({ status, message: expect.stringContaining(says) });
    expect(byOllama).toMatchObject({ status_code: status, message: expect.stringContaining(says) });
    expect(APICallError.isInstance(bySdk)).toBe(true);
    expect(bySdk).toMatchObject({ statusCode: status, isRetryable: retryable });
    if (status === 429) expect((byOpenAi as { headers: Headers }).headers.get('retry-after')).toBe('7');
  });

  it('understand that a stream’s first byte took too long', async () => {
    misbehave = () => {};
    const url = await open();
    const openai = new OpenAI({ baseURL: `${url}/v1`, apiKey: 'unused', maxRetries: 0 });
    const silent = { status: 504, code: 'deadline_exceeded' };
    await Promise.all([
      expect(openai.chat.completions.create({ model: 'm', messages, stream: true })).rejects.toMatchObject(
        silent,
      ),
      expect(new Ollama({ host: url }).chat({ model: 'm', messages, stream: true })).rejects.toMatchObject({
        status_code: 504,
        message: expect.stringContaining('silent'),
      }),
    ]);
  });

  it('understand that a key is missing', async () => {
    const keyFile = join(directory, 'keys.json');
    await writeFile(
      keyFile,
      JSON.stringify({
        version: 1,
        keys: [{ name: 'a', sha256: 'ab'.repeat(32), created: '2026-01-01T00:00:00.000Z' }],
      }),
    );
    const { byOpenAi, byOllama, bySdk } = await thrown(await open({ keyFile }));
    expect(byOpenAi).toBeInstanceOf(OpenAI.AuthenticationError);
    expect(byOpenAi).toMatchObject({ code: 'invalid_api_key' });
    expect(byOllama).toMatchObject({ status_code: 401, message: expect.stringContaining('key') });
    expect(bySdk).toMatchObject({ statusCode: 401, isRetryable: false });
  });

  // Three clients make 32 MiB of JSON each.
  it('understand that a body is too large', { timeout: 60_000 }, async () => {
    misbehave = fails(500);
    const { byOpenAi, byOllama, bySdk } = await thrown(await open(), 'x'.repeat(MAX_PROXY_BODY_BYTES));
    expect(byOpenAi).toMatchObject({ status: 413, code: 'body_too_large' });
    expect(byOllama).toMatchObject({ status_code: 413, message: expect.stringContaining('at most') });
    expect(bySdk).toMatchObject({ statusCode: 413, isRetryable: false });
  });

  it('understand that no node is left', async () => {
    misbehave = fails(502);
    const url = await open();
    await expect
      .poll(async () => (await thrown(url)).byOpenAi, { timeout: 10_000 })
      .toMatchObject({ status: 503 });
    const { byOpenAi, byOllama, bySdk } = await thrown(url);
    expect(byOpenAi).toMatchObject({ code: 'backend_unavailable' });
    expect((byOpenAi as { headers: Headers }).headers.get('retry-after')).toMatch(/^\d+$/);
    expect(byOllama).toMatchObject({ status_code: 503 });
    expect(bySdk).toMatchObject({ statusCode: 503, isRetryable: true });
  });

  it('throw when a stream breaks off after it began', async () => {
    misbehave = (response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write(`data: ${JSON.stringify({ choices: [{ index: 0, delta: { content: 'Hel' } }] })}\n\n`);
      setTimeout(() => response.destroy(), 50);
    };
    const url = await open();
    const openai = new OpenAI({ baseURL: `${url}/v1`, apiKey: 'unused', maxRetries: 0 });
    const byOpenAi = async () => {
      let text = '';
      const stream = await openai.chat.completions.create({ model: 'm', messages, stream: true });
      for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? '';
      return text;
    };
    await expect(byOpenAi()).rejects.toThrow(/backend/);
    const ollama = new Ollama({ host: url });
    const byOllama = async () => {
      for await (const _ of await ollama.chat({ model: 'm', messages, stream: true }));
    };
    await expect(byOllama()).rejects.toThrow(/backend/);
    const errors: unknown[] = [];
    const provider = createOpenAICompatible({ name: 'shoal', baseURL: `${url}/v1` });
    const stream = streamText({
      model: provider('m'),
      messages,
      maxRetries: 0,
      onError: ({ error }) => void errors.push(error),
    });
    for await (const _ of stream.textStream);
    expect(errors).toHaveLength(1);
  });
});
