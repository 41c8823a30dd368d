import { describe, expect, it } from 'vitest';
import { NO_CONNECTION as connection, Peer } from '../../../src/server/mesh/peers/peer.ts';
import { checkTransition } from '../../../src/server/mesh/peers/worker-state.ts';
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
