/** More tokens a second than this no placement and no routing can give. */
import type { StageCosts } from '../../schedule/stage-costs.ts';
import type { BaselineWorker } from './worker.ts';

const BISECTIONS = 60;

export interface UpperBound {
  /** Of as many requests as it takes. */
  readonly capacity: number;
  /** Of one request. */
  readonly oneStream: number;
  /** Of so many requests at once. */
  readonly tokensPerSecond: number;
}

export function upperBound(
  costs: StageCosts,
  workers: readonly BaselineWorker[],
  concurrency: number,
): UpperBound {
  const most = workers.map((worker) => mostMacs(costs, worker));
  const total = costs.macs(0, costs.layers);
  const capacity = waterLevel(workers, most, total);
  const oneStream = 1 / leastSeconds(workers, most, total);
  return { capacity, oneStream, tokensPerSecond: Math.min(capacity, concurrency * oneStream) };
}

/** Work of the most layers that it can hold at once. */
function mostMacs(costs: StageCosts, worker: BaselineWorker): number {
  let most = 0;
  for (let start = 0; start < costs.layers; start++) {
    const end = costs.reachFrom(worker, start);
    if (end > start) most = Math.max(most, costs.macs(start, end));
  }
  return most;
}

/** At T tokens a second a worker does at most its rate, and at most T times the work of what it holds; together they do T models. */
function waterLevel(workers: readonly BaselineWorker[], most: readonly number[], total: number): number {
  let low = 0;
  let high = workers.reduce((sum, { macsPerSecond }) => sum + macsPerSecond, 0) / total;
  for (let step = 0; step < BISECTIONS; step++) {
    const middle = (low + high) / 2;
    const done = workers.reduce(
      (sum, worker, index) => sum + Math.min(worker.macsPerSecond, middle * most[index]!),
      0,
    );
    if (done >= middle * total * (1 - 1e-12)) low = middle;
    else high = middle;
  }
  return high;
}

/** One token after another: all of the model on the fastest, as far as it fits, then on the next; hops take no time. */
function leastSeconds(workers: readonly BaselineWorker[], most: readonly number[], total: number): number {
  const order = [...workers.keys()].sort((a, b) => workers[b]!.macsPerSecond - workers[a]!.macsPerSecond);
  let [left, seconds] = [total, 0];
  for (const index of order) {
    const taken = Math.min(left, most[index]!);
    seconds += taken / workers[index]!.macsPerSecond;
    left -= taken;
    if (left <= 0) return seconds;
  }
  return Number.POSITIVE_INFINITY;
}
