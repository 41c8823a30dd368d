import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { request as httpsRequest } from 'node:https';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { pino } from 'pino';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import type { Backend } from '../../src/backend/backend.ts';
import { type ModelDirectory, openModelDirectory } from '../../src/model/directory.ts';
import { type RunningServer, type ServerOptions, startServer } from '../../src/server/server.ts';
import { proxyNode } from '../support/streaming-backend.ts';
import { FakeWorker } from './mesh/fake-worker.ts';
import { TestTimers, until } from './socket-timers.ts';

const log = pino({ level: 'silent' });
const pageDirectory = fileURLToPath(new URL('./no-page', import.meta.url));
let model: ModelDirectory;
let server: RunningServer | null = null;
let timers: TestTimers;

beforeAll(async () => {
  model = await openModelDirectory(fileURLToPath(new URL('../../models/minnow', import.meta.url)));
});
afterEach(async () => {
  await server?.close();
  server = null;
});

async function start(options: Partial<ServerOptions> = {}): Promise<RunningServer> {
  timers = new TestTimers();
  const node = { kind: 'mesh', model } as const;
  server = await startServer({ node, port: 0, pageDirectory, log, timers, ...options });
  return server;
}

const joinAll = (running: RunningServer, names: readonly string[]) =>
  Promise.all(names.map((name) => FakeWorker.join(`${running.url.replace('http', 'ws')}/signal`, name)));

const complete = (running: RunningServer, body: object, init: RequestInit = {}) =>
  fetch(`${running.url}/v1/completions`, {
    method: 'POST',
    body: JSON.stringify({ model: 'minnow', prompt: 'Hello', max_tokens: 8, temperature: 0, ...body }),
    ...init,
  });

describe('startServer', () => {
  it('answers over workers that join, and tells who served', async () => {
    const running = await start({ node: { kind: 'mesh', model, expectWorkers: 3, minStages: 3 } });
    expect(running).toMatchObject({ needsWorkers: true, warning: null, selfSigned: null });
    expect((await fetch(`${running.url}/health/ready`)).status).toBe(503);
    const live: number[] = [];
    running.onPipelineLive(({ stages }) => live.push(stages.length));
    await joinAll(running, ['a', 'b', 'c']);
    await until(() => live.length > 0);
    expect(live).toEqual([3]);
    expect((await fetch(`${running.url}/health/ready`)).status).toBe(200);
    const answer = await (await complete(running, {})).json();
    expect(answer.usage.completion_tokens).toBe(8);
    expect(answer.shoal.stages.map(({ layers }: { layers: number[] }) => layers[1])).toEqual([3, 6, 8]);
    const { workers, pipeline } = await running.status();
    expect(workers.map(({ state }) => state)).toEqual(['serving', 'serving', 'serving']);
    expect(pipeline?.stages).toHaveLength(3);
  });

  it('frees the stages when the client of a stream hangs up', async () => {
    const running = await start();
    const [worker] = await joinAll(running, ['a']);
    await until(() => worker!.messages('close').length === 1, 'it was probed');
    worker!.misbehaviour = { onToken: (_w, token, send) => token.position < 6 && send() };
    const client = new AbortController();
    const response = await complete(running, { stream: true }, { signal: client.signal });
    await response.body!.getReader().read();
    expect(worker!.sequences.size).toBe(1);
    client.abort();
    await until(() => worker!.sequences.size === 0);
    expect((await running.status()).requestsInFlight).toBe(0);
  });

  it('ends with nothing left: sockets, requests, timers', async () => {
    const running = await start();
    const [worker] = await joinAll(running, ['a']);
    await until(() => worker!.messages('close').length === 1, 'it was probed');
    worker!.misbehaviour = { onToken: () => {} };
    const pending = complete(running, {}).then(
      (response) => response.status,
      () => 'cut off',
    );
    await until(() => worker!.sequences.size === 1);
    const closing = running.close();
    expect(running.close()).toBeInstanceOf(Promise);
    await closing;
    expect([499, 'cut off']).toContain(await pending);
    expect(timers.pending).toBe(0);
    await expect(fetch(running.url)).rejects.toThrow();
  });

  it('has its state directory alone, until it is closed or could not start', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'shoal-state-'));
    const state = { directory, key: null };
    const first = await start({ state });
    await expect(start({ state })).rejects.toMatchObject({ code: 'STATE_IN_USE' });
    await first.close();
    const second = await start({ state });
    await second.close();
    await expect(start({ state, port: -1 })).rejects.toThrow();
    expect((await readdir(directory)).sort()).toEqual(['answers', 'key']);
    await rm(directory, { recursive: true });
  });

  it('names a port that is in use, and the way out', async () => {
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    const { port } = other.address() as { port: number };
    await expect(start({ port })).rejects.toMatchObject({
      code: 'PORT_IN_USE',
      message: expect.stringMatching(new RegExp(`port ${port}.*--port`)),
    });
    expect(timers.pending).toBe(0);
    await new Promise((resolve) => other.close(resolve));
  });

  it('with a certificate of its own serves https and wss', async () => {
    const running = await start({ tls: { kind: 'self-signed' } });
    expect(running.url).toMatch(/^https:/);
    const ca = running.selfSigned!.pem;
    const status = await new Promise((resolve, reject) => {
      httpsRequest(`${running.url}/health/live`, { ca }, (response) => {
        response.resume();
        resolve(response.statusCode);
      })
        .on('error', reject)
        .end();
    });
    expect(status).toBe(200);
    const socket = new WebSocket(`${running.url.replace('https', 'wss')}/signal`, { ca });
    await new Promise((resolve, reject) => {
      socket.on('open', resolve);
      socket.on('error', reject);
    });
    socket.terminate();
    expect((await running.fetch(`${running.url}/health/live`)).status).toBe(200);
  });

  it('says that a missing certificate file is missing', async () => {
    const tls = { kind: 'files', certFile: 'none.pem', keyFile: 'none.key' } as const;
    await expect(start({ tls })).rejects.toMatchObject({ code: 'CONFIG_INVALID', param: '--tls-cert' });
  });

  it('on the network over http warns that WebGPU will not work there, and how it will', async () => {
    const running = await start({ host: '0.0.0.0' });
    expect(running.urls[0]).toBe(`http://127.0.0.1:${running.port}`);
    expect(running.warning).toMatch(/secure context.*--tls-self-signed.*ssh -L/s);
  });

  it('with a proxy backend has no mesh', async () => {
    let closed = false;
    const backend: Backend = {
      provider: 'custom',
      models: async () => [],
      readiness: async () => ({ ready: true, detail: 'forwarded' }),
      chatCompletions: async () => Response.json({ ok: true }),
      completions: async () => Response.json({ ok: true }),
      close: async () => {
        closed = true;
      },
    };
    const running = await start({ node: proxyNode(backend) });
    expect(running.needsWorkers).toBe(false);
    expect((await fetch(`${running.url}/health/ready`)).status).toBe(200);
    expect((await fetch(`${running.url}/models/minnow/model.safetensors`)).status).toBe(404);
    const socket = new WebSocket(`${running.url.replace('http', 'ws')}/signal`);
    await expect(new Promise((_resolve, reject) => socket.on('error', reject))).rejects.toThrow('404');
    await running.close();
    expect(closed).toBe(true);
  });
});
