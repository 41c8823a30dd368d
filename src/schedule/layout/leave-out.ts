/** Whom a layout can do without: newcomers that neither raise the rate by much nor are needed as replicas, slowest first. */

import type { LayerRange } from '../mesh-view.ts';
import { holdersOf } from './holders.ts';
import type { LayoutScorer, ScoredWorker } from './layout-score.ts';

/** A worker whose absence changes the seconds by less than this share is left a spare, if enough others hold its layers. */
const WORTH_LOADING = 0.005;
/** The same of layers that as many hold already as the requests can use. */
const WORTH_ONE_MORE = 0.03;

export interface LeaveOutWorker extends ScoredWorker {
  readonly current: LayerRange | null;
}

export interface LeaveOutOptions<W extends LeaveOutWorker> {
  readonly layers: number;
  readonly scorer: LayoutScorer;
  /** Of the layout as it is. */
  readonly seconds: number;
  readonly replicaGoal: number;
  /** More of a layer would idle. */
  readonly mostReplicas: number;
  readonly loadSeconds: (worker: W) => number;
}

/** Takes from `ranges`. */
export function leaveOut<W extends LeaveOutWorker>(
  workers: readonly W[],
  ranges: Map<string, LayerRange>,
  { layers, scorer, replicaGoal, mostReplicas, ...options }: LeaveOutOptions<W>,
): void {
  const holders = holdersOf(layers, ranges.values());
  let { seconds } = options;
  // Of equals those that would have to load more, then who came last.
  const loading = new Map(workers.map((worker) => [worker, options.loadSeconds(worker)]));
  const slowest = [...workers]
    .reverse()
    .sort((a, b) => a.macsPerSecond - b.macsPerSecond || loading.get(b)! - loading.get(a)!);
  for (const worker of slowest) {
    const range = ranges.get(worker.id);
    if (range === undefined || worker.current !== null) continue;
    const least = Math.min(...holders.slice(range.start, range.end));
    if (least <= replicaGoal) continue;
    const without = new Map(ranges);
    without.delete(worker.id);
    const next = scorer.score(workers, without).seconds;
    if (next > seconds * (1 + (least <= mostReplicas ? WORTH_LOADING : WORTH_ONE_MORE))) continue;
    seconds = next;
    ranges.delete(worker.id);
    for (let layer = range.start; layer < range.end; layer++) holders[layer]!--;
  }
}
