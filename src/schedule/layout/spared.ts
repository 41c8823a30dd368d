/** Why a worker holds nothing of a layout that others make. */

import type { LayerRange, WorkerView } from '../mesh-view.ts';
import type { StageCosts } from '../stage-costs.ts';
import { holdersOf } from './holders.ts';

export type LayoutSpareReason =
  /** Less memory than the smallest share needs. */
  | { readonly why: 'small-memory'; readonly neededBytes: number }
  | { readonly why: 'small-buffers'; readonly neededBytes: number }
  /** There are as many stages as there may be, and what it lends is too little for the layers of one of them. */
  | { readonly why: 'full'; readonly stages: number }
  /** It would hold the others up. */
  | { readonly why: 'slow' }
  /** It would not make the whole a tenth faster. */
  | { readonly why: 'no-gain' }
  /** Each layer is held by so many already, and they are enough for the requests that there are. */
  | { readonly why: 'replicated'; readonly replicas: number };

/** So many times slower than the fastest that holds layers. */
const SLOW = 8;

/** Why it can hold no layer at all. @param maxStages 1: only the whole model will do */
export function whyUnable(
  costs: StageCosts,
  worker: WorkerView,
  maxStages: number,
): Extract<LayoutSpareReason, { neededBytes: number }> | null {
  const neededBytes = maxStages === 1 ? costs.bytes(worker, 0, costs.layers) : costs.smallest(worker);
  if (worker.memoryBytes < neededBytes) return { why: 'small-memory', neededBytes };
  const buffer = costs.largestBuffer(worker);
  return worker.maxBufferBytes < buffer ? { why: 'small-buffers', neededBytes: buffer } : null;
}

export interface Others {
  /** What they hold, and how fast they are. */
  readonly ranges: readonly LayerRange[];
  readonly rates: readonly number[];
  readonly maxStages: number;
  readonly replicaGoal: number;
}

export interface SparedBeside {
  /** Each once. */
  readonly ranges: readonly LayerRange[];
  readonly fastest: number;
  readonly slowest: number;
  /** Of the layer that the fewest hold. */
  readonly replicas: number;
  readonly maxStages: number;
  readonly replicaGoal: number;
}

/** What of the others matters to each spare: worked out once. */
export function sparedBeside(layers: number, { ranges, rates, ...options }: Others): SparedBeside {
  const distinct = new Map(ranges.map(({ start, end }) => [start * (layers + 1) + end, { start, end }]));
  return {
    ranges: [...distinct.values()],
    fastest: rates.reduce((most, rate) => Math.max(most, rate), 0),
    slowest: rates.reduce((least, rate) => Math.min(least, rate), Number.POSITIVE_INFINITY),
    replicas: Math.min(...holdersOf(layers, ranges)),
    ...options,
  };
}

export function whySpared(
  costs: StageCosts,
  worker: WorkerView,
  macsPerSecond: number,
  { ranges, fastest, slowest, replicas, maxStages, replicaGoal }: SparedBeside,
): LayoutSpareReason {
  if (macsPerSecond * SLOW < fastest) return { why: 'slow' };
  const fits = ranges.some(({ start, end }) => costs.fits(worker, start, end));
  const isFull = maxStages < costs.layers && (replicaGoal === 1 || !fits);
  // Fast enough to be taken in another's place, not by so much that loading anew pays.
  if (isFull) return macsPerSecond > slowest ? { why: 'no-gain' } : { why: 'full', stages: maxStages };
  return { why: 'replicated', replicas };
}
