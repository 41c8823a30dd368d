/** Whether a few workers hold a model at all, in whatever order: exact, where greedy ways miss what barely fits. */
import type { LayerRange } from '../mesh-view.ts';
import type { CostedWorker, StageCosts } from '../stage-costs.ts';

/** Sets of so many workers are 4,096. */
const MOST_WORKERS = 12;

/**
 * Of each set of workers, the farthest layer that they reach together from layer 0. Who reaches farther with the same
 * workers left is never worse off, so one number a set is enough.
 *
 * @returns a range for each worker that it takes, or null where even all together do not hold the model
 */
export function tightestFit(
  costs: StageCosts,
  workers: readonly (CostedWorker & { readonly id: string })[],
): Map<string, LayerRange> | null {
  const among = workers.slice(0, MOST_WORKERS);
  const reach = new Int32Array(1 << among.length).fill(-1);
  const last = new Int8Array(1 << among.length).fill(-1);
  reach[0] = 0;
  for (let set = 0; set < reach.length; set++) {
    const at = reach[set]!;
    if (at < 0) continue;
    if (at === costs.layers) return rangesOf(set, reach, last, among);
    for (const [index, worker] of among.entries()) {
      const next = set | (1 << index);
      if (next === set) continue;
      const end = costs.reachFrom(worker, at);
      if (end === at || end <= reach[next]!) continue;
      reach[next] = end;
      last[next] = index;
    }
  }
  return null;
}

function rangesOf(
  full: number,
  reach: Int32Array,
  last: Int8Array,
  workers: readonly { readonly id: string }[],
): Map<string, LayerRange> {
  const ranges = new Map<string, LayerRange>();
  for (let set = full; set !== 0; ) {
    const index = last[set]!;
    const before = set & ~(1 << index);
    ranges.set(workers[index]!.id, { start: reach[before]!, end: reach[set]! });
    set = before;
  }
  return ranges;
}
