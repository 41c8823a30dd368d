/** Who should hold what, of the workers that are there: the pure layout over what the server knows of them. */
import type { Shard } from '../../../model/shard.ts';
import type { ModelCosts } from '../../../schedule/costs.ts';
import type { DoesNotFit } from '../../../schedule/layout/does-not-fit.ts';
import { layout } from '../../../schedule/layout/layout.ts';
import type { Layout, LayoutOptions, LayoutSpare } from '../../../schedule/layout/layout-view.ts';
import type { LayerRange, WorkerView } from '../../../schedule/mesh-view.ts';
import type { Holdings } from '../holdings/holdings.ts';
import type { ServedSpeeds } from '../holdings/served-speeds.ts';
import type { Peer } from '../peers/peer.ts';
import type { Health } from '../routes/health.ts';

export interface PlannerOptions {
  readonly costs: ModelCosts;
  readonly holdings: Holdings;
  readonly speeds: ServedSpeeds;
  readonly health: Pick<Health, 'believedShare'>;
  readonly layout: LayoutOptions;
}

/** What a worker should hold for the route that is to serve. */
export interface PlannedStage {
  readonly worker: string;
  readonly shard: Shard;
  readonly bytes: number;
}

export interface Plan {
  readonly kind: 'placed';
  /** Of the route that is to serve. */
  readonly stages: readonly PlannedStage[];
  /** What everybody should hold, copies too. */
  readonly ranges: ReadonlyMap<string, LayerRange>;
  readonly spares: readonly LayoutSpare[];
  readonly expected: Pick<Layout, 'tokenSeconds' | 'capacity'>;
}

export class Planner {
  readonly #options: PlannerOptions;

  constructor(options: PlannerOptions) {
    this.#options = options;
  }

  /**
   * @param order ids of those that come first, and in this order, where it costs nothing: they have the layers in their cache
   * @param concurrency requests that run at once, as a rule
   */
  plan(among: readonly Peer[], order: readonly string[], concurrency: number): Plan | DoesNotFit {
    const { costs, speeds } = this.#options;
    const byId = new Map(among.map((peer) => [peer.id, peer]));
    const found = layout({
      costs,
      workers: this.views(among, order),
      rtt: (from, to) => speeds.rttSeconds(byId.get(from)!, byId.get(to)!),
      options: { ...this.#options.layout, concurrency },
    });
    if (found.kind === 'does-not-fit') return found;
    const ranges = new Map(found.holdings.map(({ worker, start, end }) => [worker, { start, end }]));
    return {
      kind: 'placed',
      stages: found.route.map(({ worker }) => {
        const { start, end, bytes } = found.holdings.find((holding) => holding.worker === worker)!;
        return { worker, shard: shardOf({ start, end }, costs), bytes };
      }),
      ranges,
      spares: found.spares,
      expected: found,
    };
  }

  views(among: readonly Peer[], order: readonly string[]): WorkerView[] {
    const { holdings, speeds, health } = this.#options;
    const rank = new Map(order.map((id, index) => [id, index]));
    const first = among.filter(({ id }) => rank.has(id)).sort((a, b) => rank.get(a.id)! - rank.get(b.id)!);
    return [...first, ...among.filter(({ id }) => !rank.has(id))].flatMap((peer) => {
      const { capability } = peer;
      if (capability === null) return [];
      const held = holdings.of(peer).filter(({ isRetiring }) => !isRetiring);
      const isServed = speeds.isServed(peer);
      return {
        id: peer.id,
        class: capability.class ?? null,
        macsPerSecond: speeds.cost(peer).macsPerSecond,
        rateIs: isServed ? ('served' as const) : ('probed' as const),
        believedShare: health.believedShare(peer),
        memoryBytes: capability.memoryBudgetBytes,
        maxBufferBytes: Math.min(capability.maxBufferBytes, capability.maxStorageBindingBytes),
        isFallback: capability.adapter.isFallback,
        storesF16AsF32: capability.storesF16AsF32 ?? false,
        trusted: isServed,
        held: held.map(({ layers: { start, end }, bytes, isHeld }) => ({
          start,
          end,
          bytes,
          state: isHeld ? ('held' as const) : ('loading' as const),
        })),
        cached: [],
      };
    });
  }
}

export function shardOf({ start, end }: LayerRange, { layers }: Pick<ModelCosts, 'layers'>): Shard {
  return { start, end, embedding: start === 0, head: end === layers.length };
}
