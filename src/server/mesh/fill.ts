import type { Shard } from '../../model/shard.ts';
import type { ModelCosts } from '../../schedule/costs.ts';
import type { PlacedStage, PlacementWorker } from '../../schedule/placement.ts';
import type { Holding } from './holding.ts';
import type { Peer } from './peer.ts';
import { shardCost } from './shard-cost.ts';

export interface FillView {
  /** What was wanted before somebody was lost, in order. */
  readonly wanted: readonly Holding[];
  /** What is held or loads, on workers that may be given work. */
  readonly holdings: readonly Holding[];
  /** Who may be given layers, with the memory that is free; `peer` as in the holdings. */
  readonly spares: readonly { readonly peer: Peer; readonly worker: PlacementWorker }[];
  readonly costs: ModelCosts;
}

/**
 * The stages that were wanted, with another worker for each that is lost: one that holds its layers, or the quickest of the spares
 * that have room for them. What the others hold stays. Null: there are too few.
 */
export function fillGaps({ wanted, holdings, spares, costs }: FillView): readonly PlacedStage[] | null {
  const used = new Set<Peer>();
  const stageOn = (peer: Peer, shard: Shard): PlacedStage => {
    used.add(peer);
    return { worker: peer.id, shard, ...shardCost(costs, peer.capability!, shard) };
  };
  const kept = wanted.map((holding) => (holdings.includes(holding) ? holding : null));
  for (const holding of kept) if (holding !== null) used.add(holding.peer);
  const stages: PlacedStage[] = [];
  for (const [index, { layers }] of wanted.entries()) {
    const holder =
      kept[index] ?? holdings.find((one) => !used.has(one.peer) && one.isSameAs(one.peer, layers));
    const peer = holder?.peer ?? quickest(layers);
    if (peer === null) return null;
    stages.push(stageOn(peer, layers));
  }
  return stages;

  function quickest(layers: Shard): Peer | null {
    let best: { readonly peer: Peer; readonly seconds: number } | null = null;
    for (const { peer, worker } of spares) {
      if (used.has(peer) || worker.maxBufferBytes < costs.largestBufferBytes) continue;
      const { seconds, bytes } = shardCost(costs, peer.capability!, layers);
      if (bytes <= worker.memoryBytes && (best === null || seconds < best.seconds)) best = { peer, seconds };
    }
    return best?.peer ?? null;
  }
}
