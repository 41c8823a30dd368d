/**
 * A split that the operator asked for, though one worker might do: so many stages, cut so that none of them holds the others
 * up, and everybody else a replica of one of them. A split that is there stays until another is a tenth faster, so that a
 * noisy rate moves nothing.
 */
import { evenCuts, stageSeconds } from './even-cuts.ts';
import { covers, type LayerRange } from './mesh-view.ts';
import type { CostedWorker, StageCosts } from './stage-costs.ts';

export interface SplitWorker extends CostedWorker {
  readonly id: string;
  readonly macsPerSecond: number;
  readonly current: LayerRange | null;
}

export interface SplitOptions {
  readonly stages: number;
  readonly maxStages: number;
  readonly replicaGoal: number;
}

const WORTH_CHANGING = 0.9;
/** A worker so much slower than the one in whose place it might come is asked only where there are too few others. */
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
    const isWorth = fresh !== null && fresh.slowest < kept.slowest * WORTH_CHANGING;
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

/** The least number of stages, from those asked for on, that the memories allow. */
function freshSplit(costs: StageCosts, workers: readonly SplitWorker[], options: SplitOptions): Fresh | null {
  const byRate = [...workers].sort((a, b) => b.macsPerSecond - a.macsPerSecond);
  const byMemory = [...workers].sort((a, b) => b.memoryBytes - a.memoryBytes);
  const most = Math.min(options.maxStages, workers.length, costs.layers);
  for (let count = Math.min(options.stages, most); count <= most; count++) {
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
    if (best !== null) return best;
  }
  return null;
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
