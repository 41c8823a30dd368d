/**
 * Which worker holds which layers. Pure: the same input gives the same placement.
 *
 * A pipeline's throughput is that of its slowest stage, so the cuts minimize the largest stage time
 * (multiply-accumulates of the stage over the worker's measured rate), under each worker's memory budget.
 */
import type { Shard } from '../model/shard.ts';
import { costsOn, type ModelCosts } from './costs.ts';
import { cutLayers } from './cuts.ts';
import { type DoesNotFit, doesNotFit } from './does-not-fit.ts';

export interface PlacementWorker {
  readonly id: string;
  readonly gemvMacsPerSecond: number;
  /** What is left of the contributor's budget for this placement. */
  readonly memoryBytes: number;
  readonly maxBufferBytes: number;
  /** A software adapter. */
  readonly isFallback: boolean;
  /** F16 weights that are not quantized take twice the memory here. */
  readonly storesF16AsF32?: boolean;
}

export interface PlacedStage {
  readonly worker: string;
  readonly shard: Shard;
  /** Predicted time of one token's matrices. */
  readonly seconds: number;
  readonly bytes: number;
}

/** Why a worker holds nothing of a placement that others make. */
export type SpareReason =
  /** Less memory than the smallest share needs, or a share that is left once the others have what fits them. */
  | { readonly why: 'small-memory'; readonly neededBytes: number }
  | { readonly why: 'small-buffers'; readonly neededBytes: number }
  /** There are as many stages as there may be. */
  | { readonly why: 'full'; readonly stages: number }
  /** It would hold the others up. */
  | { readonly why: 'slow' };

export interface Spare {
  readonly worker: string;
  readonly reason: SpareReason;
}

export interface Placed {
  readonly kind: 'placed';
  readonly stages: readonly PlacedStage[];
  /** Workers that hold nothing, in the order they were given. */
  readonly spares: readonly Spare[];
  /** The slowest stage's time: one over the pipeline's tokens per second, hops apart. */
  readonly bottleneckSeconds: number;
}

export type { DoesNotFit };

export type Placement = Placed | DoesNotFit;

export interface PlacementOptions {
  /** Stages at most; the layers bound it too. */
  readonly pipelineSize?: number;
}

/**
 * A worker is used unless it makes the slowest stage this much slower than the best choice of workers does. Rates
 * measured while several tabs start on one machine differ by two or three, those of software adapters, which share its
 * cores with everything else, by ten (measured: eight tabs on two cores). A software adapter beside real GPUs must earn
 * its place. Revisit when rates come from serving.
 */
const SLOW_WORKER_TOLERANCE = { gpus: 4, software: 32, mixed: 1 + 1e-9 } as const;
/** Up to this many workers every pair of (first, last) is tried; above, the four fastest and the four largest. */
const ALL_PAIRS_WORKERS = 8;
const PAIR_CANDIDATES = 4;
/** Two times that differ by less are the same: rounding of sums in another order. */
const SAME_TIME = 1 + 1e-9;

/**
 * @param workers in the order to keep where it costs nothing (that of the present pipeline), so that a worker finds its
 *   layers in its cache. With layers of one size the result is the best over all orders for up to 8 workers.
 */
export function place(
  costs: ModelCosts,
  workers: readonly PlacementWorker[],
  options: PlacementOptions = {},
): Placement {
  const size = Math.min(options.pipelineSize ?? costs.layers.length, costs.layers.length);
  const able = workers.filter((worker) => whyUnable(costs, worker) === null);
  // Slowest first out; software adapters before all others; of equals the one that came last.
  const leaving = [...able.keys()].sort((a, b) => {
    const [left, right] = [able[a]!, able[b]!];
    if (left.isFallback !== right.isFallback) return left.isFallback ? -1 : 1;
    return left.gemvMacsPerSecond - right.gemvMacsPerSecond || b - a;
  });
  const candidates: { out: number; stages: PlacedStage[]; slowest: number; tolerance: number }[] = [];
  const tooMany = Math.max(0, able.length - size);
  for (let out = tooMany; out < able.length; out++) {
    const gone = new Set(leaving.slice(0, out));
    const members = able.filter((_, index) => !gone.has(index));
    const stages = bestOrder(costs, members);
    if (stages === null) continue;
    candidates.push({
      out,
      stages,
      slowest: slowestStage(stages),
      tolerance: SLOW_WORKER_TOLERANCE[kindOf(members)],
    });
  }
  const best = Math.min(...candidates.map(({ slowest }) => slowest));
  const chosen = candidates.find(({ slowest, tolerance }) => slowest <= best * tolerance);
  if (chosen === undefined) return doesNotFit(costs, workers, size);
  const used = new Set(chosen.stages.map(({ worker }) => worker));
  const whySpare = (worker: PlacementWorker): SpareReason => {
    const unable = whyUnable(costs, worker);
    if (unable !== null) return unable;
    const place = leaving.indexOf(able.indexOf(worker));
    if (place < tooMany) return { why: 'full', stages: chosen.stages.length };
    // With it and all that left after it there was either no cut, or a slower one.
    const withIt = candidates.some(({ out }) => out === place);
    return withIt ? { why: 'slow' } : { why: 'small-memory', neededBytes: smallestShare(costs, worker) };
  };
  return {
    kind: 'placed',
    stages: chosen.stages,
    spares: workers
      .filter(({ id }) => !used.has(id))
      .map((worker) => ({ worker: worker.id, reason: whySpare(worker) })),
    bottleneckSeconds: chosen.slowest,
  };
}

/** Why a worker can hold no layer at all. */
function whyUnable(costs: ModelCosts, worker: PlacementWorker): SpareReason | null {
  const neededBytes = smallestShare(costs, worker);
  if (worker.memoryBytes < neededBytes) return { why: 'small-memory', neededBytes };
  const { largestBufferBytes } = costsOn(costs, worker);
  return worker.maxBufferBytes < largestBufferBytes
    ? { why: 'small-buffers', neededBytes: largestBufferBytes }
    : null;
}

/** One layer of the middle. */
function smallestShare(costs: ModelCosts, worker: PlacementWorker): number {
  const { layers, scratchBytes } = costsOn(costs, worker);
  return Math.min(...layers.map(({ bytes }) => bytes)) + scratchBytes;
}

/** A move costs loading and memory: it must make the slowest stage at least a tenth faster. */
const WORTH_MOVING = 0.9;

/** Whether `next` is worth moving to from a pipeline whose slowest stage takes `currentSeconds`. */
export function isWorthMoving(currentSeconds: number, next: Placed): boolean {
  return next.bottleneckSeconds < currentSeconds * WORTH_MOVING;
}

export function slowestStage(stages: readonly { readonly seconds: number }[]): number {
  return Math.max(...stages.map(({ seconds }) => seconds));
}

function kindOf(members: readonly PlacementWorker[]): keyof typeof SLOW_WORKER_TOLERANCE {
  if (members.every(({ isFallback }) => isFallback)) return 'software';
  return members.some(({ isFallback }) => isFallback) ? 'mixed' : 'gpus';
}

/** The given order if no other one that moves a worker to the front or to the end is faster. Null: nothing fits. */
function bestOrder(costs: ModelCosts, members: readonly PlacementWorker[]): PlacedStage[] | null {
  let best = cutLayers(costs, members);
  for (const order of reorderings(members)) {
    const stages = cutLayers(costs, order);
    if (stages === null) continue;
    if (best === null || slowestStage(stages) * SAME_TIME < slowestStage(best)) best = stages;
  }
  return best;
}

/**
 * Orders with another first or last worker. The middle's order does not matter: its layers cost the same, and only
 * the ends carry the embedding (bytes) and the LM head (bytes and time).
 */
function* reorderings(members: readonly PlacementWorker[]): Generator<readonly PlacementWorker[]> {
  if (members.length < 2) return;
  const few = members.length > ALL_PAIRS_WORKERS;
  const top = (by: (worker: PlacementWorker) => number) =>
    few ? [...members].sort((a, b) => by(b) - by(a)).slice(0, PAIR_CANDIDATES) : members;
  for (const last of top((worker) => worker.gemvMacsPerSecond)) {
    for (const first of top((worker) => worker.memoryBytes)) {
      if (first === last) continue;
      yield [first, ...members.filter((worker) => worker !== first && worker !== last), last];
    }
  }
}
