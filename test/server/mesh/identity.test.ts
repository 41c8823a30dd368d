import { beforeEach, describe, expect, it } from 'vitest';
import { PEER_RETURN_MS } from '../../../src/config/limits.ts';
import { identityOf } from '../../../src/server/mesh/peers/peer-id.ts';
import { CLOSE_NOT_JOINED, CLOSE_REPLACED } from '../../../src/server/mesh/peers/registry.ts';
import { ControlHarness, hello, JOIN, keyOf } from './control-harness.ts';

let harness: ControlHarness;
beforeEach(() => {
  harness = new ControlHarness();
});

const idOf = (socket: { messages(type: 'welcome'): { peer: string }[] }) =>
  socket.messages('welcome')[0]?.peer;

describe('a peer’s id', () => {
  it('follows from its key alone', () => {
    // printf %s a__________________________________________ | sha256sum
    expect(identityOf(keyOf('a')).id).toBe('p-0500ceb30ad46c64');
    const [first, second] = [harness.greeted('a'), new ControlHarness().greeted('a')];
    expect(idOf(first)).toBe('p-0500ceb30ad46c64');
    expect(idOf(second)).toBe(idOf(first));
    expect(idOf(harness.greeted('b'))).not.toBe(idOf(first));
  });
});

describe('a worker whose socket closed', () => {
  it('is away, and itself again when it returns with its key', async () => {
    const socket = harness.joined('a');
    const peer = harness.peer('a');
    socket.drop();
    expect(peer.state).toBe('away');
    expect(harness.registry.workers()).toEqual([]);
    // Lost, and no error.
    peer.connection.send({ type: 'drop', shard: 1 });

    await harness.timers.advance(PEER_RETURN_MS - 1);
    const again = harness.greeted('a');
    expect(idOf(again)).toBe(peer.id);
    expect(harness.peer('a')).toBe(peer);
    expect(peer.state).toBe('away');
    peer.connection.send({ type: 'drop', shard: 2 });
    expect(again.messages('drop')).toEqual([{ type: 'drop', shard: 2 }]);
    expect(socket.messages('drop')).toEqual([]);

    again.say(JOIN);
    expect(peer.state).toBe('joined');
    await harness.timers.advance(10 * 1_000);
    expect(harness.events).toEqual(['a connected', 'a away: the connection was closed', 'a returned']);
  });

  it('is gone when it does not return in time', async () => {
    harness.joined('a').drop();
    await harness.timers.advance(PEER_RETURN_MS);
    expect(harness.registry.all()).toEqual([]);
    expect(harness.events.at(-1)).toBe('a gone: the connection was closed');
    expect(harness.timers.pending).toBe(0);
    const peer = harness.greeted('a');
    expect(idOf(peer)).toBeDefined();
    expect(harness.peer('a').state).toBe('connected');
  });

  it('is gone, too, when it returns and does not say what it holds', async () => {
    harness.joined('a').drop();
    const again = harness.greeted('a');
    for (let ms = 0; ms < PEER_RETURN_MS; ms += 1_000) {
      again.say({ type: 'alive' });
      await harness.timers.advance(1_000);
    }
    expect(again.ended).toEqual({ code: CLOSE_NOT_JOINED, reason: 'no join came' });
    expect(harness.registry.all()).toEqual([]);
  });

  it('that is away again before it joined has its 30 s from the first time on', async () => {
    harness.joined('a').drop();
    await harness.timers.advance(PEER_RETURN_MS - 5_000);
    harness.greeted('a').drop();
    await harness.timers.advance(4_999);
    expect(harness.peer('a').state).toBe('away');
    await harness.timers.advance(1);
    expect(harness.registry.all()).toEqual([]);
  });

  it('is not awaited when it has left before, or never joined', () => {
    const left = harness.joined('a');
    left.say({ type: 'leave', reason: 'tired' });
    expect(harness.peer('a').state).toBe('connected');
    left.drop();
    harness.greeted('b').drop();
    expect(harness.registry.all()).toEqual([]);
    expect(harness.timers.pending).toBe(0);
  });

  it('is not awaited by a server that shuts down', () => {
    const socket = harness.joined('a');
    harness.registry.close();
    socket.drop();
    expect(harness.registry.all()).toEqual([]);
    expect(harness.timers.pending).toBe(0);
  });

  it('that returned may leave before it joins', async () => {
    harness.joined('a').drop();
    const again = harness.greeted('a');
    again.say({ type: 'leave', reason: 'tired' });
    expect(harness.peer('a').state).toBe('connected');
    again.drop();
    expect(harness.registry.all()).toEqual([]);
    expect(harness.timers.pending).toBe(0);
  });
});

describe('a second connection with the same key', () => {
  it('takes the place of the first, of which nothing counts any more', () => {
    const first = harness.joined('a');
    const peer = harness.peer('a');
    const second = harness.greeted('a');
    expect(first.ended).toEqual({ code: CLOSE_REPLACED, reason: 'replaced' });
    expect(harness.peer('a')).toBe(peer);
    const before = harness.handled.length;
    first.say({ type: 'leave', reason: 'late' });
    expect(harness.handled).toHaveLength(before);
    expect(peer.state).toBe('away');
    second.say(JOIN);
    expect(peer.state).toBe('joined');
    expect(harness.events).toEqual(['a connected', 'a away: another connection has its key', 'a returned']);
  });

  it('may bring another name and come from elsewhere', () => {
    harness.joined('a', '192.0.2.1').drop();
    const socket = harness.connect('192.0.2.2');
    socket.say({ ...hello('a'), name: 'renamed' });
    expect(harness.peer('renamed')).toMatchObject({ id: identityOf(keyOf('a')).id, address: '192.0.2.2' });
  });
});
