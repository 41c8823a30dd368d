import { describe, expect, it } from 'vitest';
import { WORKER_BACKOFF_MAX_MS, WORKER_BACKOFF_MIN_MS } from '../../../src/config/limits.ts';
import { NO_CONNECTION as connection, Peer } from '../../../src/server/mesh/peer.ts';
import { Pipeline } from '../../../src/server/mesh/pipeline.ts';
import { checkTransition } from '../../../src/server/mesh/worker-state.ts';
import { TokenBucket } from '../../../src/server/token-bucket.ts';

describe('a worker’s state', () => {
  it('follows the table, and an illegal step names both states', () => {
    const peer = new Peer('p-1', 'a', connection);
    const way = ['joined', 'loading', 'serving', 'away', 'joined', 'leaving', 'connected', 'gone'] as const;
    for (const state of way) {
      peer.moveTo(state);
    }
    expect(() => peer.moveTo('joined')).toThrow("'gone' cannot go to 'joined'");
    expect(() => checkTransition('connected', 'serving')).toThrow("'connected' cannot go to 'serving'");
  });

  it('is excluded twice as long with every failure, up to the maximum', () => {
    const peer = new Peer('p-1', 'a', connection);
    expect(peer.exclude(0, 'x', true)).toBe(WORKER_BACKOFF_MIN_MS);
    expect(peer.exclude(0, 'x', true)).toBe(2 * WORKER_BACKOFF_MIN_MS);
    for (let i = 0; i < 40; i++) peer.exclude(0, 'x', true);
    expect(peer.exclude(0, 'x', true)).toBe(WORKER_BACKOFF_MAX_MS);
    peer.loaded();
    expect(peer.exclude(0, 'x', true)).toBe(WORKER_BACKOFF_MIN_MS);
  });

  it('that loads and then fails to serve is forgiven by a token only', () => {
    const peer = new Peer('p-1', 'a', connection);
    expect(peer.exclude(0, 'x', false)).toBe(WORKER_BACKOFF_MIN_MS);
    peer.loaded();
    expect(peer.exclude(0, 'x', false)).toBe(2 * WORKER_BACKOFF_MIN_MS);
    peer.served();
    expect(peer.exclude(0, 'x', false)).toBe(WORKER_BACKOFF_MIN_MS);
  });
});

describe('a pipeline’s state', () => {
  it('follows the table', () => {
    const stage = {
      peer: new Peer('p-1', 'a', connection),
      shard: { start: 0, end: 1, embedding: true, head: true },
      seconds: 1,
      bytes: 1,
    };
    const pipeline = new Pipeline(1, [stage]);
    expect(() => pipeline.moveTo('draining')).toThrow("'loading' cannot go to 'draining'");
    for (const state of ['live', 'draining', 'ended'] as const) pipeline.moveTo(state);
    expect(() => pipeline.moveTo('live')).toThrow("'ended' cannot go to 'live'");
  });
});

describe('a token bucket', () => {
  it('lets a burst pass, then the rate', () => {
    const bucket = new TokenBucket(10, 3, 0);
    expect([0, 0, 0, 0].map((now) => bucket.take(now))).toEqual([true, true, true, false]);
    expect(bucket.take(99)).toBe(false);
    expect(bucket.take(100)).toBe(true);
    expect([9_000, 9_000, 9_000, 9_000].map((now) => bucket.take(now))).toEqual([true, true, true, false]);
  });

  it('has links from stage to stage, and from the last to the first', () => {
    const peers = ['p-1', 'p-2', 'p-3', 'p-4'].map((id) => new Peer(id, id, connection));
    const stages = peers.map((peer, start) => ({
      peer,
      shard: { start, end: start + 1, embedding: start === 0, head: start === 3 },
      seconds: 1,
      bytes: 1,
    }));
    const pipeline = new Pipeline(1, stages);
    const linked = peers.flatMap((a, i) =>
      peers.map((b, j) => (pipeline.areNeighbours(a, b) ? `${i}${j}` : '')),
    );
    expect(linked.filter((pair) => pair !== '')).toEqual(['01', '03', '10', '12', '21', '23', '30', '32']);
    expect(pipeline.areNeighbours(peers[0]!, new Peer('p-5', 'x', connection))).toBe(false);
  });
});
