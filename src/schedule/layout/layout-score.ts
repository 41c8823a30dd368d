/** How good a layout is: the time of a token for one request, and the rate for many. */

import { hopSeconds, type LayerRange, type RoundTripSeconds } from '../mesh-view.ts';
import { amongHeld, type Candidate, type Quickest, quickestWay } from '../quickest.ts';
import type { StageCosts } from '../stage-costs.ts';
import { capacityOf, type Supply } from './capacity.ts';

/** Ranges by worker: at most one each. */
export type Ranges = ReadonlyMap<string, LayerRange>;

export interface ScoredWorker {
  readonly id: string;
  readonly macsPerSecond: number;
}

export interface Score {
  /** Layers that nobody holds; where there are any the rest says nothing. */
  readonly uncovered: number;
  /** What is minimized: seconds of a token with so many requests at once. Infinite where a layer is held by nobody. */
  readonly seconds: number;
  /** Of one request alone, over the quickest route. */
  readonly tokenSeconds: number;
  /** Tokens a second when there are as many requests as it takes. */
  readonly capacity: number;
  readonly steps: number;
  readonly route: Quickest<Candidate> | null;
}

export interface ScoreOptions {
  readonly concurrency: number;
  readonly maxStages?: number;
  readonly stepSeconds: number;
  /** Between two workers, whoever they are. */
  readonly meanHopSeconds: number;
  /** Every layer shall be held so often. */
  readonly replicaGoal: number;
}

/** Of all rates together, and times the stages that a route has whose stages are all as short. */
interface Shares {
  rate: number;
  stages: number;
}

/** Also where there is one request: of two layouts that are as fast for it, the one that could serve more. */
const MANY_MATTER = 0.02;
const HOPS_MATTER = 0.005;
/** By which a layout without one replica that it should have looks slower. */
const REPLICA_WORTH = 0.05;
/** What a supply costs the capacity's bisection, in steps of the search for a route. */
const CAPACITY_STEPS = 5;
/** Of workers with the same range only the quickest are looked at for the quickest route. */
const SAME_RANGE_TRIED = 3;
/** Fewer than for a real choice: the search scores thousands of layouts. */
const WAYS_KEPT = 4;

/** Scores holdings of some workers on top of those of others, which stay as they are. */
export class LayoutScorer {
  readonly #costs: StageCosts;
  readonly #rtt: RoundTripSeconds;
  readonly #options: ScoreOptions;
  readonly #fixedSupply = new Map<number, Supply>();
  readonly #fixedCandidates: Candidate[] = [];
  readonly #fixedHolders: number[];
  readonly #fixedShares: Shares = { rate: 0, stages: 0 };
  readonly #meanHopSeconds: number;

  /** @param fixed holders that stay, each with its range */
  constructor(
    costs: StageCosts,
    fixed: readonly { readonly worker: ScoredWorker; readonly range: LayerRange }[],
    rtt: RoundTripSeconds,
    options: ScoreOptions,
  ) {
    this.#costs = costs;
    this.#rtt = rtt;
    this.#options = options;
    this.#meanHopSeconds = options.meanHopSeconds;
    this.#fixedHolders = new Array(costs.layers).fill(0);
    const byRange = new Map<number, Candidate[]>();
    for (const { worker, range } of fixed) {
      this.#supply(this.#fixedSupply, worker, range);
      count(this.#fixedHolders, range);
      this.#share(this.#fixedShares, worker, range);
      const key = this.#key(range);
      const same = byRange.get(key);
      const candidate = this.#candidate(worker, range);
      if (same === undefined) byRange.set(key, [candidate]);
      else {
        same.push(candidate);
        if (same.length > SAME_RANGE_TRIED * 2) trim(same);
      }
    }
    for (const same of byRange.values()) this.#fixedCandidates.push(...trim(same));
  }

  score(workers: readonly ScoredWorker[], ranges: Ranges): Score {
    const supply = new Map(this.#fixedSupply);
    const candidates = [...this.#fixedCandidates];
    const holders = [...this.#fixedHolders];
    const shares = { ...this.#fixedShares };
    for (const worker of workers) {
      const range = ranges.get(worker.id);
      if (range === undefined) continue;
      this.#supply(supply, worker, range);
      candidates.push(this.#candidate(worker, range));
      count(holders, range);
      this.#share(shares, worker, range);
    }
    let uncovered = 0;
    for (const held of holders) if (held === 0) uncovered++;
    const none = {
      uncovered,
      seconds: Number.POSITIVE_INFINITY,
      tokenSeconds: Number.POSITIVE_INFINITY,
      capacity: 0,
      steps: candidates.length,
      route: null,
    };
    if (uncovered > 0) return none;
    const way = quickestWay(this.#costs, {
      ...amongHeld(candidates),
      waysKept: WAYS_KEPT,
      hop: (from, to) => hopSeconds(this.#rtt(from.worker, to.worker)),
      ...(this.#options.maxStages !== undefined && { maxStages: this.#options.maxStages }),
    });
    if (way.stops === null) return { ...none, steps: none.steps + way.steps };
    const capacity = capacityOf(this.#costs, [...supply.values()]);
    const { concurrency, replicaGoal } = this.#options;
    // What is missing of the goal, as a share of it.
    let missing = 0;
    for (const held of holders) missing += Math.max(0, replicaGoal - held);
    const lack = missing / (holders.length * Math.max(1, replicaGoal - 1));
    // The lower bound on throughput of a closed network of queues (balanced job bounds, Zahorjan et al. 1982): with N requests
    // at once each token takes the time of one alone, and waits at most for N − 1 others at the bottleneck.
    // The others' routes are not the quickest: short ranges make them many hops.
    const others = concurrency - 1 + MANY_MATTER;
    const moreHops = Math.max(0, shares.stages / shares.rate - way.stops.length) * this.#meanHopSeconds;
    const token = way.seconds + (1 - 1 / concurrency + HOPS_MATTER) * moreHops;
    const seconds = (token + others / capacity) / concurrency;
    return {
      uncovered,
      seconds: seconds * (1 + REPLICA_WORTH * lack),
      tokenSeconds: way.seconds,
      capacity,
      steps: way.steps + supply.size * CAPACITY_STEPS,
      route: way,
    };
  }

  #candidate(worker: ScoredWorker, range: LayerRange): Candidate {
    return {
      worker: worker.id,
      start: range.start,
      end: range.end,
      secondsPerMac: 1 / worker.macsPerSecond,
      stepSeconds: this.#options.stepSeconds,
    };
  }

  #share(shares: Shares, { macsPerSecond }: ScoredWorker, { start, end }: LayerRange): void {
    shares.rate += macsPerSecond;
    shares.stages += (macsPerSecond * this.#costs.layers) / (end - start);
  }

  #supply(into: Map<number, Supply>, worker: ScoredWorker, { start, end }: LayerRange): void {
    const key = this.#key({ start, end });
    const macsPerSecond = (into.get(key)?.macsPerSecond ?? 0) + worker.macsPerSecond;
    into.set(key, { start, end, macsPerSecond });
  }

  #key({ start, end }: LayerRange): number {
    return start * (this.#costs.layers + 1) + end;
  }
}

function trim(same: Candidate[]): Candidate[] {
  same.sort((a, b) => a.secondsPerMac - b.secondsPerMac);
  same.length = Math.min(same.length, SAME_RANGE_TRIED);
  return same;
}

function count(holders: number[], { start, end }: LayerRange): void {
  for (let layer = start; layer < end; layer++) holders[layer]!++;
}
