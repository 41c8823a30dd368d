import type { ModelCosts } from '../../../schedule/costs.ts';
import type { Holding } from '../holdings/holding.ts';
import type { Holdings } from '../holdings/holdings.ts';
import { shardCost } from '../holdings/shard-cost.ts';
import type { Peer } from '../peers/peer.ts';
import type { Cutter } from './cutter.ts';
import type { Plan } from './planner.ts';
import { Target } from './target.ts';

export interface RacingOptions {
  readonly costs: ModelCosts;
  readonly holdings: Holdings;
  readonly cutter: Cutter;
}

/**
 * Who loads the same as a shard that comes too slowly, or not at all. The first that is ready serves; the other becomes a replica,
 * or is dropped when its own time is over.
 */
export class Racing {
  readonly #options: RacingOptions;
  readonly #racers = new Map<Holding, Holding>();

  constructor(options: RacingOptions) {
    this.#options = options;
  }

  /**
   * Another worker with free memory loads what each laggard of the target does.
   * @param workers who may be given layers
   * @param trusted of them, who is not suspected
   * @param mayReplace nothing serves
   * @returns where nobody has memory for that: what those that can serve now should load first
   */
  enter(
    target: Target,
    workers: readonly Peer[],
    trusted: readonly Peer[],
    mayReplace: boolean,
  ): Plan | null {
    const laggards = target.holdings.filter((holding) => this.#options.holdings.isLagging(holding));
    for (const laggard of laggards) {
      if (this.#isRaced(laggard)) continue;
      const racer = this.#racerFor(laggard, target, trusted);
      if (racer !== null) this.#racers.set(laggard, racer);
    }
    if (!mayReplace || laggards.every((laggard) => this.#isRaced(laggard))) return null;
    const isPrompt = (peer: Peer) => !laggards.some((laggard) => laggard.peer === peer);
    const now = this.#options.cutter.plannedAmong(workers.filter(isPrompt), trusted.filter(isPrompt));
    return now.kind === 'placed' ? now : null;
  }

  /** The target with those that were ready before their laggard; null: nobody was. */
  won(target: Target): Target | null {
    const { holdings } = this.#options;
    let hasWon = false;
    const path = target.holdings.map((holding) => {
      const racer = this.#racers.get(holding);
      if (racer === undefined) return holding;
      if (holding.isHeld || holdings.find(racer.peer, racer.shard) !== racer) this.#racers.delete(holding);
      else if (racer.isHeld) {
        this.#racers.delete(holding);
        hasWon = true;
        return racer;
      }
      return holding;
    });
    return hasWon ? new Target(path, false) : null;
  }

  #isRaced(laggard: Holding): boolean {
    const racer = this.#racers.get(laggard);
    return racer !== undefined && this.#options.holdings.find(racer.peer, racer.shard) === racer;
  }

  /** Who holds or loads it already; else the quickest that has room for it. */
  #racerFor({ layers }: Holding, target: Target, trusted: readonly Peer[]): Holding | null {
    const { costs, holdings } = this.#options;
    const free = trusted.filter((peer) => !target.has(peer));
    const same = free
      .flatMap((peer) => holdings.of(peer).filter((holding) => holding.isSameAs(peer, layers)))
      .sort((a, b) => Number(b.isHeld) - Number(a.isHeld))[0];
    if (same !== undefined) return same;
    const able = free.flatMap((peer) => {
      const { capability } = peer;
      if (capability === null || !holdings.hasPlace(peer)) return [];
      const { seconds, bytes } = shardCost(costs, capability, layers);
      const { memoryBudgetBytes, maxBufferBytes, maxStorageBindingBytes } = capability;
      const fits =
        holdings.bytesOn(peer) + bytes <= memoryBudgetBytes &&
        Math.min(maxBufferBytes, maxStorageBindingBytes) >= costs.largestBufferBytes;
      return fits ? { peer, seconds } : [];
    });
    const [quickest] = able.sort((a, b) => a.seconds - b.seconds);
    return quickest === undefined ? null : holdings.load(quickest.peer, layers);
  }
}
