import type { ModelCosts } from '../../schedule/costs.ts';
import type { PlacedStage } from '../../schedule/placement.ts';
import type { Cutter } from './cutter.ts';
import { fillGaps } from './fill.ts';
import type { Holding } from './holding.ts';
import type { Holdings } from './holdings.ts';
import type { Peer } from './peer.ts';
import { placementWorkers } from './placement-workers.ts';
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
  ): readonly PlacedStage[] | null {
    const laggards = target.holdings.filter((holding) => this.#options.holdings.isLagging(holding));
    for (const laggard of laggards) {
      if (this.#isRaced(laggard)) continue;
      const racer = this.#racerFor(laggard, target, trusted);
      if (racer !== null) this.#racers.set(laggard, racer);
    }
    if (!mayReplace || laggards.every((laggard) => this.#isRaced(laggard))) return null;
    const isPrompt = (peer: Peer) => !laggards.some((laggard) => laggard.peer === peer);
    const now = this.#options.cutter.placedAmong(workers.filter(isPrompt), trusted.filter(isPrompt), () => 0);
    return now.kind === 'placed' ? now.stages : null;
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

  #racerFor(laggard: Holding, target: Target, trusted: readonly Peer[]): Holding | null {
    const { costs, holdings } = this.#options;
    const free = trusted.filter((peer) => !target.has(peer) && holdings.hasPlace(peer));
    const workers = placementWorkers(free, [], (peer) => holdings.bytesOn(peer));
    const spares = free.flatMap((peer) => {
      const worker = workers.find(({ id }) => id === peer.id);
      return worker === undefined ? [] : { peer, worker };
    });
    const same = holdings
      .all()
      .filter(({ peer, layers }) => free.includes(peer) && laggard.isSameAs(laggard.peer, layers));
    const [stage] = fillGaps({ wanted: [laggard], holdings: same, spares, costs }) ?? [];
    const peer = free.find(({ id }) => id === stage?.worker);
    return peer === undefined ? null : holdings.load(peer, laggard.layers);
  }
}
