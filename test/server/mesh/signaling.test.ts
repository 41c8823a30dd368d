import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import {
  CONTROL_DEAD_MS,
  CONTROL_PING_MS,
  HELLO_DEADLINE_MS,
  MAX_CONTROL_BACKLOG_BYTES,
  MAX_CONTROL_BYTES,
} from '../../../src/config/limits.ts';
import { parseServerMessage } from '../../../src/mesh/protocol/codec.ts';
import { CONTROL_VERSION, type ServerMessage } from '../../../src/mesh/protocol/control.ts';
import { until } from '../socket-timers.ts';
import { hello, JOIN } from './control-harness.ts';
import { SignalingHarness } from './signaling-harness.ts';

const ICE = [{ urls: 'stun:192.0.2.1:3478' }];
let harness: SignalingHarness;
const sockets: Client[] = [];

beforeEach(async () => {
  harness = await SignalingHarness.start({ iceServers: ICE });
});
afterEach(async () => {
  for (const { socket } of sockets.splice(0)) socket.terminate();
  await harness.stop();
  expect(harness.timers.pending).toBe(0);
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
  client.socket.send(JSON.stringify(hello(name)));
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

  it('welcomes with an id and the ICE servers, and knows from where', async () => {
    const client = await greeted();
    expect(client.received[0]).toMatchObject({ version: CONTROL_VERSION, iceServers: ICE });
    expect(client.id).toMatch(/^p-[0-9a-f]{16}$/);
    expect(harness.peer('tester').address).toBe('127.0.0.1');
  });

  it('refuses another version with a sentence that says who should update', async () => {
    const client = await connect();
    client.socket.send(JSON.stringify({ type: 'hello', version: CONTROL_VERSION + 1, name: 'new' }));
    await until(() => client.closed !== null);
    expect(errors(client)[0]).toMatchObject({ fatal: true, error: { code: 'PROTOCOL_VERSION' } });
    expect(harness.registry.all()).toEqual([]);
  });

  it('refuses a key that is none', async () => {
    const client = await connect();
    client.socket.send(JSON.stringify({ ...hello('a'), key: 'short' }));
    await until(() => client.closed !== null);
    expect(errors(client)[0]).toMatchObject({ fatal: true, error: { code: 'PROTOCOL_INVALID' } });
  });

  it('closes who says something else first, or nothing', async () => {
    const rude = await connect();
    rude.socket.send(JSON.stringify(JOIN));
    await until(() => rude.closed !== null);
    expect(errors(rude)[0]).toMatchObject({ fatal: true, error: { code: 'PROTOCOL_INVALID' } });

    const silent = await connect();
    await until(() => harness.timers.pending > 0);
    await harness.timers.advance(HELLO_DEADLINE_MS);
    await until(() => silent.closed !== null);
  });
});

describe('a message', () => {
  it('that is binary is a typed error, and the connection goes on', async () => {
    const client = await greeted();
    client.socket.send(Buffer.from([1, 2, 3]));
    await until(() => errors(client).length === 1);
    expect(errors(client)[0]).toMatchObject({ fatal: false, error: { code: 'PROTOCOL_INVALID' } });
    client.socket.send(JSON.stringify(JOIN));
    await until(() => harness.registry.workers().length === 1);
  });

  it('that is too large closes it, and nothing else is lost', async () => {
    const other = await greeted('other');
    const client = await greeted();
    client.socket.send(JSON.stringify({ type: 'leave', reason: 'x'.repeat(MAX_CONTROL_BYTES) }));
    await until(() => client.closed !== null);
    expect(client.closed).toBe(1009);
    expect(other.closed).toBeNull();
  });
});

describe('liveness', () => {
  it('is not what a browser answers by itself', async () => {
    const client = await greeted();
    client.socket.send(JSON.stringify(JOIN));
    await until(() => harness.registry.workers().length === 1);
    let pings = 0;
    client.socket.on('ping', () => pings++);
    for (let ms = 0; ms < CONTROL_DEAD_MS; ms += CONTROL_PING_MS) {
      const before = pings;
      await harness.timers.advance(CONTROL_PING_MS);
      // Answered with a pong, as by every WebSocket.
      await until(() => pings > before || client.closed !== null);
    }
    await until(() => client.closed !== null);
    expect(harness.peer('tester').state).toBe('away');
  });

  it('closes who does not read what waits for it', async () => {
    const client = await greeted();
    client.socket.pause();
    const peer = harness.peer('tester');
    const data = 'x'.repeat(MAX_CONTROL_BYTES);
    const error = { code: 'INTERNAL', message: data } as const;
    const flood = (message: ServerMessage) => {
      // The kernel's buffers take some before ours fill.
      for (let sent = 0; sent < 20 * MAX_CONTROL_BACKLOG_BYTES && peer.state !== 'gone'; sent += data.length)
        peer.connection.send(message);
    };
    // Signals of a neighbour are dropped instead.
    flood({ type: 'signal', from: 'p-0000000000000000', attempt: 0, data });
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(harness.registry.all()).toEqual([peer]);
    flood({ type: 'error', error, fatal: false });
    await until(() => harness.registry.all().length === 0);
  });
});
