/**
 * Ranges for many workers at once, one after another: each takes the stretch of layers that is weakest when it comes (as
 * Petals' servers do, Borzunov et al. 2023), but from a border where others begin or end, so that routes do not get more hops.
 */
import type { LayerRange } from './mesh-view.ts';
import type { CostedWorker, StageCosts } from './stage-costs.ts';

export interface WindowWorker extends CostedWorker {
  readonly id: string;
  readonly macsPerSecond: number;
}

/** Adds to `ranges`. @param all those in `ranges`, with their rates */
export function weakestWindows(
  costs: StageCosts,
  workers: readonly WindowWorker[],
  ranges: Map<string, LayerRange>,
  all: readonly WindowWorker[],
  options: { readonly goal: number; readonly maxStages: number },
): void {
  if (workers.length === 0) return;
  const { layers } = costs;
  const supply = new Float64Array(layers);
  const holders = new Uint32Array(layers);
  const borders = new Set([0, layers]);
  const add = (worker: WindowWorker, { start, end }: LayerRange) => {
    const tokensPerSecond = worker.macsPerSecond / costs.macs(start, end);
    for (let layer = start; layer < end; layer++) {
      supply[layer]! += tokensPerSecond;
      holders[layer]!++;
    }
  };
  for (const worker of all) {
    const range = ranges.get(worker.id);
    if (range === undefined) continue;
    add(worker, range);
    borders.add(range.start).add(range.end);
  }
  const cuts = [...borders].sort((a, b) => a - b);
  for (const worker of [...workers].sort(
    (a, b) => b.macsPerSecond - a.macsPerSecond || (a.id < b.id ? -1 : 1),
  )) {
    let best: LayerRange | null = null;
    let least: readonly [number, number] = [Number.POSITIVE_INFINITY, 0];
    for (const [index, start] of cuts.entries()) {
      if (start === layers) continue;
      const reach = costs.reachFrom(worker, start);
      // To a border, unless none is in reach.
      let end = reach;
      for (let next = cuts.length - 1; next > index; next--) {
        if (cuts[next]! > reach) continue;
        end = cuts[next]!;
        break;
      }
      if (end === start) continue;
      let [weakest, sum] = [Number.POSITIVE_INFINITY, 0];
      let isWanted = false;
      for (let layer = start; layer < end; layer++) {
        weakest = Math.min(weakest, supply[layer]!);
        sum += supply[layer]!;
        if (holders[layer]! < options.goal) isWanted = true;
      }
      if (!isWanted) continue;
      const strength = [weakest, sum / (end - start)] as const;
      const isWeaker = strength[0] < least[0] || (strength[0] === least[0] && strength[1] < least[1]);
      const isLonger = best !== null && strength[0] === least[0] && end - start > best.end - best.start;
      if (best === null || isLonger || isWeaker) [best, least] = [{ start, end }, strength];
    }
    if (best === null) continue;
    ranges.set(worker.id, best);
    add(worker, best);
  }
}
