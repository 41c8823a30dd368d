/**
 * Which worker holds which layers: as few hops as may be for one request, as much rate as may be for many, every layer
 * held by several where memory allows, and as little loaded again as may be. Pure: the same input gives the same layout.
 *
 * - Up to SEARCH_WORKERS workers are placed together by search; of more, the fastest, largest, newest and those whose layers
 *   fewest hold, while the rest keep what they hold. So a decision's time does not grow with what need not be decided.
 * - What is held changes only where that makes the whole a tenth better, or a layer would be held by nobody.
 */
import { askedSplit } from './asked-split.ts';
import type { ModelCosts } from './costs.ts';
import { type DoesNotFit, doesNotFit } from './does-not-fit.ts';
import { LayoutScorer, type Score, type ScoreOptions } from './layout-score.ts';
import { LayoutSearch, type SearchWorker } from './layout-search.ts';
import {
  believedRates,
  covers,
  hopSeconds,
  type LayerRange,
  type RoundTripSeconds,
  type WorkerView,
} from './mesh-view.ts';
import { type LayoutSpareReason, whySpared, whyUnable } from './spared.ts';
import { StageCosts } from './stage-costs.ts';
import { weakestWindows } from './weakest-window.ts';

export interface LayoutOptions {
  /** A route has at least so many stages, though fewer would be quicker: to show a split. Fewer where there are fewer workers. */
  readonly minStages?: number;
  /** A route has at most so many. */
  readonly maxStages?: number;
  /** Whoever holds anything holds the whole model. */
  readonly solo?: boolean;
  /** So many workers shall hold each layer, where memory allows. */
  readonly replicaGoal?: number;
  /** Requests that run at once, as a rule. */
  readonly concurrency?: number;
}

export interface LayoutView {
  readonly costs: ModelCosts;
  /** In the order in which they came: of equals the first is taken. */
  readonly workers: readonly WorkerView[];
  readonly rtt: RoundTripSeconds;
  readonly options?: LayoutOptions;
}

export interface Holding extends LayerRange {
  readonly worker: string;
  /** On the GPU. */
  readonly bytes: number;
}

export interface LayoutSpare {
  readonly worker: string;
  readonly reason: LayoutSpareReason;
}

export interface Layout {
  readonly kind: 'placed';
  /** By the layer at which they start, then in the workers' order. */
  readonly holdings: readonly Holding[];
  /** The stages of the quickest route, in order. */
  readonly route: readonly Holding[];
  /** Of one request alone on that route. */
  readonly tokenSeconds: number;
  /** Tokens a second of as many requests as it takes. */
  readonly capacity: number;
  readonly spares: readonly LayoutSpare[];
  /** What the search did, in steps: its time without a clock. */
  readonly steps: number;
}

/** Two may be lost at once, and the third serves. */
const REPLICA_GOAL = 3;
/** Neighbours in the list of workers whose distances stand for all. */
const HOPS_SAMPLED = 32;
const SEARCH_WORKERS = 12;
/** Of a mesh too large to be searched whole: how many newcomers, fastest and largest are placed together. */
const SEARCH_SHARES = { new: 6, fast: 4, large: 2 } as const;
/** Steps of scoring, some 4,000 a millisecond. Where a mesh is not searched whole it changes often, and little each time. */
const SEARCH_BUDGET = { whole: 200_000, part: 60_000 } as const;
/** Beyond the goal: so that each request finds a worker of its own at every layer, and one that is quick. */
const REPLICAS_A_REQUEST = 2;
/** A change of what is held must make the layout's seconds this much less. */
const WORTH_CHANGING = 0.9;
/** A worker whose absence changes the seconds by less than this share is left a spare, if enough others hold its layers. */
const WORTH_LOADING = 0.005;
/** The same of layers that as many hold already as the requests can use. */
const WORTH_ONE_MORE = 0.03;
/** Speed that was only said counts for so much beside speed that was served. */
const STRANGER_RATE = 0.25;
/** Loading again: how fast, and the time within which it has to pay. */
const LOAD_BYTES_PER_SECOND = 20e6;
const CACHED_BYTES_PER_SECOND = 200e6;
const PAYS_WITHIN_SECONDS = 600;
/** While a layer is held by nobody everybody waits for what loads. */
const GAP_PAYS_WITHIN_SECONDS = 30;
/** Loading by one who holds nothing disturbs nobody; it decides between equals. */
const NEWCOMER_LOAD = 0.01;

export function layout(view: LayoutView): Layout | DoesNotFit {
  return new Planner(view).plan();
}

interface Planned extends SearchWorker {
  readonly view: WorkerView;
  readonly current: LayerRange | null;
}

class Planner {
  readonly #view: LayoutView;
  readonly #costs: StageCosts;
  readonly #options: Required<Omit<LayoutOptions, 'solo'>>;
  readonly #able: readonly Planned[];
  readonly #rates: ReadonlyMap<string, number>;

  constructor(view: LayoutView) {
    this.#view = view;
    this.#costs = stageCostsOf(view.costs);
    const { layers } = this.#costs;
    const {
      solo = false,
      minStages = 1,
      maxStages = layers,
      replicaGoal = REPLICA_GOAL,
      concurrency = 1,
    } = view.options ?? {};
    const most = solo ? 1 : Math.min(layers, Math.max(1, maxStages));
    this.#options = {
      minStages: Math.min(most, Math.max(1, minStages)),
      maxStages: most,
      replicaGoal: Math.max(1, replicaGoal),
      concurrency: Math.max(1, concurrency),
    };
    this.#rates = believedRates(view.workers);
    const someServed = view.workers.some(({ trusted }) => trusted);
    this.#able = view.workers
      .filter((worker) => whyUnable(this.#costs, worker, most) === null)
      .map((worker) => ({
        id: worker.id,
        view: worker,
        memoryBytes: worker.memoryBytes,
        maxBufferBytes: worker.maxBufferBytes,
        ...(worker.storesF16AsF32 !== undefined && { storesF16AsF32: worker.storesF16AsF32 }),
        macsPerSecond: this.#rates.get(worker.id)! * (worker.trusted || !someServed ? 1 : STRANGER_RATE),
        current: largest(worker.held),
      }));
  }

  plan(): Layout | DoesNotFit {
    const { minStages, maxStages } = this.#options;
    const split = Math.min(minStages, this.#able.length);
    const found = split > 1 ? this.#asked(split) : this.#searched();
    if (found === null) return doesNotFit(this.#view.costs, this.#view.workers, maxStages);
    return this.#layout(found.ranges, found.steps);
  }

  #asked(stages: number): { ranges: Map<string, LayerRange>; steps: number } | null {
    const { maxStages } = this.#options;
    const replicaGoal = Math.max(this.#options.replicaGoal, Math.ceil(this.#options.concurrency));
    // Here a stranger is believed: what is asked for is a split, and slow strangers are left out as others are.
    const workers = this.#able.map((worker) => ({
      ...worker,
      macsPerSecond: this.#rates.get(worker.id)!,
      isFallback: worker.view.isFallback,
    }));
    const ranges = askedSplit(this.#costs, workers, { stages, maxStages, replicaGoal });
    return ranges === null ? null : { ranges, steps: 0 };
  }

  #searched(): { ranges: Map<string, LayerRange>; steps: number } | null {
    if (this.#able.length === 0) return null;
    const moving = this.#moving();
    const ids = new Set(moving.map(({ id }) => id));
    const others = this.#able.filter(({ id }) => !ids.has(id));
    const fixed = others.flatMap((worker) =>
      worker.current === null ? [] : [{ worker, range: worker.current }],
    );
    const { maxStages } = this.#options;
    const { layers } = this.#costs;
    const scorer = new LayoutScorer(this.#costs, fixed, this.#view.rtt, this.#scoring());
    const current = new Map(moving.flatMap(({ id, current }) => (current === null ? [] : [[id, current]])));
    const standing = [...fixed.map(({ range }) => range), ...current.values()];
    const hasGap = standing.length > 0 && uncovered(layers, standing) > 0;
    const paysWithin = hasGap ? GAP_PAYS_WITHIN_SECONDS : PAYS_WITHIN_SECONDS;
    const search = new LayoutSearch({
      costs: this.#costs,
      workers: moving,
      scorer,
      rtt: this.#view.rtt,
      current,
      reloading: (ranges) =>
        moving.reduce((sum, worker) => sum + this.#reloadSeconds(worker, ranges.get(worker.id)), 0) /
        paysWithin,
      minStages: 1,
      maxStages,
      maxLayers: layers,
      budget: others.length === 0 ? SEARCH_BUDGET.whole : SEARCH_BUDGET.part,
    });
    const kept = search.kept();
    const best = search.best();
    const changes = moving.some(({ id, current }) => {
      const range = best.ranges.get(id);
      return current !== null && (range === undefined || !covers(current, range));
    });
    const isBetter = kept.score.uncovered > 0 || best.value < kept.value * (changes ? WORTH_CHANGING : 1);
    const chosen = isBetter ? best : kept;
    const ranges = new Map(fixed.map(({ worker, range }) => [worker.id, range]));
    for (const worker of moving) {
      const range = chosen.ranges.get(worker.id);
      if (range !== undefined) ranges.set(worker.id, this.#orHeld(worker, range));
      else if (!isBetter && worker.current !== null) ranges.set(worker.id, worker.current);
    }
    if (chosen.score.uncovered === 0) this.#leaveOut(moving, ranges, scorer, chosen.score);
    const left = others.filter(({ current }) => current === null);
    weakestWindows(this.#costs, left, ranges, this.#able, { maxStages, goal: this.#mostReplicas });
    return uncovered(layers, ranges.values()) === 0 ? { ranges, steps: best.steps } : null;
  }

  #scoring(): ScoreOptions {
    const { workers, rtt } = this.#view;
    const pairs = workers.slice(1, HOPS_SAMPLED + 1).map(({ id }, index) => rtt(workers[index]!.id, id));
    const sum = pairs.reduce((total, seconds) => total + hopSeconds(seconds), 0);
    return { ...this.#options, stepSeconds: 0, meanHopSeconds: sum / Math.max(1, pairs.length) };
  }

  /** More of a layer than these would idle. */
  get #mostReplicas(): number {
    return Math.max(this.#options.replicaGoal, Math.ceil(this.#options.concurrency * REPLICAS_A_REQUEST));
  }

  /** Who may be given other layers: everybody in a small mesh. */
  #moving(): readonly Planned[] {
    if (this.#able.length <= SEARCH_WORKERS) return this.#able;
    const byRate = [...this.#able].sort((a, b) => b.macsPerSecond - a.macsPerSecond);
    const byMemory = [...this.#able].sort((a, b) => b.memoryBytes - a.memoryBytes);
    const idle = byRate.filter(({ current }) => current === null);
    const held = byRate.flatMap(({ current }) => (current === null ? [] : [current]));
    const moving = new Set<Planned>();
    if (uncovered(this.#costs.layers, held) > 0) {
      // What is missing may need more than a few newcomers: as many of the large as hold the model together.
      for (const worker of idle.slice(0, SEARCH_WORKERS)) moving.add(worker);
    }
    for (const worker of idle.slice(0, SEARCH_SHARES.new)) moving.add(worker);
    for (const worker of byRate.slice(0, SEARCH_SHARES.fast)) moving.add(worker);
    for (const worker of byMemory.slice(0, SEARCH_SHARES.large)) moving.add(worker);
    return this.#able.filter((worker) => moving.has(worker));
  }

  #reloadSeconds(worker: Planned, range: LayerRange | undefined): number {
    if (range === undefined || (worker.current !== null && covers(worker.current, range))) return 0;
    const isCached = worker.view.cached.some((cached) => covers(cached, range));
    const bytes = this.#costs.bytes(worker, range.start, range.end);
    const seconds = bytes / (isCached ? CACHED_BYTES_PER_SECOND : LOAD_BYTES_PER_SECOND);
    return seconds * (worker.current === null ? NEWCOMER_LOAD : 1);
  }

  /** A range that is held and holds the wanted one is as good, and there. */
  #orHeld({ view }: Planned, range: LayerRange): LayerRange {
    return view.held.find((held) => covers(held, range)) ?? range;
  }

  /** Newcomers that neither raise the rate by much nor are needed as replicas, slowest first. */
  #leaveOut(
    moving: readonly Planned[],
    ranges: Map<string, LayerRange>,
    scorer: LayoutScorer,
    score: Score,
  ): void {
    const holders = holdersOf(this.#costs.layers, ranges.values());
    let { seconds } = score;
    // Of equals those that would have to load more, then who came last.
    const loading = new Map(
      moving.map((worker) => [worker, this.#reloadSeconds(worker, ranges.get(worker.id))]),
    );
    const slowest = [...moving]
      .reverse()
      .sort((a, b) => a.macsPerSecond - b.macsPerSecond || loading.get(b)! - loading.get(a)!);
    for (const worker of slowest) {
      const range = ranges.get(worker.id);
      if (range === undefined || worker.current !== null) continue;
      const least = Math.min(...holders.slice(range.start, range.end));
      if (least <= this.#options.replicaGoal) continue;
      const without = new Map(ranges);
      without.delete(worker.id);
      const next = scorer.score(moving, without).seconds;
      const worth = least <= this.#mostReplicas ? WORTH_LOADING : WORTH_ONE_MORE;
      if (next > seconds * (1 + worth)) continue;
      seconds = next;
      ranges.delete(worker.id);
      for (let layer = range.start; layer < range.end; layer++) holders[layer]!--;
    }
  }

  #layout(ranges: Map<string, LayerRange>, steps: number): Layout {
    const byId = new Map(this.#able.map((worker) => [worker.id, worker]));
    const holding = (id: string, { start, end }: LayerRange): Holding => ({
      worker: id,
      start,
      end,
      bytes: this.#costs.bytes(byId.get(id)!, start, end),
    });
    const holdings = this.#able
      .flatMap(({ id }) => (ranges.has(id) ? [holding(id, ranges.get(id)!)] : []))
      .sort((a, b) => a.start - b.start);
    const believed = holdings.map(({ worker, start, end }) => ({
      worker: { id: worker, macsPerSecond: this.#rates.get(worker)! },
      range: { start, end },
    }));
    const scorer = new LayoutScorer(this.#costs, believed, this.#view.rtt, this.#scoring());
    const score = scorer.score([], new Map());
    const route = score.route?.stops ?? [];
    return {
      kind: 'placed',
      holdings,
      route: (route ?? []).map(({ candidate, start, end }) => holding(candidate.worker, { start, end })),
      tokenSeconds: score.tokenSeconds,
      capacity: score.capacity,
      spares: this.#view.workers.flatMap((worker) =>
        ranges.has(worker.id) ? [] : [{ worker: worker.id, reason: this.#whySpare(worker, ranges) }],
      ),
      steps: steps + score.steps,
    };
  }

  #whySpare(worker: WorkerView, ranges: ReadonlyMap<string, LayerRange>): LayoutSpareReason {
    const { maxStages } = this.#options;
    const unable = whyUnable(this.#costs, worker, maxStages);
    if (unable !== null) return unable;
    const rates = [...ranges.keys()].map((id) => this.#rates.get(id)!);
    return whySpared(this.#costs, worker, this.#rates.get(worker.id)!, {
      ranges: [...ranges.values()],
      rates,
      maxStages,
      replicaGoal: this.#options.replicaGoal,
    });
  }
}

function largest(held: readonly LayerRange[]): LayerRange | null {
  let most: LayerRange | null = null;
  for (const range of held) {
    if (most === null || range.end - range.start > most.end - most.start) most = range;
  }
  return most === null ? null : { start: most.start, end: most.end };
}

function holdersOf(layers: number, ranges: Iterable<LayerRange>): number[] {
  const holders = new Array<number>(layers).fill(0);
  for (const { start, end } of ranges) for (let layer = start; layer < end; layer++) holders[layer]!++;
  return holders;
}

function uncovered(layers: number, ranges: Iterable<LayerRange>): number {
  return holdersOf(layers, ranges).filter((held) => held === 0).length;
}

const known = new WeakMap<ModelCosts, StageCosts>();

/** Made once a model. */
export function stageCostsOf(costs: ModelCosts): StageCosts {
  const found = known.get(costs);
  if (found !== undefined) return found;
  const made = new StageCosts(costs);
  known.set(costs, made);
  return made;
}
