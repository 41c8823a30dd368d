import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import type { ShoalError } from '../../src/config/errors.ts';
import {
  CONNECT_DEADLINE_MS,
  MAX_CONTROL_BACKLOG_BYTES,
  RECONNECT_MAX_MS,
  RECONNECT_MIN_MS,
} from '../../src/config/limits.ts';
import { CONTROL_VERSION, type PeerMessage, type ServerMessage } from '../../src/mesh/protocol/control.ts';
import type { WebSocketLike } from '../../src/mesh/reconnecting-socket.ts';
import { SignalingClient, type SignalingClientOptions } from '../../src/mesh/signaling-client.ts';
import { systemTimers } from '../../src/mesh/timers.ts';
import { FakeTimers } from '../support/fake-timers.ts';

const welcome: ServerMessage = { type: 'welcome', version: CONTROL_VERSION, peer: 'peer-1', iceServers: [] };
const KEY = 'k'.repeat(43);
const hello: PeerMessage = { type: 'hello', version: CONTROL_VERSION, name: 'tab 1', key: KEY };
const leave: PeerMessage = { type: 'leave', reason: 'test' };
const token: PeerMessage = { type: 'token', sequence: 2, epoch: 1, position: 3, token: 4, finish: null };

class FakeSocket implements WebSocketLike {
  bufferedAmount = 0;
  onopen: WebSocketLike['onopen'] = null;
  onmessage: WebSocketLike['onmessage'] = null;
  onclose: WebSocketLike['onclose'] = null;
  onerror: WebSocketLike['onerror'] = null;
  readonly sent: PeerMessage[] = [];
  closed = false;

  send(text: string): void {
    this.sent.push(JSON.parse(text) as PeerMessage);
  }

  close(): void {
    this.closed = true;
  }

  open(): void {
    this.onopen?.(undefined as never);
  }

  say(message: unknown): void {
    this.onmessage?.({ data: JSON.stringify(message) });
  }

  lose(): void {
    this.onclose?.({ code: 1006, reason: '' });
  }
}

let timers: FakeTimers;
let sockets: FakeSocket[];
let states: string[];
let welcomes: string[];
let messages: ServerMessage[];
let errors: ShoalError[];

beforeEach(() => {
  timers = new FakeTimers();
  [sockets, states, welcomes, messages, errors] = [[], [], [], [], []];
});

const make = (change: Partial<SignalingClientOptions> = {}) => new SignalingClient({ ...base(), ...change });

function base(): SignalingClientOptions {
  return {
    url: 'ws://server/signal',
    name: 'tab 1',
    key: KEY,
    timers,
    random: () => 1,
    openSocket: () => {
      const socket = new FakeSocket();
      sockets.push(socket);
      return socket;
    },
    onState: (state) => states.push(state),
    onWelcome: ({ peer }) => welcomes.push(peer),
    onMessage: (message) => messages.push(message),
    onError: (error) => errors.push(error),
  };
}

function ready(): SignalingClient {
  const client = make();
  client.connect();
  sockets[0]!.open();
  sockets[0]!.say(welcome);
  return client;
}

describe('the signaling client', () => {
  it('greets, is welcomed, and passes messages on', () => {
    const client = ready();
    expect(states).toEqual(['connecting', 'greeting', 'ready']);
    expect(welcomes).toEqual(['peer-1']);
    sockets[0]!.say({ type: 'close', sequence: 2 });
    expect(messages).toEqual([{ type: 'close', sequence: 2 }]);
    expect(client.send(token)).toBe(true);
    expect(sockets[0]!.sent).toEqual([hello, token]);
  });

  it('sends nothing but hello before the welcome, and keeps nothing for a server that is away', () => {
    const client = make({ joinKey: 'open sesame' });
    expect(client.send(leave)).toBe(false);
    client.connect();
    sockets[0]!.open();
    expect(client.send(leave)).toBe(false);
    sockets[0]!.say(welcome);
    expect(client.send(token)).toBe(true);
    expect(sockets[0]!.sent).toEqual([{ ...hello, joinKey: 'open sesame' }, token]);
    sockets[0]!.lose();
    expect(client.send(token)).toBe(false);
  });

  it('is the same peer on every connection, whatever key it was made with', async () => {
    const client = new SignalingClient({ ...base(), key: undefined } as never);
    client.connect();
    sockets[0]!.open();
    sockets[0]!.lose();
    await timers.advance(RECONNECT_MIN_MS);
    sockets[1]!.open();
    const keys = sockets.map(({ sent }) => (sent[0] as typeof hello & { type: 'hello' }).key);
    expect(keys[0]).toMatch(/^[A-Za-z0-9_-]{43}$/);
    expect(keys[1]).toBe(keys[0]);
    expect(keys[0]).not.toBe(KEY);
  });

  it('gives a connection up that is not welcomed in time', async () => {
    const client = make();
    client.connect();
    await timers.advance(CONNECT_DEADLINE_MS - 1);
    expect([client.state, sockets.length]).toEqual(['connecting', 1]);
    await timers.advance(1);
    expect(client.state).toBe('waiting');
    expect(errors[0]?.message).toMatch(/has said nothing for 10 s; trying again/);
    await timers.advance(RECONNECT_MIN_MS);
    sockets[1]!.open();
    await timers.advance(CONNECT_DEADLINE_MS);
    expect(client.state).toBe('waiting');
    await timers.advance(2 * RECONNECT_MIN_MS);
    sockets[2]!.open();
    sockets[2]!.say(welcome);
    await timers.advance(10 * CONNECT_DEADLINE_MS);
    expect([client.state, timers.pending]).toEqual(['ready', 0]);
  });

  it('looks for the server as often as its owner asks', async () => {
    const client = make({ maxBackoffMs: () => 2 * RECONNECT_MIN_MS });
    client.connect();
    for (let failures = 0; failures < 6; failures++) {
      sockets.at(-1)!.lose();
      await timers.advance(2 * RECONNECT_MIN_MS);
      expect(sockets).toHaveLength(failures + 2);
    }
  });

  it('reconnects with a back-off that doubles up to its bound, and starts anew after a welcome', async () => {
    const client = ready();
    let delayMs = RECONNECT_MIN_MS;
    for (let failures = 0; failures < 8; failures++) {
      const before = sockets.length;
      sockets.at(-1)!.lose();
      expect(client.state).toBe('waiting');
      await timers.advance(delayMs - 1);
      expect(sockets).toHaveLength(before);
      await timers.advance(1);
      expect(sockets).toHaveLength(before + 1);
      delayMs = Math.min(RECONNECT_MAX_MS, 2 * delayMs);
    }
    expect(delayMs).toBe(RECONNECT_MAX_MS);
    sockets.at(-1)!.open();
    sockets.at(-1)!.say(welcome);
    sockets.at(-1)!.lose();
    const before = sockets.length;
    await timers.advance(RECONNECT_MIN_MS);
    expect(sockets).toHaveLength(before + 1);
  });

  it('jitters the back-off down to half', async () => {
    const client = make({ random: () => 0 });
    client.connect();
    sockets[0]!.lose();
    await timers.advance(RECONNECT_MIN_MS / 2);
    expect(sockets).toHaveLength(2);
  });

  it.each([
    ['of a later version', CONTROL_VERSION + 1, /reload the page/],
    ['of version 2', 2, /the page speaks control version 3, the server 2; update the server/],
  ])('refuses a server %s for good, and says who should update', async (_, version, who) => {
    const client = make();
    client.connect();
    sockets[0]!.open();
    sockets[0]!.say({ type: 'welcome', version, changed: 'shape' });
    expect(client.state).toBe('refused');
    expect(errors[0]).toMatchObject({ code: 'PROTOCOL_VERSION', message: expect.stringMatching(who) });
    expect(sockets[0]!.closed).toBe(true);
    await timers.advance(10 * RECONNECT_MAX_MS);
    expect(sockets).toHaveLength(1);
    expect(client.send(leave)).toBe(false);
  });

  it.each(['PROTOCOL_VERSION', 'UNAUTHORIZED'] as const)(
    'takes a refusal from the server that will be the same next time: %s',
    async (code) => {
      const client = make();
      client.connect();
      sockets[0]!.open();
      sockets[0]!.say({ type: 'error', error: { code, message: 'no' }, fatal: true });
      expect(client.state).toBe('refused');
      expect(errors).toMatchObject([{ code, message: 'no' }]);
      await timers.advance(10 * RECONNECT_MAX_MS);
      expect(sockets).toHaveLength(1);
    },
  );

  it('reports bad messages and goes on', () => {
    const client = ready();
    sockets[0]!.onmessage?.({ data: '{' });
    sockets[0]!.onmessage?.({ data: new ArrayBuffer(3) });
    sockets[0]!.say({ type: 'close', sequence: -2 });
    sockets[0]!.say(welcome);
    expect(errors.map((error) => error.code)).toEqual(Array(4).fill('PROTOCOL_INVALID'));
    expect([client.state, messages.length, welcomes.length]).toEqual(['ready', 0, 1]);
  });

  it('refuses to pile up what the server does not take', () => {
    const client = ready();
    sockets[0]!.bufferedAmount = MAX_CONTROL_BACKLOG_BYTES + 1;
    expect(() => client.send(token)).toThrow(expect.objectContaining({ code: 'OVERLOADED' }));
  });

  it('closed, stays closed', async () => {
    const client = ready();
    sockets[0]!.lose();
    client.close();
    await timers.advance(10 * RECONNECT_MAX_MS);
    expect([client.state, sockets.length, timers.pending]).toEqual(['closed', 1, 0]);
    expect(() => client.connect()).toThrow(/cannot go from closed to connecting/);
  });
});

describe('the signaling client with a real server', () => {
  let server: WebSocketServer;
  afterEach(() => {
    for (const socket of server.clients) socket.terminate();
    server.close();
  });

  it('comes back after the server dropped it', async () => {
    server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
    await new Promise((done) => server.once('listening', done));
    const heard: PeerMessage[] = [];
    let connections = 0;
    server.on('connection', (socket) => {
      const peer = `peer-${++connections}`;
      socket.on('message', (data) => {
        heard.push(JSON.parse(String(data)) as PeerMessage);
        if (heard.at(-1)?.type === 'hello') socket.send(JSON.stringify({ ...welcome, peer }));
        else socket.close(1001, 'going away');
      });
    });
    const { port } = server.address() as AddressInfo;
    const client = make({
      url: `ws://127.0.0.1:${port}/signal`,
      timers: systemTimers,
      random: () => 0,
      openSocket: (url) => new WebSocket(url) as unknown as WebSocketLike,
    });
    const second = new Promise<void>((done) => {
      const timer = setInterval(() => {
        if (welcomes.length === 1 && client.state === 'ready' && connections === 1) client.send(leave);
        if (welcomes.length < 2) return;
        clearInterval(timer);
        done();
      }, 5);
    });
    client.connect();
    await second;
    client.close();
    expect(welcomes).toEqual(['peer-1', 'peer-2']);
    expect(errors[0]?.message).toMatch(/1001: going away/);
    expect(heard[0]).toEqual(hello);
  });
});
