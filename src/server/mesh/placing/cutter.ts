import type { DoesNotFit } from '../../../schedule/layout/does-not-fit.ts';
import type { Holding } from '../holdings/holding.ts';
import type { Holdings } from '../holdings/holdings.ts';
import type { Peer } from '../peers/peer.ts';
import type { Registry } from '../peers/registry.ts';
import type { MeshRoutes } from '../routes/routes.ts';
import type { Plan, PlannedStage, Planner } from './planner.ts';
import { Target } from './target.ts';

export interface CutterOptions {
  readonly planner: Planner;
  readonly registry: Registry;
  readonly holdings: Holdings;
  readonly routes: MeshRoutes;
}

/** Of the requests at once that there were, what counts at the next placement. */
const CONCURRENCY_KEPT = 0.8;

const OUTGROWN = 2;

/** Between the workers as the server knows them and the plan: who is asked for one, and what has to be loaded for it. */
export class Cutter {
  readonly #options: CutterOptions;
  /** Ids of those that served last: they keep their places, and with them layers that they have in their caches. */
  lastOrder: readonly string[] = [];
  /** Requests at once that layers are handed out for. */
  #concurrency = 1;

  constructor(options: CutterOptions) {
    this.#options = options;
  }

  planned(among: readonly Peer[]): Plan | DoesNotFit {
    const { planner, routes } = this.#options;
    this.#concurrency = Math.max(1, routes.sequences, this.#concurrency * CONCURRENCY_KEPT);
    return planner.plan(among, this.lastOrder, this.#concurrency);
  }

  /** There are many more requests than layers were handed out for. */
  get isOutgrown(): boolean {
    return this.#options.routes.sequences > this.#concurrency * OUTGROWN;
  }

  /** Without those who are suspected where the others can serve alone. */
  plannedAmong(workers: readonly Peer[], trusted: readonly Peer[]): Plan | DoesNotFit {
    const safe = this.planned(trusted);
    return safe.kind === 'placed' ? safe : this.planned(workers);
  }

  /** Stages of the plan that their workers neither hold nor load. */
  missing({ stages }: Plan): PlannedStage[] {
    return stages.filter(({ worker, shard }) => {
      const peer = this.#options.registry.get(worker)!;
      return !this.#options.holdings.of(peer).some((holding) => holding.isSameAs(peer, shard));
    });
  }

  /** Whether what is missing has room beside what serves as `target`, and what sequences run on. */
  fitsBeside(plan: Plan, target: Target | null): boolean {
    const { registry, holdings } = this.#options;
    return this.missing(plan).every(({ worker, bytes }) => {
      const peer = registry.get(worker)!;
      const used = holdings.of(peer).filter((holding) => isInUse(holding, target));
      const usedBytes = used.reduce((sum, holding) => sum + holding.bytes, 0);
      return usedBytes + bytes <= (peer.capability?.memoryBudgetBytes ?? 0);
    });
  }

  /** Keeps what is held of it, and loads the rest; what is in its way and no part of it goes first. */
  load(stages: readonly PlannedStage[], before: Target | null): Target {
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
