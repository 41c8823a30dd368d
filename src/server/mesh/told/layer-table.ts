import type { Status } from '../../../mesh/protocol/status.ts';
import type { Holding } from '../holdings/holding.ts';

export type LayerTable = NonNullable<Status['layers']>;

/** Layers × workers: who holds or loads what, and how many sequences run there. @param holdings those that are shown */
export function layerTable(holdings: readonly Holding[]): LayerTable {
  return holdings
    .map(({ peer, layers, isHeld, isRetiring, sequences }) => ({
      peer: peer.id,
      name: peer.name,
      layers: [layers.start, layers.end] as [number, number],
      state: peer.isAway
        ? ('away' as const)
        : isRetiring
          ? ('retiring' as const)
          : isHeld
            ? ('held' as const)
            : ('loading' as const),
      sequences,
    }))
    .sort((a, b) => a.layers[0] - b.layers[0] || a.layers[1] - b.layers[1]);
}
