/**
 * A split that the operator asked for, though one worker might do: so many stages, cut so that none of them holds the others
 * up, and everybody else a replica of one of them. A split that is there stays until another is a tenth faster, so that a
 * noisy rate moves nothing.
 */

import { covers, type LayerRange } from '../mesh-view.ts';
import type { CostedWorker, StageCosts } from '../stage-costs.ts';
import { evenCuts, stageSeconds } from './even-cuts.ts';

export interface SplitWorker extends CostedWorker {
  readonly id: string;
  readonly macsPerSecond: number;
  /** A software adapter. */
  readonly isFallback: boolean;
  readonly current: LayerRange | null;
}

export interface SplitOptions {
  readonly stages: number;
  readonly maxStages: number;
  readonly replicaGoal: number;
}

const WORTH_CHANGING = 0.9;
/** While a segment is held by nobody: one who fills it may be slower, for only its layers have to be loaded. */
const WORTH_CHANGING_IN_A_GAP = 0.5;
/**
 * Rates measured while several tabs start on one machine differ by two or three, those of software adapters, which share its
 * cores with everything else, by ten (measured: eight tabs on two cores). A software adapter beside real GPUs must earn its place.
 */
const SLOW_TOLERANCE = { gpus: 4, software: 32, mixed: 1 + 1e-9 } as const;
/** Times that differ by less are the same: sums in another order. */
const SAME_SECONDS = 1 + 1e-9;

/** @returns ranges by worker, or null where the memories do not hold the model */
export function askedSplit(
  costs: StageCosts,
  workers: readonly SplitWorker[],
  options: SplitOptions,
): Map<string, LayerRange> | null {
  const present = presentSegments(costs, workers, options.stages);
  const kept = present === null ? null : assigned(costs, workers, present, options.replicaGoal);
  const fresh = freshSplit(costs, workers, options);
  if (kept !== null && kept.missing === 0) {
    const hasGap = present!.some(
      ({ start, end }) => !workers.some(({ current }) => current?.start === start && current.end === end),
    );
    const worth = hasGap ? WORTH_CHANGING_IN_A_GAP : WORTH_CHANGING;
    const isWorth = fresh !== null && fresh.slowest < kept.slowest * worth;
    if (!isWorth) return kept.ranges;
  }
  if (fresh === null) return null;
  return assigned(costs, workers, fresh.segments, options.replicaGoal, fresh.members).ranges;
}

interface Fresh {
  readonly segments: readonly LayerRange[];
  readonly members: readonly SplitWorker[];
  readonly slowest: number;
}

/**
 * As many stages as asked for, or as the memories need; fewer where a worker would make the slowest stage this much slower
 * than it is without it.
 */
function freshSplit(costs: StageCosts, workers: readonly SplitWorker[], options: SplitOptions): Fresh | null {
  const most = Math.min(options.maxStages, workers.length, costs.layers);
  const asked = Math.min(options.stages, most);
  const found: Fresh[] = [];
  for (let count = 1; count <= most; count++) {
    const split = splitOver(costs, workers, count);
    if (split !== null) found.push(split);
    if (count >= asked && found.length > 0) break;
  }
  const best = Math.min(...found.map(({ slowest }) => slowest));
  return found.findLast(({ slowest, members }) => slowest <= best * SLOW_TOLERANCE[kindOf(members)]) ?? null;
}

function splitOver(costs: StageCosts, workers: readonly SplitWorker[], count: number): Fresh | null {
  const byRate = [...workers].sort(
    (a, b) => Number(a.isFallback) - Number(b.isFallback) || b.macsPerSecond - a.macsPerSecond,
  );
  const byMemory = [...workers].sort((a, b) => b.memoryBytes - a.memoryBytes);
  let best: Fresh | null = null;
  for (const order of [byRate, byMemory]) {
    const chosen = new Set(order.slice(0, count));
    for (const members of orders(workers.filter((worker) => chosen.has(worker)))) {
      const segments = evenCuts(costs, members);
      if (segments === null) continue;
      const slowest = Math.max(
        ...members.map((worker, index) =>
          stageSeconds(costs, worker, segments[index]!.start, segments[index]!.end),
        ),
      );
      if (best === null || slowest * SAME_SECONDS < best.slowest) best = { segments, members, slowest };
    }
  }
  return best;
}

function kindOf(members: readonly SplitWorker[]): keyof typeof SLOW_TOLERANCE {
  if (members.every(({ isFallback }) => isFallback)) return 'software';
  return members.some(({ isFallback }) => isFallback) ? 'mixed' : 'gpus';
}

/** As they hold layers now, or came; then with another first (it bears the embedding) and another last (the LM head). */
function* orders(members: readonly SplitWorker[]): Generator<readonly SplitWorker[]> {
  const held = [...members].sort(
    (a, b) =>
      (a.current?.start ?? Number.POSITIVE_INFINITY) - (b.current?.start ?? Number.POSITIVE_INFINITY) || 0,
  );
  yield held.some(({ current }) => current !== null) ? held : members;
  const few = (by: (worker: SplitWorker) => number) => [...members].sort((a, b) => by(b) - by(a)).slice(0, 4);
  for (const last of few(({ macsPerSecond }) => macsPerSecond)) {
    for (const first of few(({ memoryBytes }) => memoryBytes)) {
      if (first === last) continue;
      yield [first, ...members.filter((worker) => worker !== first && worker !== last), last];
    }
  }
}

/** Of what is held, segments that follow each other through the model, as many as were asked for; lost ones are filled in. */
function presentSegments(
  costs: StageCosts,
  workers: readonly SplitWorker[],
  stages: number,
): LayerRange[] | null {
  const held = new Map<number, LayerRange>();
  for (const { current } of workers) {
    if (current !== null) held.set(current.start * (costs.layers + 1) + current.end, current);
  }
  const ranges = [...held.values()].sort((a, b) => a.start - b.start || a.end - b.end);
  const segments: LayerRange[] = [];
  let at = 0;
  for (const range of ranges) {
    if (range.start < at) continue;
    if (range.start > at) segments.push({ start: at, end: range.start });
    segments.push({ start: range.start, end: range.end });
    at = range.end;
  }
  if (segments.length === 0) return null;
  if (at < costs.layers) segments.push({ start: at, end: costs.layers });
  return segments.length === stages ? segments : null;
}

interface Assigned {
  readonly ranges: Map<string, LayerRange>;
  /** Segments that nobody holds. */
  readonly missing: number;
  readonly slowest: number;
}

/** Who holds a segment keeps it; the fastest of the others go where fewest are, until each has as many as it shall. */
function assigned(
  costs: StageCosts,
  workers: readonly SplitWorker[],
  segments: readonly LayerRange[],
  goal: number,
  members: readonly SplitWorker[] = [],
): Assigned {
  const ranges = new Map<string, LayerRange>();
  const holders = segments.map(() => 0);
  const rates = segments.map(() => 0);
  const fastest = segments.map(() => 0);
  const give = (worker: SplitWorker, index: number, range: LayerRange) => {
    ranges.set(worker.id, range);
    holders[index]!++;
    rates[index]! += worker.macsPerSecond;
    fastest[index] = Math.max(fastest[index]!, worker.macsPerSecond);
  };
  for (const [index, worker] of members.entries()) give(worker, index, segments[index]!);
  const rest: SplitWorker[] = [];
  for (const worker of workers) {
    if (ranges.has(worker.id)) continue;
    const { current } = worker;
    const index =
      current === null
        ? -1
        : segments.findIndex((segment) => covers(current, segment) && covers(segment, current));
    if (index < 0) rest.push(worker);
    else give(worker, index, segments[index]!);
  }
  rest.sort((a, b) => b.macsPerSecond - a.macsPerSecond);
  for (const worker of rest) {
    let best = -1;
    const strength = (index: number) =>
      rates[index]! / costs.macs(segments[index]!.start, segments[index]!.end);
    for (const [index, segment] of segments.entries()) {
      if (holders[index]! >= goal || !costs.fits(worker, segment.start, segment.end)) continue;
      const isWeaker =
        best < 0 ||
        holders[index]! < holders[best]! ||
        (holders[index]! === holders[best]! && strength(index) < strength(best));
      if (isWeaker) best = index;
    }
    if (best >= 0) give(worker, best, segments[best]!);
  }
  const seconds = segments.map(({ start, end }, index) => costs.macs(start, end) / fastest[index]!);
  return { ranges, missing: holders.filter((held) => held === 0).length, slowest: Math.max(...seconds) };
}
