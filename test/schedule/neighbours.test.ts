import { describe, expect, it } from 'vitest';
import { leadsTo, Neighbours } from '../../src/schedule/neighbours.ts';

const LAYERS = 8;
const range = (peer: string, start: number, end: number) => ({ peer, start, end });
/** Two halves of five each, the quickest first. */
const halves = new Neighbours(
  [0, 1, 2, 3, 4].flatMap((rank) => [range(`a${rank}`, 0, 4), range(`b${rank}`, 4, 8)]),
  LAYERS,
);

describe('those who may follow each other', () => {
  it('hold the layer after the other’s last, and after the last layer comes the first', () => {
    expect(leadsTo(range('a', 0, 4), range('b', 4, 8), LAYERS)).toBe(true);
    expect(leadsTo(range('a', 0, 4), range('b', 2, 8), LAYERS)).toBe(true);
    expect(leadsTo(range('a', 0, 4), range('b', 5, 8), LAYERS)).toBe(false);
    expect(leadsTo(range('b', 4, 8), range('a', 0, 4), LAYERS)).toBe(true);
    expect(leadsTo(range('a', 0, 4), range('a2', 0, 4), LAYERS)).toBe(false);
  });

  it('are found with their like first: the quick by the quick, the slow by the slow', () => {
    expect([...halves.after(4, 'a0')]).toEqual(['b0', 'b1', 'b2', 'b3', 'b4']);
    expect([...halves.after(4, 'a4')]).toEqual(['b4', 'b3', 'b2', 'b1', 'b0']);
    expect([...halves.after(4, 'a2')][0]).toBe('b2');
    expect([...halves.before(4, 'b3')][0]).toBe('a3');
    expect([...halves.after(0, 'b1')][0]).toBe('a1');
  });

  it('may come in anywhere in a range that others end in', () => {
    const uneven = new Neighbours(
      [range('a', 0, 3), range('b', 3, 8), range('c', 2, 5), range('d', 0, 8)],
      LAYERS,
    );
    expect(uneven.bordersIn({ start: 2, end: 5 }).toSorted()).toEqual([3]);
    expect([...uneven.after(3, 'a')].toSorted()).toEqual(['b', 'c', 'd']);
    expect(uneven.covering({ start: 3, end: 5 }).map(({ peer }) => peer)).toEqual(['b', 'c', 'd']);
  });
});
