/**
 * Which worker holds which layers: as few hops as may be for one request, as much rate as may be for many, every layer
 * held by several where memory allows, and as little loaded again as may be. Pure: the same input gives the same layout.
 *
 * - Up to SEARCH_WORKERS workers are placed together by search. In a larger mesh the rest keep what they hold and each newcomer takes
 *   what is weakest near it (weakest-window.ts); only where that leaves a layer to nobody some are searched for, the newest, fastest
 *   and largest. So a decision's time hardly grows with what need not be decided.
 * - What is held changes only where that makes the whole a tenth better, or a layer would be held by nobody.
 */

import { DEFAULT_REPLICAS } from '../../config/limits.ts';
import {
  believedRates,
  covers,
  type HeldRange,
  hopSeconds,
  type LayerRange,
  type WorkerView,
} from '../mesh-view.ts';
import { type StageCosts, stageCostsOf } from '../stage-costs.ts';
import { askedSplit } from './asked-split.ts';
import { type DoesNotFit, doesNotFit } from './does-not-fit.ts';
import { uncovered } from './holders.ts';
import { LayoutScorer, type ScoreOptions } from './layout-score.ts';
import { LayoutSearch, type SearchWorker } from './layout-search.ts';
import type { Holding, Layout, LayoutOptions, LayoutSpare, LayoutView } from './layout-view.ts';
import { leaveOut } from './leave-out.ts';
import { reloadSeconds } from './reloading.ts';
import { type LayoutSpareReason, sparedBeside, whySpared, whyUnable } from './spared.ts';
import { weakestWindows } from './weakest-window.ts';

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
/** Speed that was only said counts for so much beside speed that was served. */
const STRANGER_RATE = 0.25;
/** The time within which loading again has to pay. */
const PAYS_WITHIN_SECONDS = 600;
/** While a layer is held by nobody everybody waits for what loads. */
const GAP_PAYS_WITHIN_SECONDS = 30;

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
  readonly #unable = new Map<string, LayoutSpareReason>();
  readonly #rates: ReadonlyMap<string, number>;
  /** Of some pairs, whoever they are; the shortest first. */
  readonly #hops: readonly number[];

  constructor(view: LayoutView) {
    this.#view = view;
    this.#costs = stageCostsOf(view.costs);
    const { layers } = this.#costs;
    const {
      solo = false,
      minStages = 1,
      maxStages = layers,
      replicaGoal = DEFAULT_REPLICAS,
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
    this.#hops = view.workers
      .slice(1, HOPS_SAMPLED + 1)
      .map(({ id }, index) => hopSeconds(view.rtt(view.workers[index]!.id, id)))
      .sort((a, b) => a - b);
    const someServed = view.workers.some(({ trusted }) => trusted);
    const able: Planned[] = [];
    for (const worker of view.workers) {
      const unable = whyUnable(this.#costs, worker, most);
      if (unable !== null) this.#unable.set(worker.id, unable);
      else
        able.push(
          planned(worker, this.#rates.get(worker.id)! * (worker.trusted || !someServed ? 1 : STRANGER_RATE)),
        );
    }
    this.#able = able;
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
    const { layers } = this.#costs;
    const held = new Map<string, LayerRange>();
    for (const { id, current } of this.#able) if (current !== null) held.set(id, current);
    const hasGap = held.size > 0 && uncovered(layers, held.values()) > 0;
    if (this.#able.length > SEARCH_WORKERS) {
      // In a large mesh newcomers are enough, as a rule.
      const ranges = new Map(held);
      const steps = this.#windows(ranges);
      if (uncovered(layers, ranges.values()) === 0) return { ranges, steps };
    }
    const ranges = new Map(held);
    const steps = this.#search(ranges, hasGap);
    if (this.#able.length > SEARCH_WORKERS || !this.#isServed) this.#windows(ranges);
    return uncovered(layers, ranges.values()) === 0 ? { ranges, steps } : null;
  }

  /** @param ranges what is held now, to be changed. @returns steps */
  #search(ranges: Map<string, LayerRange>, hasGap: boolean): number {
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
    const loadSeconds = ({ view, current }: Planned, range: LayerRange | undefined) =>
      reloadSeconds(this.#costs, view, current, range);
    // Loading by a newcomer disturbs nobody, gap or not.
    const cost = (worker: Planned, range: LayerRange | undefined) =>
      loadSeconds(worker, range) /
      (hasGap && worker.current !== null ? GAP_PAYS_WITHIN_SECONDS : PAYS_WITHIN_SECONDS);
    const search = new LayoutSearch({
      costs: this.#costs,
      workers: moving,
      scorer,
      rtt: this.#view.rtt,
      current,
      reloading: (ranges) => moving.reduce((sum, worker) => sum + cost(worker, ranges.get(worker.id)), 0),
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
    for (const worker of moving) {
      const range = chosen.ranges.get(worker.id);
      if (range !== undefined) ranges.set(worker.id, this.#orHeld(worker, range));
      else if (isBetter) ranges.delete(worker.id);
    }
    if (chosen.score.uncovered > 0) return best.steps;
    leaveOut(moving, ranges, {
      layers,
      scorer,
      seconds: chosen.score.seconds,
      replicaGoal: this.#options.replicaGoal,
      mostReplicas: this.#mostReplicas,
      loadSeconds: (worker) => loadSeconds(worker, ranges.get(worker.id)),
    });
    return best.steps;
  }

  /** Every layer is there, or nobody has begun. */
  get #isServed(): boolean {
    const held = this.#able.flatMap(({ view }) => view.held);
    if (held.length === 0) return true;
    return uncovered(this.#costs.layers, held.filter(isHeld)) === 0;
  }

  /**
   * For those who hold nothing. While layers are missing nobody is spared, nor counts what still loads: who has loaded first ends
   * the wait. @returns steps
   */
  #windows(ranges: Map<string, LayerRange>): number {
    const isServed = this.#isServed;
    const left = this.#able.filter(({ id, current }) => current === null && !ranges.has(id));
    const there = isServed ? this.#able : this.#able.filter(({ view }) => view.held.some(isHeld));
    return weakestWindows(this.#costs, left, ranges, there, {
      goal: isServed ? this.#mostReplicas : Number.POSITIVE_INFINITY,
      rtt: this.#view.rtt,
      nearHopSeconds: this.#hops[this.#hops.length >> 2] ?? 0,
    });
  }

  #scoring(): ScoreOptions {
    const sum = this.#hops.reduce((total, seconds) => total + seconds, 0);
    return { ...this.#options, stepSeconds: 0, meanHopSeconds: sum / Math.max(1, this.#hops.length) };
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

  /** A range that is held and holds the wanted one is as good, and there. */
  #orHeld({ view }: Planned, range: LayerRange): LayerRange {
    return view.held.find((held) => covers(held, range)) ?? range;
  }

  #layout(ranges: Map<string, LayerRange>, steps: number): Layout {
    const byId = new Map<string, Planned>();
    for (const worker of this.#able) if (ranges.has(worker.id)) byId.set(worker.id, worker);
    const holding = (id: string, { start, end }: LayerRange): Holding => ({
      worker: id,
      start,
      end,
      bytes: this.#costs.bytes(byId.get(id)!, start, end),
    });
    const holdings = [...byId.keys()]
      .map((id) => holding(id, ranges.get(id)!))
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
      spares: this.#spares(ranges),
      steps: steps + score.steps,
    };
  }

  #spares(ranges: ReadonlyMap<string, LayerRange>): LayoutSpare[] {
    const { maxStages, replicaGoal } = this.#options;
    const beside = sparedBeside(this.#costs.layers, {
      ranges: [...ranges.values()],
      rates: [...ranges.keys()].map((id) => this.#rates.get(id)!),
      maxStages,
      replicaGoal,
    });
    return this.#view.workers.flatMap((worker): LayoutSpare[] => {
      if (ranges.has(worker.id)) return [];
      const unable = this.#unable.get(worker.id);
      const rate = this.#rates.get(worker.id)!;
      return [{ worker: worker.id, reason: unable ?? whySpared(this.#costs, worker, rate, beside) }];
    });
  }
}

function planned(view: WorkerView, macsPerSecond: number): Planned {
  const { id, memoryBytes, maxBufferBytes, storesF16AsF32 = false } = view;
  return {
    id,
    view,
    memoryBytes,
    maxBufferBytes,
    storesF16AsF32,
    macsPerSecond,
    current: largest(view.held),
  };
}

function isHeld({ state }: HeldRange): boolean {
  return state === 'held';
}

function largest(held: readonly LayerRange[]): LayerRange | null {
  let most: LayerRange | null = null;
  for (const range of held) {
    if (most === null || range.end - range.start > most.end - most.start) most = range;
  }
  return most === null ? null : { start: most.start, end: most.end };
}
