/**
 * Which workers compute a sequence: the quickest way through what is held, by each stage's time with what already runs
 * there, the hops between, and the room that its KV cache has. Pure: the same input gives the same route.
 */
import type { LayerRange } from './mesh-view.ts';
import { amongHeld, type Candidate, quickestWay } from './quickest.ts';
import type { StageCosts } from './stage-costs.ts';

export interface RouteShard extends LayerRange {
  readonly shard: number;
}

export interface RouteWorker {
  readonly id: string;
  readonly class: string | null;
  readonly macsPerSecond: number;
  /** Of a decode step beside its matrices. */
  readonly stepSeconds: number;
  /** Loaded, and fit to serve. */
  readonly shards: readonly RouteShard[];
  /** Positions for which its KV caches still have room, those promised to others taken off. */
  readonly freePositions: number;
  /** Sequences that run on it. */
  readonly queue: number;
}

export interface RouteView {
  readonly costs: StageCosts;
  readonly workers: readonly RouteWorker[];
  /** Seconds of a hop between two workers; null where no link is up. */
  readonly hop: (from: string, to: string) => number | null;
  readonly maxStages?: number;
}

export interface RouteStop extends LayerRange {
  readonly worker: string;
  readonly shard: number;
}

export interface SequenceWish {
  /** That it may come to hold. */
  readonly positions: number;
  /** Workers that it must not use: lost, silent, or to blame. */
  readonly avoid?: ReadonlySet<string>;
  /** The route that it had. Stages that are still there stay, and others are looked for in their class. */
  readonly before?: readonly RouteStop[];
}

export interface ChosenRoute {
  readonly kind: 'route';
  readonly stops: readonly RouteStop[];
  /** Expected of a token of this sequence, queues counted in. */
  readonly tokenSeconds: number;
  /** Its workers, or they and those before, are of several classes: bits may differ. */
  readonly crossesClasses: boolean;
}

export interface NoRoute {
  readonly kind: 'none';
  /** `layer`: nobody holds it. `room`: those who hold it have no free positions. `link`: no open link leads on to who holds it. */
  readonly missing: 'layer' | 'room' | 'link';
  readonly layer: number;
}

interface RouteCandidate extends Candidate {
  readonly class: string | null;
  readonly shard: number;
}

/** How much longer a step takes for each sequence that runs there already: rows share a step, and one pass over the weights. */
const QUEUE_SLOWDOWN = 0.5;
/** How widely is looked: at so many workers of each range, candidates from each layer, and ways to it; wider where that finds none. */
const LOOKS = [
  { sameRange: 6, quick: 12, far: 4, ways: 8, bridges: false },
  { sameRange: 32, quick: 48, far: 16, ways: 32, bridges: true },
  { sameRange: 256, quick: 1_024, far: 0, ways: 256, bridges: true },
] as const;
/** A layer that is not where it was has all positions to compute again: no gain in speed is worth that. */
const MOVED_SECONDS = 1e4;
/** Another class may give other bits, and so another text than the undisturbed one. */
const CROSSED_SECONDS = 1e6;

export function chooseRoute(view: RouteView, wish: SequenceWish): ChosenRoute | NoRoute {
  const present = view.workers.filter(({ id }) => wish.avoid?.has(id) !== true);
  const roomy = present.filter(({ freePositions }) => freePositions >= wish.positions);
  const before = new Map(wish.before?.map((stop) => [stop.worker, stop]));
  const classBefore = classOf(view, wish.before);
  for (const look of LOOKS) {
    const { candidates, isWhole } = candidatesOf(roomy, look.sameRange, before);
    const way = quickestWay<RouteCandidate>(view.costs, {
      ...amongHeld(candidates, look),
      waysKept: look.ways,
      bridges: look.bridges,
      hop: (from, to) => view.hop(from.worker, to.worker),
      ...(view.maxStages !== undefined && { maxStages: view.maxStages }),
      ...(wish.before !== undefined && {
        penalty: (candidate: RouteCandidate, start: number, end: number) => {
          const old = before.get(candidate.worker);
          const stays = old?.shard === candidate.shard && old.start === start && old.end === end;
          const moved = stays ? 0 : MOVED_SECONDS * (end - start);
          const crossed = classBefore !== undefined && candidate.class !== classBefore ? CROSSED_SECONDS : 0;
          return moved + crossed;
        },
      }),
    });
    if (way.stops !== null) return chosen(view, way.stops, classBefore);
    if (isWhole && look.bridges && candidates.length <= look.ways) break;
  }
  return whyNone(view, present, roomy);
}

function chosen(
  view: RouteView,
  stops: readonly { readonly candidate: RouteCandidate; readonly start: number; readonly end: number }[],
  classBefore: string | null | undefined,
): ChosenRoute {
  const classes = new Set(stops.map(({ candidate }) => candidate.class));
  if (classBefore !== undefined) classes.add(classBefore);
  let tokenSeconds = 0;
  for (const [index, { candidate, start, end }] of stops.entries()) {
    const next = stops[(index + 1) % stops.length]!.candidate;
    tokenSeconds += candidate.stepSeconds + view.costs.macs(start, end) * candidate.secondsPerMac;
    if (next !== candidate) tokenSeconds += view.hop(candidate.worker, next.worker) ?? 0;
  }
  return {
    kind: 'route',
    stops: stops.map(({ candidate, start, end }) => ({
      worker: candidate.worker,
      shard: candidate.shard,
      start,
      end,
    })),
    tokenSeconds,
    crossesClasses: classes.size > 1 || (classes.has(null) && stops.length > 1),
  };
}

/** The class of the route that the sequence had; undefined where there was none, or it was of several. */
function classOf(view: RouteView, before: readonly RouteStop[] | undefined): string | null | undefined {
  if (before === undefined) return undefined;
  const on = new Set(before.map(({ worker }) => worker));
  const classes = new Set(view.workers.filter(({ id }) => on.has(id)).map((worker) => worker.class));
  return classes.size === 1 ? [...classes][0] : undefined;
}

/** Of each range the workers that are quickest with what runs on them, and those on which the sequence was. */
function candidatesOf(
  workers: readonly RouteWorker[],
  tried: number,
  before: ReadonlyMap<string, RouteStop>,
): { candidates: RouteCandidate[]; isWhole: boolean } {
  const byRange = new Map<number, RouteCandidate[]>();
  const candidates: RouteCandidate[] = [];
  let isWhole = true;
  for (const worker of workers) {
    const load = 1 + worker.queue * QUEUE_SLOWDOWN;
    for (const { shard, start, end } of worker.shards) {
      const candidate = {
        worker: worker.id,
        class: worker.class,
        shard,
        start,
        end,
        secondsPerMac: load / worker.macsPerSecond,
        stepSeconds: load * worker.stepSeconds,
      };
      if (before.has(worker.id)) {
        candidates.push(candidate);
        continue;
      }
      const key = start * RANGE_KEY + end;
      const same = byRange.get(key);
      if (same === undefined) byRange.set(key, [candidate]);
      else if (!insert(same, candidate, tried)) isWhole = false;
    }
  }
  for (const same of byRange.values()) candidates.push(...same);
  return { candidates, isWhole };
}

/** Larger than any layer. */
const RANGE_KEY = 65_536;

/** Keeps the quickest. @returns whether nothing fell off */
function insert(same: RouteCandidate[], candidate: RouteCandidate, most: number): boolean {
  let place = same.length;
  while (place > 0 && same[place - 1]!.secondsPerMac > candidate.secondsPerMac) place--;
  if (place >= most) return false;
  same.splice(place, 0, candidate);
  if (same.length <= most) return true;
  same.pop();
  return false;
}

function whyNone(view: RouteView, present: readonly RouteWorker[], roomy: readonly RouteWorker[]): NoRoute {
  const { layers } = view.costs;
  const held = firstWithout(layers, present);
  if (held < layers) return { kind: 'none', missing: 'layer', layer: held };
  const withRoom = firstWithout(layers, roomy);
  if (withRoom < layers) return { kind: 'none', missing: 'room', layer: withRoom };
  const way = quickestWay<RouteCandidate>(view.costs, {
    ...amongHeld(candidatesOf(roomy, LOOKS[1].sameRange, new Map()).candidates),
    waysKept: LOOKS[1].ways,
    hop: (from, to) => view.hop(from.worker, to.worker),
  });
  // Where the way reaches the end, it is the link from the last stage back to the first that is missing.
  return { kind: 'none', missing: 'link', layer: way.stops === null ? way.reached % layers : 0 };
}

function firstWithout(layers: number, workers: readonly RouteWorker[]): number {
  const ends = new Array<number>(layers).fill(0);
  for (const { shards } of workers) {
    for (const { start, end } of shards) ends[start] = Math.max(ends[start]!, end);
  }
  let reach = 0;
  for (let layer = 0; layer < layers; layer++) {
    reach = Math.max(reach, ends[layer]!);
    if (reach <= layer) return layer;
  }
  return layers;
}
