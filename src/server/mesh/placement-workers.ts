import type { PlacementWorker } from '../../schedule/placement.ts';
import type { Peer } from './peer.ts';

/**
 * What placement needs to know of the workers.
 *
 * @param order ids of the workers that serve now: they come first and in this order, so that they keep layers that they have in
 *   their cache
 * @param bytesKept of the worker's memory that is not to be had
 */
export function placementWorkers(
  workers: readonly Peer[],
  order: readonly string[],
  bytesKept: (peer: Peer) => number,
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
      return {
        id: peer.id,
        gemvMacsPerSecond,
        memoryBytes: memoryBudgetBytes - bytesKept(peer),
        maxBufferBytes: Math.min(maxBufferBytes, maxStorageBindingBytes),
        isFallback: adapter.isFallback,
        storesF16AsF32: storesF16AsF32 ?? false,
      };
    });
}
