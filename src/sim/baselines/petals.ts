/**
 * Petals' rule for which blocks a server holds, as published: Borzunov et al., "Petals: Collaborative Inference and Fine-tuning
 * of Large Models" (2023), appendix on load balancing. A server that joins takes the consecutive blocks whose throughputs are,
 * sorted, the smallest; now and then each looks whether the swarm would be better if it moved, and others after it.
 */
import type { LayerRange } from '../../schedule/mesh-view.ts';
import type { StageCosts } from '../../schedule/stage-costs.ts';
import type { BaselineWorker } from './worker.ts';

export interface PetalsServer {
  readonly worker: BaselineWorker;
  readonly range: LayerRange;
}

/** Share of the throughput after moving below which a server moves. */
const BALANCE_QUALITY = 0.75;
/** Of a server's own throughput: what it has is preferred where all else is almost the same. */
const EPSILON = 1e-3;

/** What a server that joins takes; null where its memory holds no layer there. */
export function petalsJoin(
  costs: StageCosts,
  worker: BaselineWorker,
  servers: readonly PetalsServer[],
): LayerRange | null {
  const blocks = blocksOf(costs, worker);
  if (blocks === 0) return null;
  return clipped(costs, worker, bestStart(throughputs(costs, servers), blocks), blocks);
}

/** Where a server moves on its regular look at the swarm; null: it stays. @param shuffle of the order in which others follow */
export function petalsMove(
  costs: StageCosts,
  own: PetalsServer,
  servers: readonly PetalsServer[],
  shuffle: (ids: number[]) => number[],
): LayerRange | null {
  const { layers } = costs;
  const spans = servers.map(({ worker, range }) => ({
    worker,
    range,
    blocks: range.end - range.start,
    rate: rateOf(costs, worker, range.end - range.start),
  }));
  const mine = servers.indexOf(own);
  const flow = throughputs(costs, servers);
  const initial = Math.min(...flow);
  const add = ({ start, end }: LayerRange, by: number) => {
    for (let layer = start; layer < end; layer++) flow[layer]! += by;
  };
  const span = spans[mine]!;
  add(span.range, -span.rate * (1 + EPSILON));
  // Going would leave a gap.
  if (initial > EPSILON && Math.min(...flow) <= 0) return null;
  const start = bestStart(flow, span.blocks);
  if (start === span.range.start) return null;
  const moved = { start, end: start + span.blocks };
  add(span.range, span.rate * EPSILON);
  span.range = moved;
  add(moved, span.rate);
  // What the others would do then, until nobody moves; they go in circles where it does not settle.
  for (let round = 0, changed = true; changed && round < layers; round++) {
    changed = false;
    for (const index of shuffle([...spans.keys()])) {
      const other = spans[index]!;
      add(other.range, -other.rate * (1 + EPSILON));
      const next = bestStart(flow, other.blocks);
      add(other.range, other.rate * EPSILON);
      if (next !== other.range.start) {
        other.range = { start: next, end: next + other.blocks };
        changed = true;
      }
      add(other.range, other.rate);
    }
  }
  const after = Math.min(...flow);
  if (after < initial || after < EPSILON * EPSILON) return null;
  if (initial / after >= BALANCE_QUALITY - EPSILON) return null;
  return clipped(costs, own.worker, moved.start, span.blocks);
}

/** Blocks that a server holds wherever it stands: as many as fit in the middle. */
function blocksOf(costs: StageCosts, worker: BaselineWorker): number {
  const from = Math.min(1, costs.layers - 1);
  return Math.max(costs.reachFrom(worker, from) - from, costs.reachFrom(worker, 0));
}

/** A request uses half of a server's blocks, as a mean over where it enters. */
function rateOf(costs: StageCosts, worker: BaselineWorker, blocks: number): number {
  const layer = costs.macs(0, costs.layers) / costs.layers;
  return worker.macsPerSecond / (layer * ((blocks + 1) / 2));
}

function throughputs(costs: StageCosts, servers: readonly PetalsServer[]): number[] {
  const flow = new Array<number>(costs.layers).fill(0);
  for (const { worker, range } of servers) {
    const rate = rateOf(costs, worker, range.end - range.start);
    for (let layer = range.start; layer < range.end; layer++) flow[layer]! += rate;
  }
  return flow;
}

/** The start whose blocks' throughputs, sorted, come first in lexicographic order; of equals the smallest. */
function bestStart(flow: readonly number[], blocks: number): number {
  let [best, least]: [number, readonly number[] | null] = [0, null];
  for (let start = 0; start + blocks <= flow.length; start++) {
    const sorted = flow.slice(start, start + blocks).sort((a, b) => a - b);
    if (least === null || isBefore(sorted, least)) [best, least] = [start, sorted];
  }
  return best;
}

function isBefore(a: readonly number[], b: readonly number[]): boolean {
  for (const [index, value] of a.entries()) if (value !== b[index]) return value < b[index]!;
  return false;
}

/** With the embedding or the LM head, which Petals leaves to the client, fewer blocks fit. */
function clipped(
  costs: StageCosts,
  worker: BaselineWorker,
  start: number,
  blocks: number,
): LayerRange | null {
  const end = Math.min(costs.layers, start + blocks);
  if (costs.fits(worker, start, end)) return { start, end };
  if (end === costs.layers) {
    const from = costs.reachTo(worker, end, start);
    return from < end ? { start: from, end } : null;
  }
  const reach = costs.reachFrom(worker, start, end);
  return reach > start ? { start, end: reach } : null;
}
