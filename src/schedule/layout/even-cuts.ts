/** Cutting all layers between workers whose order is given, so that the slowest stage is as fast as can be. */
import type { LayerRange } from '../mesh-view.ts';
import type { CostedWorker, StageCosts } from '../stage-costs.ts';

export interface RatedWorker extends CostedWorker {
  readonly macsPerSecond: number;
}

const BISECTIONS = 40;

/**
 * Each worker gets at least one layer. The least time that the slowest stage can have is found by bisection: within a bound
 * the first worker takes all it can, then the second, which leaves the last the least. Then borders move towards evenness.
 *
 * @returns a range a worker, in order, or null where the memories do not hold the model in this order
 */
export function evenCuts(costs: StageCosts, workers: readonly RatedWorker[]): LayerRange[] | null {
  const count = workers.length;
  if (count === 0 || count > costs.layers) return null;
  let ends = fill(costs, workers, Number.POSITIVE_INFINITY);
  if (ends === null) return null;
  let [low, high] = [0, slowest(costs, workers, ends)];
  for (let step = 0; step < BISECTIONS; step++) {
    const middle = (low + high) / 2;
    const within = fill(costs, workers, middle);
    if (within === null) low = middle;
    else {
      ends = within;
      high = Math.min(middle, slowest(costs, workers, within));
    }
  }
  even(costs, workers, ends, slowest(costs, workers, ends));
  return ends.map((end, index) => ({ start: ends[index - 1] ?? 0, end }));
}

export function stageSeconds(costs: StageCosts, worker: RatedWorker, start: number, end: number): number {
  return costs.macs(start, end) / worker.macsPerSecond;
}

function fill(costs: StageCosts, workers: readonly RatedWorker[], bound: number): number[] | null {
  const { layers } = costs;
  const ends: number[] = [];
  let start = 0;
  for (const [index, worker] of workers.entries()) {
    const after = workers.length - 1 - index;
    let end = costs.reachFrom(worker, start, layers - after);
    while (end > start && stageSeconds(costs, worker, start, end) > bound) end--;
    if (end === start) return null;
    ends.push(end);
    start = end;
  }
  return start === layers ? ends : null;
}

function slowest(costs: StageCosts, workers: readonly RatedWorker[], ends: readonly number[]): number {
  return Math.max(
    ...workers.map((worker, index) => stageSeconds(costs, worker, ends[index - 1] ?? 0, ends[index]!)),
  );
}

/** Moves borders by a layer while that lowers the sum of the squared stage times of both sides, and neither is above the bound. */
function even(costs: StageCosts, workers: readonly RatedWorker[], ends: number[], bound: number): void {
  const pair = (index: number, border: number): number => {
    const [start, end] = [ends[index - 1] ?? 0, ends[index + 1]!];
    const [left, right] = [workers[index]!, workers[index + 1]!];
    if (border <= start || border >= end) return Number.POSITIVE_INFINITY;
    if (!costs.fits(left, start, border) || !costs.fits(right, border, end)) return Number.POSITIVE_INFINITY;
    const [before, after] = [
      stageSeconds(costs, left, start, border),
      stageSeconds(costs, right, border, end),
    ];
    return Math.max(before, after) > bound ? Number.POSITIVE_INFINITY : before ** 2 + after ** 2;
  };
  // Each move lowers the sum, so it ends; the bound is for sums that differ by rounding alone.
  for (let round = 0; round < costs.layers; round++) {
    let moved = false;
    for (let index = 0; index + 1 < ends.length; index++) {
      const border = ends[index]!;
      for (const to of [border - 1, border + 1]) {
        if (pair(index, to) < pair(index, border) * (1 - 1e-9)) {
          ends[index] = to;
          moved = true;
          break;
        }
      }
    }
    if (!moved) return;
  }
}
