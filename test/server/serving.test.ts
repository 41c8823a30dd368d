import { fileURLToPath } from 'node:url';
import { pino } from 'pino';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { openProxyNodes } from '../../src/backend/proxy-nodes.ts';
import { ShoalError } from '../../src/config/errors.ts';
import { RETIRED_NODE_MS } from '../../src/config/limits.ts';
import { parseModelBackend } from '../../src/config/model-backend.ts';
import type { WebSocketLike } from '../../src/mesh/reconnecting-socket.ts';
import { SignalingClient } from '../../src/mesh/signaling-client.ts';
import { systemTimers } from '../../src/mesh/timers.ts';
import { type ModelDirectory, openModelDirectory } from '../../src/model/directory.ts';
import type { ServedNode } from '../../src/server/node.ts';
import { type RunningServer, startServer } from '../../src/server/server.ts';
import { HeldBackend } from '../support/held-server.ts';
import { proxyNode, StreamingBackend } from '../support/streaming-backend.ts';
import { FakeWorker } from './mesh/fake-worker.ts';
import { TestTimers, until } from './socket-timers.ts';

const log = pino({ level: 'silent' });
const pageDirectory = fileURLToPath(new URL('./no-page', import.meta.url));
let minnow: ServedNode;
let other: ServedNode;
let server: RunningServer | null = null;
let timers: TestTimers;

beforeAll(async () => {
  const open = async (path: string): Promise<ServedNode> => {
    const model: ModelDirectory = await openModelDirectory(fileURLToPath(new URL(path, import.meta.url)));
    return { kind: 'mesh', model };
  };
  minnow = await open('../../models/minnow');
  other = await open('../fixtures/odd-llama');
});
afterEach(async () => {
  await server?.close();
  server = null;
  expect(timers.pending).toBe(0);
});

async function start(node: ServedNode): Promise<RunningServer> {
  timers = new TestTimers();
  server = await startServer({ node, port: 0, pageDirectory, log, timers });
  return server;
}

const signalUrl = (running: RunningServer) => `${running.url.replace('http', 'ws')}/signal`;

const ask = (running: RunningServer, body: object = {}) =>
  fetch(`${running.url}/v1/completions`, {
    method: 'POST',
    body: JSON.stringify({
      model: 'minnow',
      prompt: 'Hello',
      stream: true,
      max_tokens: 6,
      temperature: 0,
      ...body,
    }),
  });

/** A mesh of one worker that holds back every token until `release`. */
async function heldWorker(running: RunningServer) {
  const held: (() => void)[] = [];
  let isHolding = true;
  const worker = await FakeWorker.join(signalUrl(running), 'a', {
    misbehaviour: {
      onToken: (_worker, token, send) => (isHolding && token.position > 3 ? held.push(send) : send()),
    },
  });
  await until(() => worker.shards.size > 0);
  const release = () => {
    isHolding = false;
    for (const send of held.splice(0)) send();
  };
  return { worker, held, release };
}

const texts = async (response: Response) =>
  (await response.text())
    .split('\n\n')
    .filter((block) => block.startsWith('data: '))
    .map((block) => block.slice('data: '.length));

describe('a replaced proxy', () => {
  it('finishes its stream whole while new requests go to the next, and is closed after it', async () => {
    const [old, next] = [new StreamingBackend('old'), new StreamingBackend('next')];
    const running = await start(proxyNode(old));
    const across = await ask(running);
    await until(() => old.answers.length === 1);
    old.answers[0]!.say('before');
    const { retired } = await running.replace(proxyNode(next));
    old.answers[0]!.say('after');

    const whole = ask(running, { stream: false });
    await until(() => next.answers.length === 1);
    next.answers[0]!.end();
    expect(await (await whole).json()).toEqual({ from: 'next' });
    expect(old.isClosed).toBe(false);
    expect((await (await fetch(`${running.url}/v1/models`)).json()).data[0].id).toBe('next');

    old.answers[0]!.end();
    expect(await texts(across)).toEqual(['old', 'before', 'after']);
    await retired;
    expect(old.isClosed).toBe(true);
    expect(next.isClosed).toBe(false);
  });

  it('stays when the next one cannot be opened', async () => {
    const old = new StreamingBackend('old');
    const running = await start(proxyNode(old));
    const broken: ServedNode = {
      kind: 'proxy',
      provider: 'custom',
      open: () => {
        throw new ShoalError('CONFIG_INVALID', 'no such thing');
      },
    };
    await expect(running.replace(broken)).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
    const whole = ask(running, { stream: false });
    await until(() => old.answers.length === 1);
    old.answers[0]!.end();
    expect(await (await whole).json()).toEqual({ from: 'old' });
    const next = new StreamingBackend('next');
    await running.replace(proxyNode(next));
    await until(() => old.isClosed);
  });

  it('is ended after a generous time, with an error that the client can read', async () => {
    const old = new StreamingBackend('old');
    const running = await start(proxyNode(old));
    const endless = await ask(running);
    await until(() => old.answers.length === 1);
    const { retired } = await running.replace(proxyNode(new StreamingBackend('next')));
    timers.advance(RETIRED_NODE_MS - 1);
    expect(old.answers[0]!.signal.aborted).toBe(false);
    timers.advance(1);
    const [, error] = await texts(endless);
    expect(JSON.parse(error!).error).toMatchObject({ type: 'server_error', code: 'aborted' });
    await retired;
  });

  it('that forwards gives a slow reader every byte before it is closed', async () => {
    const [upstream, next] = [await HeldBackend.start('up'), new StreamingBackend('next')];
    const config = parseModelBackend(`backend_provider: custom\nurl: "${upstream.url}"`, 'test.yaml');
    if (config.provider === 'fxn') throw new Error('not what was written');
    const running = await start({
      kind: 'proxy',
      provider: config.provider,
      open: () => openProxyNodes(config),
    });
    const across = await ask(running, { model: 'up' });
    await until(() => upstream.streams.length === 1);
    const { retired } = await running.replace(proxyNode(next));
    const rest = 'x'.repeat(500_000);
    upstream.streams[0]!.finish(rest);
    // The client reads nothing meanwhile.
    await new Promise((resolve) => setTimeout(resolve, 100));
    const events = await texts(across);
    expect(events).toHaveLength(3);
    expect(events[1]).toContain(`${rest}, last`);
    expect(events[2]).toBe('[DONE]');
    await retired;
    await upstream.close();
  });

  it('takes replacements in turn, each closed when its own answers are over', async () => {
    const backends = ['a', 'b', 'c'].map((name) => new StreamingBackend(name));
    const [a, b, c] = backends as [StreamingBackend, StreamingBackend, StreamingBackend];
    const running = await start(proxyNode(a));
    const onA = await ask(running);
    await Promise.all([running.replace(proxyNode(b)), running.replace(proxyNode(c))]);
    await until(() => b.isClosed);
    expect([a.isClosed, c.isClosed]).toEqual([false, false]);
    a.answers[0]!.end();
    expect(await texts(onA)).toEqual(['a']);
    await until(() => a.isClosed);
  });

  it('is ended with the server, and nothing is served after that', async () => {
    const [old, next] = [new StreamingBackend('old'), new StreamingBackend('next')];
    const running = await start(proxyNode(old));
    const endless = await ask(running);
    const reading = texts(endless).catch(() => 'cut off');
    await until(() => old.answers.length === 1);
    await running.replace(proxyNode(next));
    await running.close();
    expect([old.isClosed, next.isClosed]).toEqual([true, true]);
    await reading;
    const late = new StreamingBackend('late');
    await expect(running.replace(proxyNode(late))).rejects.toMatchObject({ code: 'SHUTTING_DOWN' });
  });
});

it('opens what it serves anew at each start, so that a start on a taken port can be followed by another', async () => {
  const opened: StreamingBackend[] = [];
  const node: ServedNode = {
    ...proxyNode(new StreamingBackend('unused')),
    open: () => {
      const backend = new StreamingBackend(`${opened.length}`);
      opened.push(backend);
      return proxyNode(backend).open();
    },
  };
  const first = await start(proxyNode(new StreamingBackend('first')));
  const options = { node, pageDirectory, log, timers };
  await expect(startServer({ ...options, port: first.port })).rejects.toMatchObject({ code: 'PORT_IN_USE' });
  await first.close();
  server = await startServer({ ...options, port: 0 });
  expect(opened.map(({ isClosed }) => isClosed)).toEqual([true, false]);
  const whole = ask(server, { stream: false });
  await until(() => opened[1]!.answers.length === 1);
  opened[1]!.answers[0]!.end();
  expect(await (await whole).json()).toEqual({ from: '1' });
});

describe('a replaced mesh', () => {
  it('finishes its stream on its tabs before they are sent away; then there is no mesh', async () => {
    const running = await start(minnow);
    const { held, release, worker } = await heldWorker(running);
    const across = await ask(running);
    await until(() => held.length === 1);
    const next = new StreamingBackend('next');
    const { retired } = await running.replace(proxyNode(next));
    expect(running.needsWorkers).toBe(false);
    expect(worker.closeCode).toBeNull();
    const manifest = '/models/minnow/manifest?start=0&end=8&embedding=1&head=1';
    expect((await fetch(`${running.url}${manifest}`)).status).toBe(200);

    release();
    const events = await texts(across);
    expect(events.at(-1)).toBe('[DONE]');
    const reasons = events.slice(0, -1).map((event) => JSON.parse(event).choices[0]?.finish_reason ?? null);
    expect(reasons).toContain('length');
    await retired;
    await until(() => worker.closeCode !== null);
    expect(worker.closeCode).toBe(1001);
    expect((await fetch(`${running.url}${manifest}`)).status).toBe(404);
    expect((await running.status()).workers).toEqual([]);
  });

  it('is joined anew by its tabs when another model is served', async () => {
    const running = await start(minnow);
    let welcomes = 0;
    const client = new SignalingClient({
      url: signalUrl(running),
      name: 'tab',
      openSocket: (url) => new WebSocket(url) as unknown as WebSocketLike,
      timers: systemTimers,
      random: () => 0,
      onState: () => {},
      onWelcome: () => {
        welcomes++;
      },
      onMessage: () => {},
      onError: () => {},
    });
    client.connect();
    await until(() => welcomes === 1);
    await running.replace(other);
    await until(() => welcomes === 2);
    const live: number[] = [];
    running.onPipelineLive(({ stages }) => live.push(stages.length));
    const worker = await FakeWorker.join(signalUrl(running), 'a');
    await until(() => live.length === 1);
    expect([...worker.shards.values()].map(({ model }) => model)).toEqual(['odd-llama']);
    expect((await running.status()).model?.id).toBe('odd-llama');
    client.close();
  });

  it('comes after a proxy, whose streams it lets end', async () => {
    const old = new StreamingBackend('old');
    const running = await start(proxyNode(old));
    const across = await ask(running);
    await until(() => old.answers.length === 1);
    const live: number[] = [];
    running.onPipelineLive(({ stages }) => live.push(stages.length));
    await running.replace(minnow);
    expect(running.needsWorkers).toBe(true);
    await FakeWorker.join(signalUrl(running), 'a');
    await until(() => live.length === 1);
    expect((await ask(running, { stream: false })).status).toBe(200);
    old.answers[0]!.say('after');
    old.answers[0]!.end();
    expect(await texts(across)).toEqual(['old', 'after']);
    await until(() => old.isClosed);
  });
});
