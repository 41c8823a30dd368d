import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import {
  CONTROL_BURST,
  CONTROL_DEAD_MS,
  CONTROL_PING_MS,
  HELLO_DEADLINE_MS,
  MAX_CONTROL_BACKLOG_BYTES,
  MAX_CONTROL_BYTES,
  MAX_PROTOCOL_OFFENCES,
  SIGNAL_BURST,
} from '../../../src/config/limits.ts';
import { parseServerMessage } from '../../../src/mesh/protocol/codec.ts';
import { CONTROL_VERSION, type ServerMessage } from '../../../src/mesh/protocol/control.ts';
import { until } from '../socket-timers.ts';
import { CAPABILITY } from './fake-worker.ts';
import { Harness } from './harness.ts';

let harness: Harness;
const sockets: Client[] = [];

beforeEach(async () => {
  harness = await Harness.start();
});
afterEach(async () => {
  for (const { socket } of sockets.splice(0)) socket.terminate();
  await harness.stop();
  expect(harness.timers.pending + harness.signalTimers.pending).toBe(0);
});

interface Client {
  readonly socket: WebSocket;
  readonly received: ServerMessage[];
  /** Close code, once closed. */
  closed: number | null;
}

async function connect(headers: Record<string, string> = {}): Promise<Client> {
  const socket = new WebSocket(harness.url, { headers });
  const client: Client = { socket, received: [], closed: null };
  sockets.push(client);
  socket.on('message', (data) => client.received.push(parseServerMessage(String(data))));
  socket.on('close', (code) => {
    client.closed = code;
  });
  await new Promise<void>((resolve, reject) => {
    socket.once('open', resolve);
    socket.on('error', reject);
  });
  return client;
}

async function greeted(name = 'tester'): Promise<Client & { id: string }> {
  const client = await connect();
  client.socket.send(JSON.stringify({ type: 'hello', version: CONTROL_VERSION, name }));
  await until(() => client.received.length > 0);
  const welcome = client.received[0]!;
  if (welcome.type !== 'welcome') throw new Error('no welcome');
  return Object.assign(client, { id: welcome.peer });
}

const errors = (client: Client) => client.received.filter((message) => message.type === 'error');

describe('the handshake', () => {
  it.each([
    ['a page of another origin', { origin: 'https://evil.example' }],
    ['a page without an origin', { origin: 'null' }],
    ['a rebound name', { host: 'evil.example' }],
  ])('refuses %s', async (_what, headers) => {
    await expect(connect(headers)).rejects.toThrow('403');
  });

  it('takes its own page, a configured origin, and who is no browser', async () => {
    const { host } = new URL(harness.url);
    await connect({ origin: `http://${host}` });
    await connect({ origin: 'https://friend.example' });
    await connect();
  });

  it('refuses other paths', async () => {
    const socket = new WebSocket(harness.url.replace('/signal', '/other'));
    await expect(new Promise((_resolve, reject) => socket.on('error', reject))).rejects.toThrow('404');
  });

  it('welcomes with a random id and the ICE servers', async () => {
    const [first, second] = [await greeted(), await greeted()];
    expect(first.received[0]).toMatchObject({ iceServers: [{ urls: 'stun:192.0.2.1:3478' }] });
    expect(first.id).toMatch(/^p-[0-9a-f]{16}$/);
    expect(second.id).not.toBe(first.id);
  });

  it('refuses another version with a sentence that says who should update', async () => {
    const client = await connect();
    client.socket.send(JSON.stringify({ type: 'hello', version: CONTROL_VERSION + 1, name: 'new' }));
    await until(() => client.closed !== null);
    expect(errors(client)[0]).toMatchObject({ fatal: true, error: { code: 'PROTOCOL_VERSION' } });
    expect(harness.mesh.registry.all()).toEqual([]);
  });

  it('closes who says something else first, or nothing', async () => {
    const rude = await connect();
    rude.socket.send(JSON.stringify({ type: 'join', capability: CAPABILITY }));
    await until(() => rude.closed !== null);
    expect(errors(rude)[0]).toMatchObject({ fatal: true, error: { code: 'PROTOCOL_INVALID' } });

    const silent = await connect();
    await until(() => harness.signalTimers.pending > 0);
    harness.signalTimers.advance(HELLO_DEADLINE_MS);
    await until(() => silent.closed !== null);
  });
});

describe('bad messages', () => {
  it.each([
    ['not JSON', '{'],
    ['of no known type', '{"type":"steal"}'],
    ['with a wrong field', '{"type":"leave"}'],
    ['binary', Buffer.from([1, 2, 3])],
    ['a second hello', JSON.stringify({ type: 'hello', version: CONTROL_VERSION, name: 'again' })],
  ])('%s: a typed error, and the connection goes on', async (_what, data) => {
    const client = await greeted();
    client.socket.send(data);
    await until(() => errors(client).length === 1);
    expect(errors(client)[0]).toMatchObject({ fatal: false, error: { code: 'PROTOCOL_INVALID' } });
    client.socket.send(JSON.stringify({ type: 'join', capability: CAPABILITY }));
    await until(() => client.received.some(({ type }) => type === 'assign'));
  });

  it('again and again close the connection', async () => {
    const client = await greeted();
    for (let i = 0; i < MAX_PROTOCOL_OFFENCES; i++) client.socket.send('{');
    await until(() => client.closed !== null);
    expect(client.closed).toBe(1008);
    expect(errors(client)).toHaveLength(MAX_PROTOCOL_OFFENCES);
    expect(errors(client).at(-1)).toMatchObject({ fatal: true });
    await until(() => harness.mesh.registry.all().length === 0);
  });

  it('that are too large close it, and nothing else is lost', async () => {
    await harness.joinAll(['a']);
    const client = await greeted();
    client.socket.send(JSON.stringify({ type: 'leave', reason: 'x'.repeat(MAX_CONTROL_BYTES) }));
    await until(() => client.closed !== null);
    expect(client.closed).toBe(1009);
    expect(harness.mesh.readiness().ready).toBe(true);
  });

  it('that come in a flood close it', async () => {
    const client = await greeted();
    const stats = {
      type: 'stats',
      tokensPerSecond: 1,
      sequences: 0,
      bytesSent: 0,
      bytesReceived: 0,
      hop: null,
    };
    const text = JSON.stringify(stats);
    for (let i = 0; i < CONTROL_BURST + MAX_PROTOCOL_OFFENCES + 10; i++) client.socket.send(text);
    await until(() => client.closed !== null);
    expect(client.closed).toBe(1013);
    expect(errors(client).at(-1)).toMatchObject({ fatal: true, error: { code: 'OVERLOADED' } });
  });
});

describe('liveness', () => {
  it('pings, and takes a worker that does not answer for gone', async () => {
    const client = await greeted();
    client.socket.send(JSON.stringify({ type: 'join', capability: CAPABILITY }));
    await until(() => harness.mesh.registry.workers().length === 1);
    let pings = 0;
    client.socket.on('ping', () => pings++);
    harness.signalTimers.advance(CONTROL_PING_MS);
    await until(() => pings === 1);
    client.socket.pause();
    harness.signalTimers.advance(CONTROL_DEAD_MS + CONTROL_PING_MS);
    await until(() => harness.mesh.registry.all().length === 0);
    expect(harness.mesh.readiness().ready).toBe(false);
  });

  it('closes who does not read what waits for it', async () => {
    const client = await greeted();
    client.socket.pause();
    const [peer] = harness.mesh.registry.all();
    const data = 'x'.repeat(MAX_CONTROL_BYTES);
    const error = { code: 'INTERNAL', message: data } as const;
    const flood = (message: ServerMessage) => {
      // The kernel's buffers take some before ours fill.
      for (
        let sent = 0;
        sent < 20 * MAX_CONTROL_BACKLOG_BYTES && peer!.state !== 'gone';
        sent += data.length
      ) {
        peer!.connection.send(message);
      }
    };
    // Signals of a neighbour are dropped instead.
    flood({ type: 'signal', from: 'p-0000000000000000', attempt: 0, data });
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(harness.mesh.registry.all()).toEqual([peer]);
    flood({ type: 'error', error, fatal: false });
    await until(() => harness.mesh.registry.all().length === 0);
  });
});

describe('signals', () => {
  const signal = (to: string) => JSON.stringify({ type: 'signal', to, attempt: 1, data: { sdp: 'offer' } });

  it('are relayed between neighbours, stamped with their sender', async () => {
    const [a, b] = await harness.joinAll(['a', 'b']);
    a!.send({ type: 'signal', to: b!.id, attempt: 1, data: { sdp: 'offer' } });
    await until(() => b!.messages('signal').length === 1);
    expect(b!.messages('signal')[0]).toEqual({
      type: 'signal',
      from: a!.id,
      attempt: 1,
      data: { sdp: 'offer' },
    });
  });

  it('that come in a flood are dropped, and close the connection of who sends them', async () => {
    const [a, b] = await harness.joinAll(['a', 'b']);
    for (let i = 0; i < SIGNAL_BURST + MAX_PROTOCOL_OFFENCES + 10; i++) {
      a!.send({ type: 'signal', to: b!.id, attempt: 1, data: i });
    }
    await until(() => a!.messages('error').some(({ fatal }) => fatal));
    expect(a!.messages('error').at(-1)).toMatchObject({ error: { code: 'OVERLOADED' } });
    await harness.heard(b!);
    expect(b!.messages('signal')).toHaveLength(SIGNAL_BURST);
  });

  it('are not relayed to or from strangers, nor to nobody', async () => {
    const [a] = await harness.joinAll(['a']);
    const stranger = await greeted('stranger');
    stranger.socket.send(signal(a!.id));
    stranger.socket.send(signal('p-0000000000000000'));
    stranger.socket.send('{');
    await until(() => errors(stranger).length === 1);
    expect(a!.messages('signal')).toEqual([]);
  });
});
