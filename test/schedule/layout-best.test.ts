/** The layout beside the best of all layouts, where they can be counted. */
import { describe, expect, it } from 'vitest';
import { layout } from '../../src/schedule/layout/layout.ts';
import { LayoutScorer } from '../../src/schedule/layout/layout-score.ts';
import { hopSeconds, type LayerRange } from '../../src/schedule/mesh-view.ts';
import { stageCostsOf } from '../../src/schedule/stage-costs.ts';
import { model, places, random, unequal } from './layout-cases.ts';

/** Loopback, one country, the world. */
const WIDEST = [0.01, 0.2, 1];

interface Compared {
  /** Over that of the best layout, of the seconds a token for one request, and of the seconds between tokens for many. */
  readonly seconds: number;
  readonly capacity: number;
  readonly tokenSeconds: number;
}

function compared(workerCount: number, layers: number, concurrency: number, run: number): Compared | null {
  const next = random(run);
  const costs = model(layers);
  const sums = stageCostsOf(costs);
  const workers = unequal(workerCount, layers, next);
  const rtt = places(workers, next, WIDEST[run % 3]!);
  const scorer = new LayoutScorer(sums, [], rtt, {
    concurrency,
    replicaGoal: 1,
    stepSeconds: 0,
    meanHopSeconds: hopSeconds(WIDEST[run % 3]! / 3),
  });
  const ranges: LayerRange[] = [];
  for (let start = 0; start < layers; start++)
    for (let end = start + 1; end <= layers; end++) ranges.push({ start, end });
  let [seconds, tokenSeconds, capacity] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY, 0];
  const visit = (index: number, chosen: Map<string, LayerRange>) => {
    const worker = workers[index];
    if (worker === undefined) {
      const score = scorer.score(workers, chosen);
      seconds = Math.min(seconds, score.seconds);
      tokenSeconds = Math.min(tokenSeconds, score.tokenSeconds);
      capacity = Math.max(capacity, score.capacity);
      return;
    }
    visit(index + 1, chosen);
    for (const range of ranges) {
      if (!sums.fits(worker, range.start, range.end)) continue;
      visit(index + 1, chosen.set(worker.id, range));
      chosen.delete(worker.id);
    }
  };
  visit(0, new Map());
  const found = layout({ costs, workers, rtt, options: { concurrency, replicaGoal: 1 } });
  if (found.kind === 'does-not-fit') {
    expect(seconds, `run ${run}`).toBe(Number.POSITIVE_INFINITY);
    return null;
  }
  const score = scorer.score(workers, new Map(found.holdings.map((holding) => [holding.worker, holding])));
  return {
    seconds: score.seconds / seconds,
    tokenSeconds: found.tokenSeconds / tokenSeconds,
    capacity: capacity / found.capacity,
  };
}

describe('layout, beside the best of all layouts', () => {
  const sizes = [
    { workers: 3, layers: 6, runs: 24 },
    { workers: 4, layers: 4, runs: 12 },
    { workers: 2, layers: 10, runs: 24 },
  ];
  const all = (concurrency: number) =>
    sizes.flatMap(({ workers, layers, runs }) =>
      Array.from({ length: runs }, (_, run) => compared(workers, layers, concurrency, run)).filter(
        (each) => each !== null,
      ),
    );

  it('is within a tenth for one request: the time of its token', () => {
    const found = all(1);
    expect(found.length).toBeGreaterThan(50);
    for (const { tokenSeconds, seconds } of found) {
      expect(tokenSeconds).toBeLessThanOrEqual(1.1);
      expect(seconds).toBeLessThanOrEqual(1.1);
    }
  }, 60_000);

  it('is within a tenth for some requests at once', () => {
    for (const { seconds } of all(4)) expect(seconds).toBeLessThanOrEqual(1.1);
  }, 60_000);

  it('is within a tenth for many: the tokens a second of all together', () => {
    for (const { capacity, seconds } of all(1_000)) {
      expect(capacity).toBeLessThanOrEqual(1.1);
      expect(seconds).toBeLessThanOrEqual(1.1);
    }
  }, 60_000);
});
