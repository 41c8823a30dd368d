import { beforeEach, describe, expect, it } from 'vitest';
import {
  HELLO_DEADLINE_MS,
  MAX_SPECTATORS,
  MAX_SPECTATORS_PER_ADDRESS,
  MAX_WORKERS,
  SPECTATOR_MS,
} from '../../../src/config/limits.ts';
import { CLOSE_NOT_JOINED } from '../../../src/server/mesh/peers/registry.ts';
import { CAPABILITY } from './capability.ts';
import { ControlHarness, hello, JOIN, keyOf } from './control-harness.ts';
import type { MemorySocket } from './memory-socket.ts';

let harness: ControlHarness;
beforeEach(() => {
  harness = new ControlHarness();
});

const open = (sockets: readonly MemorySocket[]) => sockets.filter(({ ended }) => ended === null).length;

describe('connections that do not join', () => {
  it('lock nobody out, and are closed when it is time', async () => {
    const idle = Array.from({ length: 2 * MAX_SPECTATORS_PER_ADDRESS }, (_, i) =>
      harness.greeted(`idle${i}`, '192.0.2.66'),
    );
    expect(open(idle)).toBe(MAX_SPECTATORS_PER_ADDRESS);
    expect(idle[0]!.ended?.code).toBe(CLOSE_NOT_JOINED);
    const worker = harness.joined('worker', '192.0.2.1');
    const neighbour = harness.joined('neighbour', '192.0.2.66');
    for (let ms = 0; ms < SPECTATOR_MS; ms += 5_000) {
      for (const socket of [...idle, worker, neighbour]) socket.say({ type: 'alive' });
      await harness.timers.advance(5_000);
    }
    expect(open(idle)).toBe(0);
    expect(open([worker, neighbour])).toBe(2);
    expect(harness.registry.all()).toHaveLength(2);
  });

  it('from everywhere lock nobody out either: who has most of them gives way', () => {
    const crowd = Array.from({ length: MAX_SPECTATORS }, (_, i) => {
      const address = i % 40 === 0 ? `198.51.100.${(i / 40) % 250}` : `192.0.2.${i % 40}`;
      return { address, socket: harness.connect(address) };
    });
    const late = harness.greeted('late', '203.0.113.9');
    expect(late.ended).toBeNull();
    const closed = crowd.filter(({ socket }) => socket.ended !== null);
    expect(closed).toHaveLength(1);
    expect(closed[0]!.address).toMatch(/^192\.0\.2\./);
    late.say(JOIN);
    expect(harness.registry.workers()).toHaveLength(1);
  });

  it('say hello in time', async () => {
    const silent = harness.connect();
    await harness.timers.advance(HELLO_DEADLINE_MS);
    expect(silent.ended?.code).toBe(1008);
  });

  it('are those of workers that left, too', async () => {
    const socket = harness.joined('a');
    for (let ms = 0; ms < 2 * SPECTATOR_MS; ms += 5_000) {
      socket.say({ type: 'alive' });
      await harness.timers.advance(5_000);
    }
    expect(socket.ended).toBeNull();
    socket.say({ type: 'leave', reason: 'tired' });
    for (let ms = 0; ms < SPECTATOR_MS; ms += 5_000) {
      socket.say({ type: 'alive' });
      await harness.timers.advance(5_000);
    }
    expect(socket.ended?.code).toBe(CLOSE_NOT_JOINED);
    expect(harness.timers.pending).toBe(0);
  });
});

describe('workers', () => {
  it('are taken up to MAX_WORKERS; then idle ones of where most come from give way', () => {
    const { registry } = harness;
    const join = (name: string, address: string) => {
      const sent: unknown[] = [];
      const connection = {
        send: (message: unknown) => sent.push(message),
        close: (code: number) => sent.push(code),
      };
      const peer = registry.connect({ key: keyOf(name), name, address, connection });
      registry.join(peer, CAPABILITY);
      return { peer, sent };
    };
    const many = Array.from({ length: MAX_WORKERS - 1 }, (_, i) => join(`w${i}`, '192.0.2.66'));
    const other = join('other', '192.0.2.1');
    // From where most come from: refused, with the number.
    expect(() => join('late', '192.0.2.66')).toThrow(`takes ${MAX_WORKERS}`);
    join('guest', '192.0.2.1');
    expect(registry.workers()).toHaveLength(MAX_WORKERS);
    const newest = many.at(-1)!;
    expect(newest.peer.state).toBe('gone');
    expect(newest.sent).toMatchObject([{ fatal: true, error: { code: 'OVERLOADED' } }, 1013]);
    expect(harness.events.at(-1)).toBe(`${newest.peer.name} gone: it gave way to a worker from elsewhere`);
    expect(other.peer.state).toBe('joined');
    // Who holds layers stays.
    for (const peer of registry.workers()) peer.moveTo('loading');
    expect(() => join('third', '192.0.2.2')).toThrow('takes');
    // Room again when one has left.
    registry.leave(many[0]!.peer);
    expect(join('fourth', '192.0.2.2').peer.state).toBe('joined');
  });
});

describe('a returning peer', () => {
  it('that is a spectator on one connection and comes with another is the same', () => {
    harness.greeted('a');
    const second = harness.connect();
    second.say(hello('a'));
    second.say(JOIN);
    expect(harness.registry.all()).toHaveLength(1);
    expect(harness.registry.workers()).toHaveLength(1);
  });
});
