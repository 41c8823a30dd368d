import { describe, expect, it } from 'vitest';
import {
  MAX_CONTEXT_POSITIONS,
  MAX_PICKED_BYTES,
  MAX_SEQUENCES_PER_STAGE,
  MAX_TOP_LOGPROBS,
  MIB,
} from '../../src/config/limits.ts';
import { PickedTokens } from '../../src/worker/picked-tokens.ts';
import type { PickedToken } from '../../src/worker/stage-types.ts';

const picked = (position: number, top?: number): PickedToken => ({
  position,
  token: position,
  finish: null,
  logprobs:
    top === undefined
      ? undefined
      : { picked: -1, top: Array.from({ length: top }, (_, token): [number, number] => [token, -token]) },
});

describe('tokens that are kept for a server that was away', () => {
  it('are all there without log probabilities', () => {
    const tokens = new PickedTokens();
    for (let position = 1; position < MAX_CONTEXT_POSITIONS; position++) tokens.add(picked(position));
    expect(tokens.first).toBe(1);
    expect(tokens.bytes).toBeLessThanOrEqual(MAX_PICKED_BYTES);
  });

  it('begin with those that another last stage picked, whether its first came before them or not', () => {
    const asked = () => {
      const tokens = new PickedTokens();
      return { tokens, kept: () => tokens.from(0).map(({ position, token }) => [position, token]) };
    };
    const early = asked();
    early.tokens.learn(7, [50, 60]);
    expect(early.tokens.unsent).toBeUndefined();
    early.tokens.add(picked(7));
    const late = asked();
    late.tokens.add(picked(7));
    late.tokens.learn(7, [50, 60]);
    for (const { tokens, kept } of [early, late]) {
      expect(kept()).toEqual([
        [5, 50],
        [6, 60],
        [7, 7],
      ]);
      expect(tokens.unsent).toEqual(picked(7));
      const { bytes } = tokens;
      // Given again, in another epoch: it has them.
      tokens.truncate(7);
      tokens.learn(7, [50, 60]);
      tokens.add(picked(7));
      expect([kept().length, tokens.bytes]).toEqual([3, bytes]);
    }
  });

  it('leave no gap where another was the last between two times', () => {
    const tokens = new PickedTokens();
    for (const position of [4, 5]) tokens.add(picked(position));
    tokens.learn(8, [5, 6, 7]);
    tokens.add(picked(8));
    expect(tokens.from(0)).toEqual([5, 6, 7, 8].map((position) => picked(position)));
  });

  it('with log probabilities are as many as their bytes allow, the newest', () => {
    const tokens = new PickedTokens();
    for (let position = 1; position < MAX_CONTEXT_POSITIONS; position++) {
      tokens.add(picked(position, MAX_TOP_LOGPROBS));
    }
    expect(tokens.bytes).toBeLessThanOrEqual(MAX_PICKED_BYTES);
    expect(MAX_PICKED_BYTES * MAX_SEQUENCES_PER_STAGE).toBeLessThanOrEqual(64 * MIB);
    const kept = tokens.from(0);
    expect(kept.length).toBeGreaterThan(1_000);
    expect(kept.length).toBeLessThan(2_000);
    expect(kept[0]!.position).toBe(tokens.first);
    expect(kept.map(({ position }) => position)).toEqual(kept.map((_, index) => tokens.first! + index));
    expect(kept.at(-1)!.position).toBe(MAX_CONTEXT_POSITIONS - 1);
  });

  it('that are taken back count no more', () => {
    const tokens = new PickedTokens();
    for (let position = 5; position < 9; position++) tokens.add(picked(position, 2));
    const { bytes } = tokens;
    tokens.truncate(7);
    expect(tokens.bytes).toBe(bytes / 2);
    tokens.truncate(0);
    expect(tokens.bytes).toBe(0);
    tokens.add(picked(20));
    tokens.add(picked(40));
    expect([tokens.first, tokens.from(0).length]).toEqual([40, 1]);
    expect(tokens.bytes).toBeLessThan(200);
  });
});
