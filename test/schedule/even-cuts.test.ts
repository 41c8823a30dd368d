import { describe, expect, it } from 'vitest';
import { evenCuts } from '../../src/schedule/layout/even-cuts.ts';
import { StageCosts } from '../../src/schedule/stage-costs.ts';
import { model, random, unequal, worker } from './layout-cases.ts';

describe('evenCuts', () => {
  const sizes = (costs: StageCosts, rates: readonly number[]) =>
    evenCuts(
      costs,
      rates.map((rate, index) => worker(`w${index}`, rate)),
    )?.map(({ start, end }) => end - start);

  it('counts the head, deals in proportion to rates, and is even where it may be', () => {
    expect(sizes(new StageCosts(model(8)), [1, 1, 1])).toEqual([3, 3, 2]);
    const headless = new StageCosts(model(12, { head: { bytes: 50, macs: 0 } }));
    expect(sizes(headless, [1_000, 3_000, 2_000])).toEqual([2, 6, 4]);
    const ten = new StageCosts(model(10, { head: { bytes: 50, macs: 0 } }));
    expect(sizes(ten, [1, 1, 1, 1])?.sort()).toEqual([2, 2, 3, 3]);
  });

  it('gives everybody a layer, or nothing', () => {
    expect(sizes(new StageCosts(model(3)), [1, 1, 1])).toEqual([1, 1, 1]);
    expect(sizes(new StageCosts(model(2)), [1, 1, 1])).toBeUndefined();
  });

  it('has the least slowest stage that any cut within the memories has, on 300 random cases', () => {
    for (let run = 0; run < 300; run++) {
      const next = random(run);
      const costs = new StageCosts(model(3 + Math.floor(next() * 6)));
      const workers = unequal(1 + Math.floor(next() * 3), costs.layers, next);
      let best = Number.POSITIVE_INFINITY;
      const visit = (index: number, start: number, slowest: number) => {
        if (index === workers.length) {
          if (start === costs.layers) best = Math.min(best, slowest);
          return;
        }
        const { macsPerSecond } = workers[index]!;
        for (let end = start + 1; end <= costs.layers; end++) {
          if (!costs.fits(workers[index]!, start, end)) break;
          visit(index + 1, end, Math.max(slowest, costs.macs(start, end) / macsPerSecond));
        }
      };
      visit(0, 0, 0);
      const cuts = evenCuts(costs, workers);
      const found = cuts?.map(
        ({ start, end }, index) => costs.macs(start, end) / workers[index]!.macsPerSecond,
      );
      const slowest = found === undefined ? Number.POSITIVE_INFINITY : Math.max(...found);
      expect(slowest / best, `run ${run}: ${slowest} ${best}`).toSatisfy(
        (ratio: number) => Number.isNaN(ratio) || Math.abs(ratio - 1) < 1e-6,
      );
    }
  });
});
