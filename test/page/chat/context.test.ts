import { describe, expect, it } from 'vitest';
import {
  answerRoom,
  dropMore,
  fullness,
  messagesToDrop,
  type Weighed,
  weights,
  withoutOldest,
} from '../../../src/page/chat/context.ts';

const message = (role: Weighed['role'], tokens: number): Weighed => ({
  role,
  content: 'x'.repeat(tokens),
  tokens,
});
const system = (tokens: number) => message('system', tokens);
const user = (tokens: number) => message('user', tokens);
const assistant = (tokens: number) => message('assistant', tokens);

describe('what is left out', () => {
  it('is nothing while there is room for an answer, or where the context is not known', () => {
    expect(messagesToDrop([user(100), assistant(184), user(100)], 512)).toBe(0);
    expect(messagesToDrop([user(9_000), assistant(9_000), user(100)], null)).toBe(0);
  });

  it('is the oldest, a question with its answer, until the rest and an answer fit', () => {
    expect(answerRoom(512)).toBe(128);
    const turns = [user(50), assistant(50), user(50), assistant(50), user(50), assistant(100), user(100)];
    expect(messagesToDrop(turns, 512)).toBe(2);
    expect(messagesToDrop(turns, 400)).toBe(4);
    expect(messagesToDrop(turns, 300)).toBe(6);
  });

  it('is never the system prompt or the newest question, though they do not fit', () => {
    const turns = [system(600), user(50), assistant(50), user(700)];
    const dropped = messagesToDrop(turns, 512);
    expect(dropped).toBe(2);
    expect(withoutOldest(turns, dropped)).toEqual([turns[0], turns[3]]);
    expect(messagesToDrop([user(700)], 512)).toBe(0);
  });

  it('is more, by pairs, where a server refuses what was thought to fit', () => {
    const turns = [system(1), user(1), assistant(1), user(1), assistant(1), user(1)];
    expect(dropMore(turns, 0)).toBe(2);
    expect(dropMore(turns, 2)).toBe(4);
    expect(dropMore(turns, 4)).toBe(4);
  });
});

describe('weights', () => {
  it('are what was counted, and for the rest an estimate by it, rather too high', () => {
    const [counted, estimated] = weights([
      { role: 'user', content: 'x'.repeat(100), tokens: 25 },
      { role: 'user', content: 'x'.repeat(40) },
    ]);
    expect(counted).toBe(25);
    expect(estimated).toBeGreaterThan(10);
    expect(estimated).toBeLessThan(20);
  });

  it('allow two characters a token before anything was counted', () => {
    expect(weights([{ role: 'user', content: 'x'.repeat(100) }])[0]).toBeGreaterThanOrEqual(50);
  });
});

it('tells how full the context is', () => {
  expect(fullness(100, 512)).toEqual({ used: 100, of: 512, state: 'roomy' });
  expect(fullness(400, 512).state).toBe('close');
  expect(fullness(513, 512)).toEqual({ used: 512, of: 512, state: 'full' });
});
