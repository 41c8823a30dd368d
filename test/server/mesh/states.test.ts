import { describe, expect, it } from 'vitest';
import { WORKER_BACKOFF_MAX_MS, WORKER_BACKOFF_MIN_MS } from '../../../src/config/limits.ts';
import { NO_CONNECTION as connection, Peer } from '../../../src/server/mesh/peer.ts';
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

describe('a token bucket', () => {
  it('lets a burst pass, then the rate', () => {
    const bucket = new TokenBucket(10, 3, 0);
    expect([0, 0, 0, 0].map((now) => bucket.take(now))).toEqual([true, true, true, false]);
    expect(bucket.take(99)).toBe(false);
    expect(bucket.take(100)).toBe(true);
    expect([9_000, 9_000, 9_000, 9_000].map((now) => bucket.take(now))).toEqual([true, true, true, false]);
  });
});
