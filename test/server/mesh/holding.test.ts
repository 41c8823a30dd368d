import { describe, expect, it } from 'vitest';
import { Holding } from '../../../src/server/mesh/holdings/holding.ts';
import { NO_CONNECTION, Peer } from '../../../src/server/mesh/peers/peer.ts';

describe('a holding', () => {
  const made = () =>
    new Holding(
      new Peer('p-1', 'a', NO_CONNECTION),
      1,
      { start: 2, end: 6, embedding: false, head: false },
      {
        seconds: 1,
        bytes: 100,
      },
    );

  it('has room for whole pages of positions, less those that are promised', () => {
    const holding = made();
    // Nothing is known of it.
    expect(holding.hasRoomFor(1e6)).toBe(true);
    holding.held(100, 96);
    expect(holding.hasRoomFor(96)).toBe(true);
    holding.promise(33);
    expect(holding.hasRoomFor(32)).toBe(true);
    expect(holding.hasRoomFor(33)).toBe(false);
    holding.takeBack(33);
    expect(holding.hasRoomFor(96)).toBe(true);
  });

  it('serves stages that are a part of it', () => {
    const holding = made();
    expect(holding.covers({ start: 3, end: 6 })).toBe(true);
    expect(holding.covers({ start: 1, end: 6 })).toBe(false);
    expect(holding.isSameAs(holding.peer, { start: 3, end: 6 })).toBe(false);
  });
});
