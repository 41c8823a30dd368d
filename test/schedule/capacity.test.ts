import { describe, expect, it } from 'vitest';
import { capacityOf, type Supply } from '../../src/schedule/layout/capacity.ts';
import { StageCosts } from '../../src/schedule/stage-costs.ts';
import { model, random } from './layout-cases.ts';

/** The theorem of Hall for transport: the least, over all sets of layers, of what reaches them over what they need. */
function bySets(costs: StageCosts, supplies: readonly Supply[]): number {
  let least = Number.POSITIVE_INFINITY;
  for (let set = 1; set < 1 << costs.layers; set++) {
    const has = (layer: number) => (set & (1 << layer)) !== 0;
    let [work, rate] = [0, 0];
    for (let layer = 0; layer < costs.layers; layer++) if (has(layer)) work += costs.macs(layer, layer + 1);
    for (const { start, end, macsPerSecond } of supplies) {
      const reaches = Array.from({ length: end - start }, (_, i) => start + i).some(has);
      if (reaches) rate += macsPerSecond;
    }
    least = Math.min(least, rate / work);
  }
  return least;
}

describe('capacityOf', () => {
  const costs = new StageCosts(model(6));

  it('is one worker’s rate over the model, and nothing where a layer is held by nobody', () => {
    const whole = costs.macs(0, 6);
    expect(capacityOf(costs, [{ start: 0, end: 6, macsPerSecond: whole * 3 }])).toBeCloseTo(3, 2);
    expect(capacityOf(costs, [{ start: 0, end: 5, macsPerSecond: 1e9 }])).toBe(0);
    expect(capacityOf(costs, [])).toBe(0);
  });

  it('lets a worker with all layers help most where others hold least', () => {
    const half = costs.macs(0, 3);
    const rest = costs.macs(3, 6);
    const supplies = [
      { start: 0, end: 3, macsPerSecond: half },
      { start: 0, end: 6, macsPerSecond: rest },
    ];
    expect(capacityOf(costs, supplies)).toBeCloseTo(1, 2);
  });

  it('is that of the worst set of layers, on 300 random cases', () => {
    for (let run = 0; run < 300; run++) {
      const next = random(run);
      const some = new StageCosts(model(2 + Math.floor(next() * 5)));
      const supplies = Array.from({ length: 1 + Math.floor(next() * 6) }, () => {
        const start = Math.floor(next() * some.layers);
        return {
          start,
          end: start + 1 + Math.floor(next() * (some.layers - start)),
          macsPerSecond: 100 + Math.floor(next() * 5_000),
        };
      });
      const expected = bySets(some, supplies);
      const found = capacityOf(some, supplies);
      expect(found, `run ${run}`).toBeGreaterThanOrEqual(expected * 0.998);
      expect(found, `run ${run}`).toBeLessThanOrEqual(expected * 1.000_001);
    }
  });
});
