import { beforeEach, describe, expect, it } from 'vitest';
import {
  IDLE_DRAIN_MS,
  LINK_LINGER_MS,
  MAX_RUNNING_PER_MESSAGE,
  RECONNECT_MAX_MS,
  RECONNECT_MIN_MS,
  RECONNECT_RUNNING_MAX_MS,
  WORKER_DRAIN_MS,
} from '../../../src/config/limits.ts';
import type { NegotiatedPeer, NegotiatedPeerOptions } from '../../../src/mesh/negotiated-peer.ts';
import { CONTROL_VERSION, type PeerMessage } from '../../../src/mesh/protocol/control.ts';
import { MeshTab, type TabEvent } from '../../../src/worker/tab/mesh-tab.ts';
import { FakeTimers, settle } from '../../support/fake-timers.ts';
import { FakeServer, hold, openFor } from './fake-server.ts';
import { CAPABILITY, heldShard, running, ScriptedWorker } from './scripted-worker.ts';

const KEY = 'k'.repeat(43);
const token: PeerMessage = { type: 'token', sequence: 1, epoch: 1, position: 3, token: 4, finish: null };
const opened: PeerMessage = { type: 'opened', sequence: 1, epoch: 1, position: 0, keptFrom: 0 };
const heldMessage: PeerMessage = {
  type: 'held',
  shard: 1,
  downloadedBytes: 100,
  gpuBytes: 3,
  loadMs: 1,
  kvPositions: 64,
};

let timers: FakeTimers;
let server: FakeServer;
let worker: ScriptedWorker;
let events: TabEvent[];
let peers: (NegotiatedPeerOptions & { destroyed: boolean })[];

beforeEach(() => {
  timers = new FakeTimers();
  server = new FakeServer();
  worker = new ScriptedWorker();
  [events, peers] = [[], []];
});

function makeTab(joinKey?: string): MeshTab {
  const tab = new MeshTab({
    serverUrl: 'http://server:1',
    name: 'tab 1',
    memoryBudgetBytes: 1_000,
    ...(joinKey !== undefined && { joinKey }),
    worker,
    environment: {
      openSocket: server.open,
      timers,
      random: () => 1,
      drawKey: () => KEY,
      openPeer: (options): NegotiatedPeer => {
        const peer = { ...options, destroyed: false };
        peers.push(peer);
        return {
          channel: `channel ${peers.length}` as unknown as RTCDataChannel,
          signal: () => {},
          destroy: () => {
            peer.destroyed = true;
          },
        };
      },
      warn: () => {},
    },
    on: (event) => events.push(event),
  });
  worker.onEvent = (event) => tab.told(event);
  return tab;
}

async function joined(): Promise<MeshTab> {
  const tab = makeTab();
  await tab.detect();
  tab.connect();
  await settle();
  return tab;
}

const send = (message: PeerMessage) => worker.onEvent({ type: 'send', message });
const links = (...names: string[]) =>
  server.say({ type: 'links', peers: names.map((peer) => ({ peer, name: peer })) });
const of = <Type extends TabEvent['type']>(type: Type) =>
  events.filter((event) => event.type === type) as Extract<TabEvent, { type: Type }>[];

describe('a tab of the mesh', () => {
  it('says who it is, and what it has as soon as it is welcomed', async () => {
    worker.has = { held: [heldShard(1)], links: ['peer-9'], running: [running(7)] };
    const tab = makeTab('open sesame');
    await tab.detect();
    expect(server.connections).toBe(0);
    tab.connect();
    await settle();
    expect(server.received).toEqual([
      { type: 'hello', version: CONTROL_VERSION, name: 'tab 1', key: KEY, joinKey: 'open sesame' },
      { type: 'join', capability: CAPABILITY, held: [heldShard(1)], links: ['peer-9'] },
      { type: 'running', sequences: [running(7)], last: true },
    ]);
    expect(of('welcomed')).toEqual([{ type: 'welcomed', peer: 'peer-5' }]);
    expect(of('shards').at(-1)?.shards).toMatchObject([{ shard: 1, phase: 'held' }]);
  });

  it('names its sequences in messages of bounded size, and says which is the last', async () => {
    const sequences = Array.from({ length: MAX_RUNNING_PER_MESSAGE + 1 }, (_, i) => running(i));
    worker.has = { held: [], links: [], running: sequences };
    await joined();
    expect(server.of('running').map(({ sequences: some, last }) => [some.length, last])).toEqual([
      [MAX_RUNNING_PER_MESSAGE, false],
      [1, true],
    ]);
  });

  it('passes what the server wants to the worker in order, and what the worker says to the server', async () => {
    await joined();
    worker.calls.length = 0;
    server.say(hold(1));
    server.say(openFor(1));
    server.say({ type: 'resume', sequence: 1, epoch: 1, position: 0, next: 0 });
    server.say({ type: 'prompt', sequence: 1, epoch: 1, position: 0, ids: [1], last: true });
    server.say({ type: 'retell', sequence: 1, epoch: 1, position: 0 });
    server.say({ type: 'close', sequence: 1 });
    server.say({ type: 'drop', shard: 1 });
    expect(worker.calls).toEqual(['hold', 'open', 'resume', 'prompt', 'retell', 'close', 'drop']);
    server.news();
    send(heldMessage);
    send(token);
    send({ type: 'alive' });
    expect(server.news()).toEqual(['held', 'token', 'alive']);
  });

  it('tells how far its shards are', async () => {
    await joined();
    server.say(hold(1, 0, 4));
    server.say(hold(1, 0, 4));
    send({ type: 'load-progress', shard: 1, phase: 'verify', bytesDone: 1, bytesTotal: 2 });
    expect(of('shards').at(-1)?.shards).toMatchObject([
      { shard: 1, phase: 'verify', bytesDone: 1, bytesTotal: 2, layers: { start: 0, end: 4 } },
    ]);
    send(heldMessage);
    server.say(hold(2, 4, 8));
    expect(of('shards').at(-1)).toMatchObject({
      downloadedBytes: 100,
      shards: [{ phase: 'held' }, { phase: 'download' }],
    });
    const error = { code: 'TENSOR_HASH', message: 'another hash' } as const;
    send({ type: 'load-failed', shard: 2, error });
    expect(of('load-failed')).toEqual([{ type: 'load-failed', error }]);
    server.say({ type: 'drop', shard: 1 });
    expect(of('shards').at(-1)?.shards).toEqual([]);
  });
});

describe('a tab whose server went away', () => {
  it('is the same peer when it is back: nothing is dropped, and what it has is told anew', async () => {
    await joined();
    server.say(hold(1));
    send(heldMessage);
    links('peer-9');
    peers[0]!.onConnect();
    server.die();
    expect(of('connection').at(-1)).toEqual({ type: 'connection', isConnected: false });
    server.news();
    worker.has = { held: [heldShard(1)], links: ['peer-9'], running: [running(3)] };
    await timers.advance(RECONNECT_MAX_MS);
    expect(server.received[0]).toMatchObject({ type: 'hello', key: KEY });
    expect(server.of('join')).toMatchObject([{ held: [{ shard: 1 }], links: ['peer-9'] }]);
    expect(worker.calls).not.toContain('end session');
    expect(worker.calls.filter((call) => call.startsWith('server'))).toEqual([
      'server there',
      'server away',
      'server there',
    ]);
    expect(peers.map(({ destroyed }) => destroyed)).toEqual([false]);
    links('peer-9');
    expect(peers).toHaveLength(1);
  });

  it('keeps nothing for it, and says nothing before the report that covers what was said before', async () => {
    await joined();
    server.die();
    send(token);
    worker.isSlow = true;
    await timers.advance(RECONNECT_MAX_MS);
    server.news();
    send(opened);
    worker.has = { held: [], links: [], running: [running(1)] };
    worker.tellReport();
    send(token);
    expect(server.news()).toEqual(['join', 'running', 'token']);
  });

  it('takes no report that an older connection asked for', async () => {
    await joined();
    worker.isSlow = true;
    server.die();
    await timers.advance(RECONNECT_MAX_MS);
    const late = worker.lastReport;
    server.die();
    await timers.advance(RECONNECT_MAX_MS);
    server.news();
    worker.tellReport(late);
    expect(server.news()).toEqual([]);
    worker.tellReport();
    expect(server.news()).toEqual(['join', 'running']);
  });

  it.each([
    ['while sequences run, at least every 2 s', true, RECONNECT_RUNNING_MAX_MS],
    ['else after up to 10 s', false, RECONNECT_MAX_MS],
  ])('looks for it: %s', async (_, runs, mostMs) => {
    await joined();
    if (runs) server.say(openFor(1));
    server.isAway = true;
    server.die();
    await timers.advance(30_000);
    const before = server.connections;
    await timers.advance(6 * mostMs);
    expect(server.connections - before).toBe(6);
  });

  it('begins no link while nobody carries signals, and makes those still wanted when somebody does', async () => {
    await joined();
    links('peer-8', 'peer-9');
    peers[0]!.onConnect();
    server.die();
    worker.onEvent({ type: 'link-lost', peer: 'peer-8', attempt: 1 });
    peers[1]!.onSignal({ type: 'offer', sdp: 'v=0' });
    await timers.advance(RECONNECT_MIN_MS);
    expect(server.connections).toBe(2);
    expect(peers).toHaveLength(2);
    server.news();
    // The server that has come back does not know yet that they are linked.
    peers.at(-1)!.onSignal({ type: 'offer', sdp: 'v=0' });
    expect(server.news()).toEqual([]);
    links('peer-8', 'peer-9');
    expect(peers).toHaveLength(4);
    peers[2]!.onSignal({ type: 'offer', sdp: 'v=0' });
    expect(server.news()).toEqual(['signal']);
  });

  it('starts anew where it is another peer to the server', async () => {
    await joined();
    server.say(hold(1));
    send(heldMessage);
    links('peer-9');
    server.die();
    server.peer = 'peer-6';
    await timers.advance(RECONNECT_MAX_MS);
    expect(worker.calls).toContain('end session');
    expect(peers[0]!.destroyed).toBe(true);
    expect(of('shards').at(-1)?.shards).toEqual([]);
    expect(of('welcomed').at(-1)?.peer).toBe('peer-6');
  });
});

describe('the links of a tab', () => {
  it('are made as the server wants them; others go a while later', async () => {
    await joined();
    links('peer-8', 'peer-9', 'peer-5');
    expect(worker.accepted.map(([peer]) => peer)).toEqual(['peer-8', 'peer-9']);
    for (const peer of peers) peer.onConnect();
    links('peer-9');
    await timers.advance(LINK_LINGER_MS - 1);
    expect(peers.map(({ destroyed }) => destroyed)).toEqual([false, false]);
    await timers.advance(1);
    expect(peers.map(({ destroyed }) => destroyed)).toEqual([true, false]);
    expect(worker.calls).toContain('drop link peer-8');
  });

  it('that do not come are told to the server', async () => {
    await joined();
    links('peer-9');
    for (let tries = 0; tries < 4; tries++) peers.at(-1)!.onGone(null as never);
    expect(server.of('link')).toMatchObject([
      { peer: 'peer-9', state: 'down', error: { code: 'LINK_FAILED' } },
    ]);
  });

  it('use the ICE servers told last', async () => {
    await joined();
    const relay = { urls: 'turn:own.example', username: '1', credential: 'c' };
    server.say({ type: 'ice', iceServers: [relay] });
    links('peer-9');
    expect(peers[0]!.iceServers).toEqual([relay]);
  });
});

describe('a tab that drains', () => {
  it('waits until the server has released it, and counts what has not moved', async () => {
    const tab = await joined();
    server.say(openFor(1));
    server.say(openFor(2));
    let isOver = false;
    const over = tab.drain('left by the user').then(() => {
      isOver = true;
    });
    expect(server.of('drain')).toEqual([{ type: 'drain', reason: 'left by the user' }]);
    server.say({ type: 'close', sequence: 1 });
    expect(of('draining').map(({ sequences }) => sequences)).toEqual([2, 1]);
    await timers.advance(WORKER_DRAIN_MS - 1);
    expect(isOver).toBe(false);
    server.say({ type: 'released' });
    await over;
    tab.close('left by the user');
    expect(server.of('leave')).toEqual([{ type: 'leave', reason: 'left by the user' }]);
    expect(timers.pending).toBe(0);
  });

  it.each([
    ['WORKER_DRAIN_MS where sequences run', true, WORKER_DRAIN_MS],
    ['IDLE_DRAIN_MS where it only holds layers', false, IDLE_DRAIN_MS],
  ])('waits no longer than %s', async (_, runs, mostMs) => {
    const tab = await joined();
    server.say(hold(1));
    if (runs) server.say(openFor(1));
    let isOver = false;
    void tab.drain('bye').then(() => {
      isOver = true;
    });
    await timers.advance(mostMs - 1);
    expect(isOver).toBe(false);
    await timers.advance(1);
    expect(isOver).toBe(true);
  });

  it('does not wait where there is nothing to move, nor when asked twice', async () => {
    const tab = await joined();
    await tab.drain('bye');
    expect(server.of('drain')).toEqual([]);
    server.say(openFor(1));
    const first = tab.drain('bye');
    await tab.drain('now');
    await first;
    expect(server.of('drain')).toHaveLength(1);
  });

  it('says so again to a server that was away', async () => {
    const tab = await joined();
    server.say(openFor(1));
    server.die();
    void tab.drain('bye');
    expect(server.of('drain')).toEqual([]);
    worker.has = { held: [], links: [], running: [running(1)] };
    await timers.advance(RECONNECT_MAX_MS);
    expect(server.of('drain')).toHaveLength(1);
    expect(server.received.at(-1)?.type).toBe('drain');
  });
});

describe('a tab that is refused', () => {
  it.each([
    ['another version', 'PROTOCOL_VERSION'],
    ['a join key that is missing or wrong', 'UNAUTHORIZED'],
  ] as const)('for %s is over, and does not come back', async (_, code) => {
    server.silent = true;
    await joined();
    server.say({ type: 'error', error: { code, message: 'no' }, fatal: true });
    expect(of('failed')).toMatchObject([{ error: { code, message: 'no' } }]);
    await timers.advance(60_000);
    expect(server.connections).toBe(1);
  });

  it('for its offer is over; for anything later it goes on', async () => {
    const error = { code: 'PROTOCOL_INVALID', message: 'join.capability: expected int' } as const;
    await joined();
    server.say({ type: 'error', error, fatal: false });
    expect(of('failed')).toMatchObject([{ error: { message: error.message } }]);
    events.length = 0;
    links();
    server.say({ type: 'error', error, fatal: false });
    server.say({ type: 'error', error, fatal: true });
    expect(events).toEqual([{ type: 'refused', error }]);
  });
});

describe('a tab that loses its device', () => {
  it('leaves, and joins as the same peer with the next', async () => {
    await joined();
    server.say(hold(1));
    send(heldMessage);
    server.news();
    const error = { code: 'DEVICE_LOST', message: 'driver reset' } as const;
    worker.onEvent({ type: 'device-lost', error });
    send(token);
    expect(of('shards').at(-1)?.shards).toEqual([]);
    worker.onEvent({ type: 'device-found', capability: CAPABILITY });
    expect(server.news()).toEqual(['leave', 'join', 'running']);
    expect(events.map(({ type }) => type).slice(-3)).toEqual(['device-lost', 'shards', 'device']);
  });

  it('before the server answers offers only the next', async () => {
    server.silent = true;
    await joined();
    const error = { code: 'DEVICE_LOST', message: 'driver reset' } as const;
    worker.onEvent({ type: 'device-lost', error });
    server.welcome();
    expect(server.news()).toEqual(['hello']);
    worker.onEvent({ type: 'device-found', capability: CAPABILITY });
    expect(server.news()).toEqual(['join', 'running']);
  });

  it('for good is over', async () => {
    await joined();
    worker.onEvent({ type: 'device-failed', error: { code: 'NO_ADAPTER', message: 'none' } });
    expect(of('failed')).toMatchObject([{ error: { code: 'NO_ADAPTER' } }]);
  });
});

it('closed, says goodbye and leaves nothing behind', async () => {
  const tab = await joined();
  links('peer-9');
  tab.close('the page was closed');
  tab.close('again');
  worker.onEvent({ type: 'usage', tokensPerSecond: 1, tokens: 1, gpuBytes: 1 });
  expect(server.of('leave')).toHaveLength(1);
  expect(peers[0]!.destroyed).toBe(true);
  expect(timers.pending).toBe(0);
  expect(of('usage')).toEqual([]);
});
