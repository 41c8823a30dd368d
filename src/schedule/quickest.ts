/** The quickest way of one token through held ranges: from layer 0 to the last, and from there back to the first. */
import type { LayerRange } from './mesh-view.ts';
import type { StageCosts } from './stage-costs.ts';

export interface Candidate extends LayerRange {
  readonly worker: string;
  /** Of a multiply-accumulate, its queue counted in. */
  readonly secondsPerMac: number;
  /** Of a step, whatever its size. */
  readonly stepSeconds: number;
}

export interface Stop<C extends Candidate = Candidate> {
  readonly candidate: C;
  readonly start: number;
  readonly end: number;
}

export interface QuickestOptions<C extends Candidate> {
  /** Candidates whose range begins at a layer or before and ends after it. */
  readonly from: (layer: number) => readonly C[];
  /** Layers, in order, at which it may pay to change to another worker: where ranges begin. */
  readonly starts: readonly number[];
  /** Seconds of the hop between two different workers; null: there is no link. */
  readonly hop: (from: C, to: C) => number | null;
  /** Links may be missing: then a stage of one layer may be worth it, as a bridge between others that have none. */
  readonly bridges?: boolean;
  readonly maxStages?: number;
  /** Ways that are followed from each layer, the quickest. */
  readonly waysKept: number;
  /** Added to the time of a stage that is worse than its time tells; infinite: it is none. */
  readonly penalty?: (candidate: C, start: number, end: number) => number;
}

export interface Quickest<C extends Candidate> {
  readonly stops: readonly Stop<C>[];
  /** Of a token, penalties counted in. */
  readonly seconds: number;
  /** Steps of the search: what bounds its time. */
  readonly steps: number;
}

interface Way<C extends Candidate> {
  readonly seconds: number;
  readonly at: C;
  readonly first: C;
  readonly start: number;
  readonly count: number;
  readonly before: Way<C> | null;
}

/** Candidates that are tried from each layer: the quickest, and of the rest those that reach farthest. */
export interface Tried {
  readonly quick: number;
  readonly far: number;
}

export const TRIED: Tried = { quick: 12, far: 4 };

/**
 * A stage ends where its worker's range ends or where another's begins: to a slower worker one goes as late as possible, to
 * a quicker one as early. Ways are followed from layer to layer and the best few kept (beam search), so its work is bounded by
 * the layers, however many candidates there are. What it may miss is a way that looks slow until its last hops.
 */
export function quickestWay<C extends Candidate>(
  costs: StageCosts,
  options: QuickestOptions<C>,
): Quickest<C> | { readonly stops: null; readonly reached: number; readonly steps: number } {
  const { layers } = costs;
  const maxStages = options.maxStages ?? layers;
  const waysTo: (Way<C>[] | undefined)[] = new Array(layers + 1);
  let best: Way<C> | null = null;
  let [steps, reached] = [0, 0];
  for (let at = 0; at < layers; at++) {
    const ways = at === 0 ? [null] : waysTo[at];
    if (ways === undefined) continue;
    for (const candidate of options.from(at)) {
      const stops = [...options.starts.filter((start) => start > at && start < candidate.end), candidate.end];
      if (options.bridges === true && stops[0]! > at + 1) stops.unshift(at + 1);
      for (const way of ways) {
        if (way !== null && (way.count >= maxStages || isOn(way, candidate))) continue;
        const hop = way === null ? 0 : options.hop(way.at, candidate);
        if (hop === null) continue;
        for (const end of stops) {
          steps++;
          const seconds =
            (way?.seconds ?? 0) +
            hop +
            candidate.stepSeconds +
            costs.macs(at, end) * candidate.secondsPerMac +
            (options.penalty?.(candidate, at, end) ?? 0);
          if (seconds === Number.POSITIVE_INFINITY) continue;
          const first = way?.first ?? candidate;
          const back = end < layers || first === candidate ? 0 : options.hop(candidate, first);
          reached = Math.max(reached, end);
          if (back === null) continue;
          const next = {
            seconds: seconds + back,
            at: candidate,
            first,
            start: at,
            count: (way?.count ?? 0) + 1,
            before: way,
          };
          if (end < layers) {
            const there = waysTo[end];
            if (there === undefined) waysTo[end] = [next];
            else keep(there, next, options.waysKept);
          } else if (best === null || next.seconds < best.seconds) best = next;
        }
      }
    }
  }
  if (best === null) return { stops: null, reached, steps };
  return { stops: stopsOf(best, layers), seconds: best.seconds, steps };
}

/** Of fixed candidates those to try from each layer. */
export function amongHeld<C extends Candidate>(
  candidates: readonly C[],
  tried: Tried = TRIED,
): Pick<QuickestOptions<C>, 'from' | 'starts'> {
  return {
    starts: [...new Set(candidates.map(({ start }) => start))].sort((a, b) => a - b),
    from: (layer) => {
      const covering = candidates.filter(({ start, end }) => start <= layer && end > layer);
      if (covering.length <= tried.quick) return covering;
      covering.sort((a, b) => a.secondsPerMac - b.secondsPerMac);
      const rest = covering.splice(tried.quick).sort((a, b) => b.end - a.end);
      return [...covering, ...rest.slice(0, tried.far)];
    },
  };
}

function isOn<C extends Candidate>(way: Way<C>, { worker }: C): boolean {
  for (let on: Way<C> | null = way; on !== null; on = on.before) if (on.at.worker === worker) return true;
  return false;
}

/** Sorted by time. Those with one worker last fill half of the places at most: what follows may need another one last. */
function keep<C extends Candidate>(ways: Way<C>[], way: Way<C>, most: number): void {
  const same = ways.filter(({ at }) => at.worker === way.at.worker);
  const isFull = ways.length >= most;
  const out = same.length >= most / 2 ? same.at(-1)! : isFull ? ways.at(-1)! : null;
  if (out !== null) {
    if (out.seconds <= way.seconds) return;
    ways.splice(ways.indexOf(out), 1);
  }
  let place = ways.length;
  while (place > 0 && ways[place - 1]!.seconds > way.seconds) place--;
  ways.splice(place, 0, way);
}

function stopsOf<C extends Candidate>(last: Way<C>, layers: number): Stop<C>[] {
  const stops: Stop<C>[] = [];
  let end = layers;
  for (let way: Way<C> | null = last; way !== null; way = way.before) {
    stops.unshift({ candidate: way.at, start: way.start, end });
    end = way.start;
  }
  return stops;
}
