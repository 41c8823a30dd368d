import type { ModelCosts } from '../../../schedule/costs.ts';
import { transition } from '../../../schedule/layout/transition.ts';
import type { StageCosts } from '../../../schedule/stage-costs.ts';
import type { Holdings } from '../holdings/holdings.ts';
import type { Peer } from '../peers/peer.ts';
import type { Registry } from '../peers/registry.ts';
import { type Plan, type Planner, shardOf } from './planner.ts';
import type { Target } from './target.ts';

export interface CopiesOptions {
  readonly costs: ModelCosts;
  readonly stageCosts: StageCosts;
  readonly planner: Planner;
  readonly registry: Registry;
  readonly holdings: Holdings;
  readonly mayLoad: (peer: Peer) => boolean;
}

/** What a plan wants beside the route that serves: copies, and other ranges; a step at a time, and never a layer without a worker. */
export class Copies {
  readonly #options: CopiesOptions;

  constructor(options: CopiesOptions) {
    this.#options = options;
  }

  /** @param target of which nothing goes. @returns whether anything loads or is to go now that was not before */
  settle(plan: Plan, target: Target | null): boolean {
    const { stageCosts, planner, registry, holdings, mayLoad } = this.#options;
    const peers = registry.workers().filter((peer) => plan.ranges.has(peer.id) && mayLoad(peer));
    const view = { mayGap: false, isUsed: () => false };
    const steps = transition(stageCosts, planner.views(peers, []), plan.ranges, view);
    let changed = false;
    for (const { worker, ...range } of steps.hold) {
      const peer = registry.get(worker)!;
      if (!holdings.hasPlace(peer) || !this.#hasRoom(peer, range.start, range.end)) continue;
      holdings.load(peer, shardOf(range, this.#options.costs));
      changed = true;
    }
    for (const { worker, ...range } of steps.drop) {
      const peer = registry.get(worker)!;
      const holding = holdings.of(peer).find((one) => one.isSameAs(peer, range));
      if (holding === undefined || target?.holdings.includes(holding) === true) continue;
      holding.isRetiring = true;
      changed = true;
    }
    return changed;
  }

  /** Beside what is to go as well: it may still be in use. */
  #hasRoom(peer: Peer, start: number, end: number): boolean {
    const { memoryBudgetBytes = 0, storesF16AsF32 = false } = peer.capability ?? {};
    const worker = { memoryBytes: memoryBudgetBytes, maxBufferBytes: 0, storesF16AsF32 };
    const bytes = this.#options.stageCosts.bytes(worker, start, end);
    return this.#options.holdings.bytesOn(peer) + bytes <= memoryBudgetBytes;
  }
}
