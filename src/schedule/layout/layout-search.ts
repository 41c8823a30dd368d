/**
 * The best ranges for a few workers, found by starting from several good guesses and changing one range, one border or one
 * pair at a time while that helps. Exhaustive search is out of reach beyond four workers; on what it can reach the result is
 * compared with it (test/schedule/layout-best.test.ts).
 */

import { hopSeconds, type LayerRange, type RoundTripSeconds } from '../mesh-view.ts';
import { type Candidate, quickestWay } from '../quickest.ts';
import type { CostedWorker, StageCosts } from '../stage-costs.ts';
import { evenCuts } from './even-cuts.ts';
import type { LayoutScorer, Ranges, Score } from './layout-score.ts';
import { tightestFit } from './tightest-fit.ts';

export interface SearchWorker extends CostedWorker {
  readonly id: string;
  readonly macsPerSecond: number;
}

export interface SearchInput {
  readonly costs: StageCosts;
  /** Those that may be given another range, few. */
  readonly workers: readonly SearchWorker[];
  readonly scorer: LayoutScorer;
  readonly rtt: RoundTripSeconds;
  /** As they stand. */
  readonly current: Ranges;
  /** By how much worse a layout is for what has to be loaded again for it: 0.1 is a tenth. */
  readonly reloading: (ranges: Ranges) => number;
  readonly minStages: number;
  readonly maxStages: number;
  /** Layers of one worker at most. */
  readonly maxLayers: number;
  /** Steps of scoring, after which the best so far has to do. */
  readonly budget: number;
}

export interface Found {
  readonly ranges: Ranges;
  readonly score: Score;
  /** The score's seconds with reloading counted in. */
  readonly value: number;
  readonly steps: number;
}

/** A change must gain this share to be one: sums in another order differ by rounding. */
const GAIN = 1e-6;
/** With so few layers and workers every range is tried, else only those with an end where another's begins or ends. */
const ALL_RANGES_LAYERS = 10;
const ALL_RANGES_WORKERS = 4;
const QUICK_WAYS = 8;
/** Layers at which the quickest split is looked for. */
const SPLIT_GRID = 16;
const EVEN_STAGES_TRIED = 8;
/** Of the starts, those that are improved. */
const STARTS_IMPROVED = 3;

export class LayoutSearch {
  readonly #input: SearchInput;
  readonly #byId: ReadonlyMap<string, SearchWorker>;
  /** Fastest first: the order in which they are given ranges. */
  readonly #byRate: readonly SearchWorker[];
  #steps = 0;

  constructor(input: SearchInput) {
    this.#input = input;
    this.#byId = new Map(input.workers.map((worker) => [worker.id, worker]));
    this.#byRate = [...input.workers].sort(
      (a, b) => b.macsPerSecond - a.macsPerSecond || (a.id < b.id ? -1 : 1),
    );
  }

  /** What is held stays; who holds nothing gets what helps most. */
  kept(): Found {
    return this.#done(this.#inserted(new Map(this.#input.current)));
  }

  best(): Found {
    const starts = [new Map(this.#input.current), ...this.#evenStarts()];
    const quick = this.#quickStart();
    if (quick !== null) starts.push(quick);
    const inserted = starts
      .map((start) => this.#inserted(start))
      .map((ranges) => ({ ranges, value: this.#value(ranges) }));
    if (inserted.every(({ value }) => value >= UNCOVERED)) {
      const tight = tightestFit(this.#input.costs, this.#byRate);
      if (tight !== null) inserted.push({ ranges: this.#inserted(tight), value: 0 });
    }
    const found = inserted
      .sort((a, b) => a.value - b.value)
      .slice(0, STARTS_IMPROVED)
      .map(({ ranges }) => this.#improved(ranges));
    return this.#done(found.reduce((best, next) => (this.#value(next) < this.#value(best) ? next : best)));
  }

  #done(ranges: Map<string, LayerRange>): Found {
    const score = this.#score(ranges);
    return { ranges, score, value: this.#valueOf(score, ranges), steps: this.#steps };
  }

  #score(ranges: Ranges): Score {
    const score = this.#input.scorer.score(this.#input.workers, ranges);
    this.#steps += score.steps;
    return score;
  }

  #value(ranges: Ranges): number {
    return this.#valueOf(this.#score(ranges), ranges);
  }

  /** Fewer uncovered layers first, then seconds. */
  #valueOf(score: Score, ranges: Ranges): number {
    if (score.uncovered > 0) return score.uncovered * UNCOVERED;
    const seconds = Math.min(score.seconds, UNCOVERED / 2);
    return seconds * (1 + this.#input.reloading(ranges));
  }

  get #isSpent(): boolean {
    return this.#steps > this.#input.budget;
  }

  #inserted(ranges: Map<string, LayerRange>): Map<string, LayerRange> {
    let value = this.#value(ranges);
    for (const worker of this.#byRate) {
      if (ranges.has(worker.id) || this.#isSpent) continue;
      let best: LayerRange | null = null;
      for (const range of this.#rangesFor(worker, ranges)) {
        const next = this.#value(new Map(ranges).set(worker.id, range));
        if (next >= value * (1 - GAIN)) continue;
        [best, value] = [range, next];
      }
      if (best !== null) ranges.set(worker.id, best);
    }
    return ranges;
  }

  #improved(start: Map<string, LayerRange>): Map<string, LayerRange> {
    let ranges = start;
    let value = this.#value(ranges);
    for (let changed = true; changed && !this.#isSpent; ) {
      changed = false;
      for (const next of this.#changes(ranges)) {
        if (this.#isSpent) break;
        const nextValue = this.#value(next);
        if (nextValue >= value * (1 - GAIN)) continue;
        [ranges, value, changed] = [next, nextValue, true];
      }
    }
    return ranges;
  }

  /** Made from the ranges as they are when it is asked: those that were better before are left behind. */
  *#changes(ranges: Map<string, LayerRange>): Generator<Map<string, LayerRange>> {
    for (const worker of this.#byRate) {
      for (const range of this.#rangesFor(worker, ranges)) yield new Map(ranges).set(worker.id, range);
      if (ranges.has(worker.id)) {
        const without = new Map(ranges);
        without.delete(worker.id);
        yield without;
      }
    }
    for (const border of this.#borders(ranges)) {
      for (const to of [border - 1, border + 1]) {
        const moved = this.#withBorder(ranges, border, to);
        if (moved !== null) yield moved;
      }
    }
    for (const [index, one] of this.#byRate.entries()) {
      for (const other of this.#byRate.slice(index + 1)) {
        const swapped = this.#swapped(ranges, one, other);
        if (swapped !== null) yield swapped;
      }
    }
  }

  #borders(ranges: Ranges): number[] {
    const { layers } = this.#input.costs;
    const borders = new Set([...ranges.values()].flatMap(({ start, end }) => [start, end]));
    return [...borders].filter((border) => border > 0 && border < layers).sort((a, b) => a - b);
  }

  #withBorder(ranges: Ranges, border: number, to: number): Map<string, LayerRange> | null {
    const moved = new Map(ranges);
    for (const [id, range] of ranges) {
      if (range.start !== border && range.end !== border) continue;
      const next = {
        start: range.start === border ? to : range.start,
        end: range.end === border ? to : range.end,
      };
      if (!this.#allows(this.#byId.get(id)!, next)) return null;
      moved.set(id, next);
    }
    return moved;
  }

  #swapped(ranges: Ranges, one: SearchWorker, other: SearchWorker): Map<string, LayerRange> | null {
    const [a, b] = [ranges.get(one.id), ranges.get(other.id)];
    if (a === b || (a !== undefined && b !== undefined && a.start === b.start && a.end === b.end))
      return null;
    const swapped = new Map(ranges);
    for (const [worker, range] of [
      [one, b],
      [other, a],
    ] as const) {
      if (range === undefined) swapped.delete(worker.id);
      else if (!this.#allows(worker, range)) return null;
      else swapped.set(worker.id, range);
    }
    return swapped;
  }

  #allows(worker: SearchWorker, { start, end }: LayerRange): boolean {
    if (start < 0 || end <= start || end > this.#input.costs.layers) return false;
    return end - start <= this.#input.maxLayers && this.#input.costs.fits(worker, start, end);
  }

  *#rangesFor(worker: SearchWorker, ranges: Ranges): Generator<LayerRange> {
    const { costs, maxLayers } = this.#input;
    const { layers } = costs;
    const all = layers <= ALL_RANGES_LAYERS && this.#byRate.length <= ALL_RANGES_WORKERS;
    const borders = all
      ? Array.from({ length: layers + 1 }, (_, at) => at)
      : [0, ...this.#borders(ranges), layers];
    for (const start of borders) {
      const reach = costs.reachFrom(worker, start, Math.min(layers, start + maxLayers));
      if (reach === start) continue;
      if (all) for (let end = start + 1; end < reach; end++) yield { start, end };
      else {
        const border = borders.findLast((at) => at > start && at < reach);
        if (border !== undefined) yield { start, end: border };
      }
      yield { start, end: reach };
    }
    if (all) return;
    for (const end of borders) {
      const reach = costs.reachTo(worker, end, Math.max(0, end - maxLayers));
      if (reach === end) continue;
      const border = borders.find((at) => at > reach && at < end);
      if (border !== undefined) yield { start: border, end };
      yield { start: reach, end };
    }
  }

  /** The fastest workers, one to eight of them, with layers cut so that none of them holds the others up. */
  *#evenStarts(): Generator<Map<string, LayerRange>> {
    const { costs, minStages, maxStages } = this.#input;
    const most = Math.min(
      maxStages,
      this.#byRate.length,
      costs.layers,
      Math.max(EVEN_STAGES_TRIED, minStages),
    );
    for (let count = minStages; count <= most; count++) {
      for (const members of this.#groupsOf(count)) {
        const cuts = evenCuts(costs, members);
        if (cuts !== null) yield new Map(members.map(({ id }, index) => [id, cuts[index]!]));
      }
    }
  }

  /** The fastest, the largest, and those nearest to the fastest; the largest first and the fastest last, for the LM head. */
  *#groupsOf(count: number): Generator<readonly SearchWorker[]> {
    const { workers, rtt } = this.#input;
    const fastest = this.#byRate[0]!;
    const near = [...this.#byRate].sort((a, b) => rtt(fastest.id, a.id) - rtt(fastest.id, b.id));
    const large = [...workers].sort((a, b) => b.memoryBytes - a.memoryBytes);
    const seen = new Set<string>();
    for (const order of [this.#byRate, near, large]) {
      const members = order.slice(0, count);
      const key = members
        .map(({ id }) => id)
        .sort()
        .join(' ');
      if (seen.has(key)) continue;
      seen.add(key);
      yield [...members].sort((a, b) => a.macsPerSecond - b.macsPerSecond);
      yield nearestFirst([...members], rtt);
    }
  }

  /** The split that is quickest for one token: as much as fits on the fast and near. */
  #quickStart(): Map<string, LayerRange> | null {
    const { costs, maxStages, maxLayers, rtt } = this.#input;
    const step = Math.ceil(costs.layers / SPLIT_GRID);
    const starts = Array.from({ length: Math.ceil(costs.layers / step) }, (_, index) => index * step);
    const way = quickestWay<Candidate>(costs, {
      from: (layer) =>
        this.#byRate.flatMap((worker) => {
          const end = costs.reachFrom(worker, layer, Math.min(costs.layers, layer + maxLayers));
          if (end === layer) return [];
          return [
            { worker: worker.id, start: layer, end, secondsPerMac: 1 / worker.macsPerSecond, stepSeconds: 0 },
          ];
        }),
      starts,
      waysKept: QUICK_WAYS,
      hop: (from, to) => hopSeconds(rtt(from.worker, to.worker)),
      maxStages,
    });
    this.#steps += way.steps;
    if (way.stops === null) return null;
    return new Map(way.stops.map(({ candidate, start, end }) => [candidate.worker, { start, end }]));
  }
}

/** Larger than the seconds of any token, whatever the workers. */
const UNCOVERED = 1e12;

/** Each followed by the one nearest to it. */
function nearestFirst(members: SearchWorker[], rtt: RoundTripSeconds): SearchWorker[] {
  const order = [members.shift()!];
  while (members.length > 0) {
    const from = order.at(-1)!;
    let nearest = 0;
    for (let index = 1; index < members.length; index++) {
      if (rtt(from.id, members[index]!.id) < rtt(from.id, members[nearest]!.id)) nearest = index;
    }
    order.push(members.splice(nearest, 1)[0]!);
  }
  return order;
}
