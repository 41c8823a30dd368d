import { describe, expect, it } from 'vitest';
import { amongHeld, type Candidate, quickestWay } from '../../src/schedule/quickest.ts';
import { StageCosts } from '../../src/schedule/stage-costs.ts';
import { model, random } from './layout-cases.ts';

type Hop = (from: Candidate, to: Candidate) => number | null;

/** Every way, stages cut at any layer. */
function bruteForce(costs: StageCosts, candidates: readonly Candidate[], hop: Hop): number {
  let best = Number.POSITIVE_INFINITY;
  const visit = (at: number, way: readonly Candidate[], seconds: number) => {
    for (const candidate of candidates) {
      if (
        candidate.start > at ||
        candidate.end <= at ||
        way.some(({ worker }) => worker === candidate.worker)
      )
        continue;
      const there = way.length === 0 ? 0 : hop(way.at(-1)!, candidate);
      if (there === null) continue;
      for (let end = at + 1; end <= candidate.end; end++) {
        const time = seconds + there + candidate.stepSeconds + costs.macs(at, end) * candidate.secondsPerMac;
        const on = [...way, candidate];
        if (end < costs.layers) visit(end, on, time);
        else {
          const back = on.length === 1 ? 0 : hop(candidate, on[0]!);
          if (back !== null) best = Math.min(best, time + back);
        }
      }
    }
  };
  visit(0, [], 0);
  return best;
}

function some(next: () => number, layers: number): Candidate[] {
  return Array.from({ length: 2 + Math.floor(next() * 5) }, (_, index) => {
    const start = next() < 0.4 ? 0 : Math.floor(next() * layers);
    const end = next() < 0.4 ? layers : start + 1 + Math.floor(next() * (layers - start));
    return {
      worker: `w${index}`,
      start,
      end,
      secondsPerMac: 1e-5 * (1 + next() * 9),
      stepSeconds: next() * 0.002,
    };
  });
}

describe('quickestWay', () => {
  const way = (costs: StageCosts, candidates: readonly Candidate[], hop: Hop, maxStages = costs.layers) =>
    quickestWay(costs, { ...amongHeld(candidates), hop, maxStages, waysKept: 16, bridges: true });

  const hopsOf = (next: () => number, missing: number): Hop => {
    const hops = new Map<string, number | null>();
    return (from, to) => {
      const key = `${from.worker} ${to.worker}`;
      if (!hops.has(key)) hops.set(key, next() < missing ? null : next() * 0.1);
      return hops.get(key)!;
    };
  };
  const kinds: [string, number, (next: () => number) => Hop][] = [
    ['a tenth with equal distances', 1.1, () => () => 0.01],
    ['a tenth with unequal distances', 1.1, (next) => hopsOf(next, 0)],
    ['a quarter with links missing', 1.25, (next) => hopsOf(next, 0.2)],
  ];
  it.each(kinds)(
    'is the quickest of all ways on nearly all of 400 random cases, and within %s',
    (_, within, hopOf) => {
      let exact = 0;
      for (let run = 0; run < 400; run++) {
        const next = random(run);
        const costs = new StageCosts(model(2 + Math.floor(next() * 5)));
        const candidates = some(next, costs.layers);
        const hop = hopOf(next);
        const expected = bruteForce(costs, candidates, hop);
        const found = way(costs, candidates, hop);
        if (found.stops === null) {
          expect(expected, `run ${run}`).toBe(Number.POSITIVE_INFINITY);
          exact++;
          continue;
        }
        expect(found.seconds, `run ${run}`).toBeLessThanOrEqual(expected * within);
        if (found.seconds < expected * 1.000_001) exact++;
      }
      expect(exact).toBeGreaterThan(390);
    },
  );

  it('uses no more stages than it may, and says how far it came', () => {
    const costs = new StageCosts(model(4));
    const part = (worker: string, start: number, end: number) => ({
      worker,
      start,
      end,
      secondsPerMac: 1e-5,
      stepSeconds: 0,
    });
    const thirds = [part('a', 0, 2), part('b', 2, 3), part('c', 3, 4)];
    expect(way(costs, thirds, () => 0).stops).toHaveLength(3);
    expect(way(costs, thirds, () => 0, 2)).toMatchObject({ stops: null, reached: 3 });
  });

  it('takes steps that the layers bound, not the candidates', () => {
    const costs = new StageCosts(model(32));
    const steps = (count: number) => {
      const next = random(count);
      const candidates = Array.from({ length: count }, (_, index) => {
        const start = Math.floor(next() * 8) * 4;
        return {
          worker: `w${index}`,
          start,
          end: Math.min(32, start + 4 + 4 * Math.floor(next() * 3)),
          secondsPerMac: 1e-5 * (1 + next()),
          stepSeconds: 0,
        };
      });
      return way(costs, candidates, () => 0.01).steps;
    };
    expect(steps(5_000)).toBeLessThan(steps(200) * 1.5);
  });
});
