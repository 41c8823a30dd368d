import { describe, expect, it } from 'vitest';
import { givesWay, goesBefore, roundFor, type Turn } from '../../src/schedule/turns.ts';

/** Those who come in order; the names of those who are taken, `places` at a time. */
function queue() {
  const waiting: Turn[] = [];
  let taken = 0;
  let ticket = 0;
  return {
    waiting,
    come(client: string, isResumed = false) {
      const round = roundFor(client, waiting, taken);
      const turn = { client, round, ticket: ++ticket, isResumed };
      const next = waiting.findIndex((other) => goesBefore(turn, other));
      waiting.splice(next < 0 ? waiting.length : next, 0, turn);
    },
    take(count: number) {
      return waiting
        .splice(0, count)
        .map((turn) => {
          taken = Math.max(taken, turn.round);
          return turn.client;
        })
        .join('');
    },
  };
}

describe('turns', () => {
  it('go round by client, whoever came first and with however much', () => {
    const { come, take } = queue();
    for (let i = 0; i < 5; i++) come('a');
    come('b');
    come('c');
    come('b');
    expect(take(9)).toBe('abcabaaa');
  });

  it('of who comes later begin with the round that is taken, not with all that were missed', () => {
    const { come, take } = queue();
    for (let i = 0; i < 4; i++) come('a');
    expect(take(2)).toBe('aa');
    come('b');
    come('b');
    come('b');
    expect(take(9)).toBe('abab' + 'b');
  });

  it('of one client are taken in the order they came', () => {
    const { come, take, waiting } = queue();
    for (let i = 0; i < 3; i++) come('');
    expect(waiting.map(({ ticket }) => ticket)).toEqual([1, 2, 3]);
    expect(take(9)).toBe('');
  });

  it('of answers that have begun come before all others', () => {
    const { come, take } = queue();
    come('a');
    come('b');
    come('a');
    come('a', true);
    come('b', true);
    expect(take(9)).toBe('ababa');
    expect(take(1)).toBe('');
  });
});

describe('who gives way', () => {
  const turn = (client: string, ticket: number, isResumed = false): Turn => ({
    client,
    round: 1,
    ticket,
    isResumed,
  });
  const places = (entries: Record<string, number>) => new Map(Object.entries(entries));

  it('is the newest of the client with the most', () => {
    const waiting = [turn('a', 1), turn('b', 2), turn('a', 5), turn('a', 4), turn('c', 6)];
    expect(givesWay('d', waiting, places({ a: 3, b: 1, c: 1 }))).toBe(waiting[2]);
    // What runs counts as well.
    expect(givesWay('d', waiting, places({ a: 3, b: 9, c: 1 }))).toBe(waiting[1]);
  });

  it('is nobody where that would only turn the tables', () => {
    const waiting = [turn('a', 1), turn('a', 2), turn('b', 3)];
    expect(givesWay('b', waiting, places({ a: 2, b: 1 }))).toBeNull();
    expect(givesWay('a', waiting, places({ a: 2, b: 1 }))).toBeNull();
    expect(givesWay('c', waiting, places({ a: 2, b: 1 }))).toBe(waiting[1]);
  });

  it('is nobody in the middle of its answer', () => {
    const waiting = [turn('a', 1), turn('a', 2, true)];
    expect(givesWay('b', waiting, places({ a: 9 }))).toBe(waiting[0]);
    expect(givesWay('b', [waiting[1]!], places({ a: 9 }))).toBeNull();
  });
});
