import { Agent, get, type IncomingMessage, request } from 'node:http';
import { fileURLToPath } from 'node:url';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openModelDirectory } from '../../src/model/directory.ts';
import { type RunningServer, startServer } from '../../src/server/server.ts';
import { proxyNode, StreamingBackend } from '../support/streaming-backend.ts';
import { FakeWorker } from './mesh/fake-worker.ts';
import { TestTimers, until } from './socket-timers.ts';

const log = pino({ level: 'silent' });
const pageDirectory = fileURLToPath(new URL('./no-page', import.meta.url));
const BODY = JSON.stringify({ model: 'm', stream: true });
let backend: StreamingBackend;
let server: RunningServer;
let timers: TestTimers;

beforeEach(async () => {
  timers = new TestTimers();
  backend = new StreamingBackend('node');
  server = await startServer({ node: proxyNode(backend), port: 0, pageDirectory, log, timers });
});
afterEach(async () => {
  await server.close();
  expect(timers.pending).toBe(0);
});

const ask = (body = BODY) => fetch(`${server.url}/v1/chat/completions`, { method: 'POST', body });

describe('a server that drains', () => {
  it('refuses new requests and is not ready, and a stream on its way arrives whole', async () => {
    const response = await ask();
    await until(() => backend.answers.length === 1);
    let isDrained = false;
    const drained = server.drain(30_000).then(() => {
      isDrained = true;
    });

    const refused = await ask();
    expect(refused.status).toBe(503);
    expect(refused.headers.get('retry-after')).toMatch(/^\d+$/);
    expect(refused.headers.get('connection')).toBe('close');
    expect((await refused.json()).error).toMatchObject({ code: 'shutting_down', type: 'server_error' });
    const ready = await fetch(`${server.url}/health/ready`);
    expect(ready.status).toBe(503);
    expect((await ready.json()).detail).toBe('shutting down; answers on their way: 1');
    expect((await fetch(`${server.url}/health/live`)).status).toBe(200);

    expect(isDrained).toBe(false);
    backend.answers[0]!.say('the rest');
    backend.answers[0]!.end();
    expect(await response.text()).toBe('data: node\n\ndata: the rest\n\n');
    await drained;
  });

  it('has nothing to wait for without requests', async () => {
    await server.drain(30_000);
  });

  it('reads no body of a request that it refuses', async () => {
    await server.drain(30_000);
    const upload = request(`${server.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-length': '1000' },
    });
    upload.on('error', () => {});
    upload.write('{');
    const response = await new Promise<IncomingMessage>((resolve) => upload.on('response', resolve));
    expect(response.statusCode).toBe(503);
    upload.destroy();
  });

  it('closes a kept connection after the answer that was on its way', async () => {
    const agent = new Agent({ keepAlive: true });
    const closed: string[] = [];
    const post = request(`${server.url}/v1/chat/completions`, { method: 'POST', agent });
    post.on('socket', (socket) => socket.on('end', () => closed.push('by the server')));
    post.end(BODY);
    const response = await new Promise<IncomingMessage>((resolve) => post.on('response', resolve));
    expect(response.headers.connection).toBe('keep-alive');
    await until(() => backend.answers.length === 1);
    const drained = server.drain(30_000);
    backend.answers[0]!.end();
    response.resume();
    await until(() => closed.length === 1);
    await drained;
    agent.destroy();
  });

  it('ends what takes too long with an error that the client can read, and a whole answer with 503', async () => {
    const stream = await ask();
    const whole = ask(JSON.stringify({ model: 'm', stream: false }));
    await until(() => backend.answers.length === 2);
    const drained = server.drain(30_000);
    timers.advance(29_999);
    expect(backend.answers.map(({ signal }) => signal.aborted)).toEqual([false, false]);
    timers.advance(1);
    const [, last] = (await stream.text()).split('\n\n');
    expect(JSON.parse(last!.slice('data: '.length)).error.code).toBe('shutting_down');
    const answer = await whole;
    expect(answer.status).toBe(503);
    expect((await answer.json()).error.code).toBe('shutting_down');
    await drained;
    expect(backend.isClosed).toBe(false);
  });

  it('waits no longer for a client that hung up', async () => {
    const client = new AbortController();
    const response = await fetch(`${server.url}/v1/chat/completions`, {
      method: 'POST',
      body: BODY,
      signal: client.signal,
    });
    await until(() => backend.answers.length === 1);
    const drained = server.drain(30_000);
    client.abort();
    await drained;
    await expect(response.text()).rejects.toThrow();
  });

  it('tells the tabs only when it closes', async () => {
    const model = await openModelDirectory(fileURLToPath(new URL('../../models/minnow', import.meta.url)));
    await server.replace({ kind: 'mesh', model });
    const worker = await FakeWorker.join(`${server.url.replace('http', 'ws')}/signal`, 'a');
    await until(() => worker.shards.size === 1);
    const held: (() => void)[] = [];
    worker.misbehaviour = { onToken: (_worker, _token, send) => held.push(send) };
    const completion = fetch(`${server.url}/v1/completions`, {
      method: 'POST',
      body: JSON.stringify({ model: 'minnow', prompt: 'Hello', max_tokens: 3, temperature: 0 }),
    });
    await until(() => held.length === 1);
    const drained = server.drain(30_000);
    worker.misbehaviour = {};
    held[0]!();
    expect((await (await completion).json()).usage.completion_tokens).toBe(3);
    await drained;
    expect(worker.closeCode).toBeNull();
    await server.close();
    await until(() => worker.closeCode === 1001);
  });

  it('lets the last bytes leave before its sockets are closed', async () => {
    await server.close();
    // With real time: test timers let a short wait pass at once.
    backend = new StreamingBackend('node');
    server = await startServer({ node: proxyNode(backend), port: 0, pageDirectory, log });
    const response = await ask();
    await until(() => backend.answers.length === 1);
    const drained = server.drain(30_000);
    const large = 'x'.repeat(4_000_000);
    backend.answers[0]!.say(large);
    backend.answers[0]!.end();
    const text = response.text();
    await drained;
    await server.close();
    expect((await text).length).toBe(`data: node\n\ndata: ${large}\n\n`.length);
  });
});

it('without a drain ends at once, whatever is on its way', async () => {
  const response = await ask();
  await until(() => backend.answers.length === 1);
  await server.close();
  await response.text().catch(() => {});
  await expect(
    new Promise((resolve, reject) => get(`${server.url}/health/live`, resolve).on('error', reject)),
  ).rejects.toThrow('ECONNREFUSED');
});
