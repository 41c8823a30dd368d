import { beforeEach, describe, expect, it } from 'vitest';
import { LINK_DEAD_MS, LINK_IDLE_PING_MS, MAX_LINKS } from '../../src/config/limits.ts';
import type { Frame } from '../../src/mesh/frame.ts';
import { encodeFrame } from '../../src/mesh/frame-codec.ts';
import { Link } from '../../src/mesh/link.ts';
import { Links } from '../../src/mesh/links.ts';
import { MemoryTransport } from '../../src/mesh/memory-transport.ts';
import { FakeTimers, settle } from '../support/fake-timers.ts';

const token: Frame = {
  kind: 'token',
  dtype: 'u32',
  microBatch: 2,
  entries: [{ sequence: 3, position: 4, epoch: 1, count: 1, sample: true, truncate: false }],
  payload: new Uint8Array([9, 0, 0, 0]),
};

let timers: FakeTimers;
beforeEach(() => {
  timers = new FakeTimers();
});

function started(transport: MemoryTransport, log: string[]): Link {
  const link = new Link({
    peer: 'peer-b',
    transport,
    timers,
    onOpen: () => log.push('open'),
    onFrame: (frame) => log.push(`${frame.kind} ${frame.microBatch}`),
    onDown: (reason) => log.push(`down ${reason.code} ${reason.message}`),
  });
  link.start();
  return link;
}

describe('a link', () => {
  it('delivers frames, and keeps pings and pongs to itself', async () => {
    const [left, right] = MemoryTransport.pair();
    const [atA, atB]: [string[], string[]] = [[], []];
    const a = started(left, atA);
    started(right, atB);
    await a.send(token);
    await a.sendEncoded(encodeFrame({ ...token, microBatch: 3 }));
    await timers.advance(3 * LINK_IDLE_PING_MS);
    expect(atA).toEqual(['open']);
    expect(atB).toEqual(['open', 'token 2', 'token 3']);
  });

  it('measures round trips', async () => {
    const delayed = { schedule: (deliver: () => void) => void timers.after(20, deliver) };
    const [left, right] = MemoryTransport.pair(delayed);
    const a = started(left, []);
    started(right, []);
    expect(a.roundTrip).toBeNull();
    await timers.advance(LINK_IDLE_PING_MS + 100);
    expect(a.roundTrip).toEqual({ lastMs: 40, meanMs: 40, minMs: 40, samples: 2 });
  });

  it('goes down when the other side falls silent, and not before', async () => {
    const [left, right] = MemoryTransport.pair();
    const log: string[] = [];
    const a = started(left, log);
    started(right, []);
    await timers.advance(10 * LINK_DEAD_MS);
    expect(log).toEqual(['open']);
    left.vanish();
    await timers.advance(LINK_DEAD_MS - LINK_IDLE_PING_MS);
    expect(a.state).toBe('open');
    await timers.advance(2 * LINK_IDLE_PING_MS);
    expect(a.state).toBe('closed');
    expect(log).toHaveLength(2);
    expect(log[1]).toMatch(/^down LINK_FAILED peer peer-b was silent for 5000 ms/);
  });

  it('lives while bytes come, though no pong does', async () => {
    const [left, right] = MemoryTransport.pair();
    const log: string[] = [];
    const a = started(left, log);
    // The other side answers no ping; it only sends.
    right.onFrame(() => {});
    for (let i = 0; i < 20; i++) {
      await right.send(encodeFrame(token));
      await timers.advance(LINK_IDLE_PING_MS);
    }
    expect(a.state).toBe('open');
  });

  it('starts its heartbeat when the transport opens', async () => {
    const [left] = MemoryTransport.pair({ connecting: true });
    const log: string[] = [];
    started(left, log);
    await timers.advance(3 * LINK_DEAD_MS);
    expect(log).toEqual([]);
    left.open();
    expect(log).toEqual(['open']);
  });

  it('goes down on a frame that does not decode', async () => {
    const [left, right] = MemoryTransport.pair();
    const log: string[] = [];
    started(left, log);
    await right.send(new Uint8Array(30));
    await settle();
    expect(log[1]).toMatch(/^down FRAME_INVALID/);
  });

  it('closed from this side says nothing and leaves no timer', async () => {
    const [left, right] = MemoryTransport.pair();
    const [atA, atB]: [string[], string[]] = [[], []];
    const a = started(left, atA);
    started(right, atB);
    a.close();
    await settle();
    expect(atA).toEqual(['open']);
    expect(atB[1]).toMatch(/^down LINK_FAILED/);
    expect(timers.pending).toBe(0);
  });
});

describe('the links of a worker', () => {
  function make(): { links: Links; log: string[] } {
    const log: string[] = [];
    const links = new Links({
      timers,
      onOpen: (peer) => log.push(`open ${peer}`),
      onDown: (peer, reason, attempt) => log.push(`down ${peer} ${reason.code} ${attempt}`),
      onFrame: (peer, frame) => log.push(`${frame.kind} from ${peer}`),
    });
    return { links, log };
  }

  it('send to a peer by name, and refuse without an open link', async () => {
    const { links, log } = make();
    const other = make();
    const [left, right] = MemoryTransport.pair();
    links.attach('peer-b', 1, left);
    other.links.attach('peer-a', 1, right);
    await links.send('peer-b', token);
    expect(log).toEqual(['open peer-b']);
    expect(other.log).toEqual(['open peer-a', 'token from peer-a']);
    await expect(links.send('peer-c', token)).rejects.toMatchObject({ code: 'LINK_FAILED' });
  });

  it('say nothing of an attempt that never opened', () => {
    const { links, log } = make();
    const [left] = MemoryTransport.pair({ connecting: true });
    links.attach('peer-b', 1, left);
    expect(links.isOpen('peer-b')).toBe(false);
    left.drop();
    expect(log).toEqual([]);
    expect(links.get('peer-b')).toBeUndefined();
  });

  it('replace an open link by a newer attempt and refuse an older one', () => {
    const { links, log } = make();
    const [first] = MemoryTransport.pair();
    const [second] = MemoryTransport.pair();
    const [stale] = MemoryTransport.pair();
    links.attach('peer-b', 2, first);
    links.attach('peer-b', 3, second);
    links.attach('peer-b', 2, stale);
    expect(log).toEqual(['open peer-b', 'down peer-b LINK_FAILED 2', 'open peer-b']);
    expect([first.state, second.state, stale.state]).toEqual(['closed', 'open', 'closed']);
    expect(links.isOpen('peer-b')).toBe(true);
  });

  it('drop and close quietly; a break is told once', async () => {
    const { links, log } = make();
    const [first] = MemoryTransport.pair();
    const [second] = MemoryTransport.pair();
    links.attach('peer-b', 1, first);
    links.attach('peer-c', 1, second);
    links.drop('peer-b');
    second.drop();
    links.close();
    await settle();
    expect(log).toEqual(['open peer-b', 'open peer-c', 'down peer-c LINK_FAILED 1']);
    expect([first.state, timers.pending]).toEqual(['closed', 0]);
  });

  it('are bounded in number', () => {
    const { links } = make();
    for (let i = 0; i < MAX_LINKS; i++) links.attach(`peer-${i}`, 1, MemoryTransport.pair()[0]);
    const [beyond] = MemoryTransport.pair();
    links.attach('peer-beyond', 1, beyond);
    expect(beyond.state).toBe('closed');
  });
});
