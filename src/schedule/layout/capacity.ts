/** How many tokens a second held ranges can give together, when enough sequences run and each takes the best route. */
import type { LayerRange } from '../mesh-view.ts';
import type { StageCosts } from '../stage-costs.ts';

export interface Supply extends LayerRange {
  /** Of all workers that hold exactly this range together. */
  readonly macsPerSecond: number;
}

const PRECISION = 1e-3;

/**
 * The largest rate of tokens for which every layer's work finds a worker. Work is divisible: a sequence may take any worker
 * for each stretch of layers, and no time goes for hops, so nothing that serves these ranges is faster.
 *
 * Whether a rate can be had is a transport problem from workers to layers in which each worker reaches consecutive layers.
 * There the greedy that spends the worker whose range ends first is optimal (Glover 1967, convex bipartite graphs).
 *
 * @returns tokens a second, to a thousandth; 0 where a layer is held by nobody
 */
export function capacityOf(costs: StageCosts, supplies: readonly Supply[]): number {
  const byStart = [...supplies].sort((a, b) => a.start - b.start || a.end - b.end);
  const cuts = [...new Set(byStart.flatMap(({ start, end }) => [start, end]))].sort((a, b) => a - b);
  if (cuts[0] !== 0 || cuts.at(-1) !== costs.layers) return 0;
  const work = cuts.slice(1).map((end, index) => costs.macs(cuts[index]!, end));
  const total = byStart.reduce((sum, { macsPerSecond }) => sum + macsPerSecond, 0);
  let [low, high] = [0, total / costs.macs(0, costs.layers)];
  if (isServed(cuts, work, byStart, high * (1 - PRECISION))) return high;
  while (high - low > high * PRECISION) {
    const middle = (low + high) / 2;
    if (isServed(cuts, work, byStart, middle)) low = middle;
    else high = middle;
    if (high < Number.MIN_VALUE * 4) return 0;
  }
  return low;
}

interface Open {
  readonly end: number;
  left: number;
}

function isServed(
  cuts: readonly number[],
  work: readonly number[],
  byStart: readonly Supply[],
  tokensPerSecond: number,
): boolean {
  const open: Open[] = [];
  let next = 0;
  for (const [index, macs] of work.entries()) {
    const at = cuts[index]!;
    for (; next < byStart.length && byStart[next]!.start === at; next++) {
      const { end, macsPerSecond } = byStart[next]!;
      let place = open.length;
      while (place > 0 && open[place - 1]!.end > end) place--;
      open.splice(place, 0, { end, left: macsPerSecond });
    }
    let need = macs * tokensPerSecond;
    while (need > 0) {
      const first = open[0];
      if (first === undefined) return false;
      if (first.end <= at || first.left <= 0) {
        open.shift();
        continue;
      }
      const taken = Math.min(need, first.left);
      first.left -= taken;
      need -= taken;
    }
  }
  return true;
}
