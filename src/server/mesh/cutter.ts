import type { ModelCosts } from '../../schedule/costs.ts';
import { type PlacedStage, type Placement, place } from '../../schedule/placement.ts';
import { fillGaps } from './fill.ts';
import type { Holding } from './holding.ts';
import type { Holdings } from './holdings.ts';
import type { Peer } from './peer.ts';
import { placementWorkers } from './placement-workers.ts';
import type { Registry } from './registry.ts';
import { Target } from './target.ts';

export interface CutterOptions {
  readonly costs: ModelCosts;
  readonly registry: Registry;
  readonly holdings: Holdings;
  readonly mayLoad: (peer: Peer) => boolean;
  /** Stages at most; all workers up to the layers without it. */
  readonly pipelineSize?: number;
}

/** Between the workers as the server knows them and the pure placement: views go in, shards to load come out. */
export class Cutter {
  readonly #options: CutterOptions;
  /** Ids of those that served last: they keep their places, and with them layers that they have in their caches. */
  lastOrder: readonly string[] = [];

  constructor(options: CutterOptions) {
    this.#options = options;
  }

  /** @param bytesKept of a worker's memory that is not to be had */
  placed(among: readonly Peer[], bytesKept: (peer: Peer) => number): Placement {
    const { costs } = this.#options;
    return place(costs, placementWorkers(among, this.lastOrder, bytesKept), this.#options);
  }

  /** Without those who are suspected where the others can serve alone. */
  placedAmong(
    workers: readonly Peer[],
    trusted: readonly Peer[],
    bytesKept: (peer: Peer) => number,
  ): Placement {
    const safe = this.placed(trusted, bytesKept);
    return safe.kind === 'placed' ? safe : this.placed(workers, bytesKept);
  }

  /** What serves as `target`, and what sequences run on. */
  bytesInUse(peer: Peer, target: Target | null): number {
    const used = this.#options.holdings.of(peer).filter((holding) => isInUse(holding, target));
    return used.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** The target's stages, with others for those of it that are lost; null: there are none. */
  filled(target: Target, trusted: readonly Peer[]): readonly PlacedStage[] | null {
    const { holdings, mayLoad, costs } = this.#options;
    const workers = placementWorkers(trusted, [], (peer) => holdings.bytesOn(peer));
    return fillGaps({
      wanted: target.holdings,
      holdings: holdings.all().filter(({ peer }) => mayLoad(peer)),
      spares: trusted.flatMap((peer) => {
        const worker = workers.find(({ id }) => id === peer.id);
        return worker === undefined ? [] : { peer, worker };
      }),
      costs,
    });
  }

  /** Keeps what is held of it, and loads the rest; what is in its way and no part of it goes first. */
  load(stages: readonly PlacedStage[], before: Target | null): Target {
    const { registry, holdings } = this.#options;
    const wanted = stages.map(({ worker, ...stage }) => ({ ...stage, peer: registry.get(worker)! }));
    for (const { peer, shard, bytes } of wanted) {
      const present = holdings.of(peer);
      if (present.some((holding) => holding.isSameAs(peer, shard))) continue;
      const budget = peer.capability?.memoryBudgetBytes ?? 0;
      const idleFirst = present.sort((a, b) => Number(isInUse(a, before)) - Number(isInUse(b, before)));
      for (const holding of idleFirst) {
        if (holdings.bytesOn(peer) + bytes <= budget && holdings.hasPlace(peer)) break;
        holdings.drop(holding);
      }
    }
    const target = new Target(
      wanted.map(({ peer, shard }) => holdings.load(peer, shard)),
      false,
    );
    for (const holding of target.holdings) holding.isRetiring = false;
    return target;
  }
}

function isInUse(holding: Holding, target: Target | null): boolean {
  return holding.sequences > 0 || target?.holdings.includes(holding) === true;
}
