import { describe, expect, it } from 'vitest';
import { reloadSeconds } from '../../src/schedule/layout/reloading.ts';
import { stageCostsOf } from '../../src/schedule/stage-costs.ts';
import { model, worker } from './layout-cases.ts';

const costs = stageCostsOf(model(8));
const front = { start: 0, end: 4 };

describe('loading again', () => {
  it('costs nothing where what is held holds it, and a newcomer next to nothing', () => {
    expect(reloadSeconds(costs, worker('a'), front, { start: 1, end: 3 })).toBe(0);
    expect(reloadSeconds(costs, worker('a'), front, undefined)).toBe(0);
    const moved = reloadSeconds(costs, worker('a'), { start: 4, end: 8 }, front);
    expect(reloadSeconds(costs, worker('a'), null, front)).toBeCloseTo(moved / 100, 12);
  });

  it('costs the network only what is not cached, layer by layer', () => {
    const seconds = (end: number) =>
      reloadSeconds(costs, worker('a', 1, { cached: [{ start: 0, end }] }), front, { start: 0, end: 5 });
    expect(seconds(0)).toBeCloseTo(10 * seconds(5), 9);
    // Four of five layers are there.
    expect(seconds(4)).toBeCloseTo(0.2 * seconds(0) + 0.8 * seconds(5), 9);
  });
});
