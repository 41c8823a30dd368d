import type { ModelCosts } from '../../schedule/costs.ts';
import type { Holding } from './holding.ts';
import type { Holdings } from './holdings.ts';
import type { MeshRoute } from './mesh-route.ts';
import type { Peer } from './peer.ts';
import type { Registry } from './registry.ts';
import { shardCost } from './shard-cost.ts';

export interface ReplicasOptions {
  readonly costs: ModelCosts;
  /** Workers that should hold each stage of the route that serves. */
  readonly goal: number;
  readonly registry: Registry;
  readonly holdings: Holdings;
  readonly mayLoad: (peer: Peer) => boolean;
}

/** Copies of what serves, on workers that have nothing else to do: who is lost then has somebody who takes its place at once. */
export class Replicas {
  readonly #options: ReplicasOptions;

  constructor(options: ReplicasOptions) {
    this.#options = options;
  }

  /** Gives idle workers copies, the rarest stage first and of equals the slowest. @returns whether it gave any */
  settle(live: MeshRoute): boolean {
    const { costs, goal, registry, holdings, mayLoad } = this.#options;
    const stages = live.stops.flatMap(({ peer, shard }) => holdings.find(peer, shard) ?? []);
    const all = holdings.all().filter(({ peer, isRetiring }) => !isRetiring && mayLoad(peer));
    const copies = new Map(
      stages.map((stage) => [stage, all.filter((one) => one.isSameAs(one.peer, stage.layers))]),
    );
    const idle = registry.workers().filter((peer) => mayLoad(peer) && holdings.of(peer).length === 0);
    let given = false;
    for (;;) {
      const rare = stages
        .filter((stage) => copies.get(stage)!.length < goal)
        .sort(
          (a, b) =>
            copies.get(a)!.length - copies.get(b)!.length || pace(copies.get(b)!) - pace(copies.get(a)!),
        );
      const found = rare
        .map((stage) => ({ stage, peer: quickest(idle, stage) }))
        .find(({ peer }) => peer !== null);
      if (found?.peer === null || found === undefined) return given;
      copies.get(found.stage)!.push(holdings.load(found.peer, found.stage.layers));
      idle.splice(idle.indexOf(found.peer), 1);
      given = true;
    }

    function quickest(among: readonly Peer[], { layers }: Holding): Peer | null {
      let best: { readonly peer: Peer; readonly seconds: number } | null = null;
      for (const peer of among) {
        const { capability } = peer;
        if (capability === null) continue;
        const { maxBufferBytes, maxStorageBindingBytes, memoryBudgetBytes } = capability;
        if (Math.min(maxBufferBytes, maxStorageBindingBytes) < costs.largestBufferBytes) continue;
        const { seconds, bytes } = shardCost(costs, capability, layers);
        if (bytes <= memoryBudgetBytes && (best === null || seconds < best.seconds)) best = { peer, seconds };
      }
      return best?.peer ?? null;
    }
  }
}

/** Seconds a token where they share the work. */
function pace(copies: readonly Holding[]): number {
  return 1 / copies.reduce((sum, { seconds }) => sum + 1 / seconds, 0);
}
