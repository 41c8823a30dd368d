import type { PlacementWorker } from '../../schedule/placement.ts';
import type { Pipeline } from './pipeline.ts';
import type { Peer } from './registry.ts';

/**
 * What placement needs to know of the workers.
 *
 * @param order ids of the present pipeline's workers: they come first and in this order, so that they keep layers that
 *   they have in their cache
 * @param holding pipelines whose stages take part of the workers' memory
 */
export function placementWorkers(
  workers: readonly Peer[],
  order: readonly string[],
  holding: readonly Pipeline[],
): PlacementWorker[] {
  const rank = (peer: Peer) => {
    const index = order.indexOf(peer.id);
    return index < 0 ? order.length : index;
  };
  return [...workers]
    .sort((a, b) => rank(a) - rank(b))
    .flatMap((peer) => {
      if (peer.capability === null) return [];
      const {
        gemvMacsPerSecond,
        memoryBudgetBytes,
        adapter,
        maxBufferBytes,
        maxStorageBindingBytes,
        storesF16AsF32,
      } = peer.capability;
      const heldBytes = holding.reduce((sum, pipeline) => sum + pipeline.bytesOn(peer), 0);
      return {
        id: peer.id,
        gemvMacsPerSecond,
        memoryBytes: memoryBudgetBytes - heldBytes,
        maxBufferBytes: Math.min(maxBufferBytes, maxStorageBindingBytes),
        isFallback: adapter.isFallback,
        storesF16AsF32: storesF16AsF32 ?? false,
      };
    });
}
