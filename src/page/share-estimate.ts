import type { Status } from '../mesh/protocol/status.ts';
import { workerCount } from '../mesh/protocol/worker-counts.ts';

/** What a tab would hold if it joined now. */
export type ShareEstimate =
  /** The server does not say: the budget is the bound. */
  | { readonly kind: 'unknown' }
  /** The budget does not hold one layer. */
  | { readonly kind: 'too-small'; readonly neededBytes: number }
  /** Every stage that there may be has its worker. */
  | { readonly kind: 'spare' }
  | {
      readonly kind: 'share';
      readonly layers: number;
      readonly of: number;
      readonly gpuBytes: number;
      /** To download, where it is not in the browser's cache. */
      readonly fileBytes: number;
    };

/**
 * An even share among those who are there and this one. The server cuts by measured speed, so it is about that; a device that
 * turns out to be much slower or faster than the others gets less or more.
 */
export function estimateShare(status: Status | null, budgetBytes: number): ShareEstimate {
  const share = status?.model?.share;
  if (!status?.model || !share) return { kind: 'unknown' };
  const { layers } = status.model;
  const maxStages = Math.min(layers, share.maxStages ?? layers);
  const neededBytes = share.scratchGpuBytes + share.layerGpuBytes;
  if (budgetBytes < neededBytes) return { kind: 'too-small', neededBytes };
  const workers = workerCount(status);
  if (workers >= maxStages) return { kind: 'spare' };
  const stages = Math.min(workers + 1, maxStages);
  const ends = share.endsGpuBytes / stages;
  const room = Math.max(1, Math.floor((budgetBytes - share.scratchGpuBytes - ends) / share.layerGpuBytes));
  const held = Math.min(Math.ceil(layers / stages), room);
  return {
    kind: 'share',
    layers: held,
    of: layers,
    gpuBytes: Math.min(budgetBytes, share.scratchGpuBytes + held * share.layerGpuBytes + ends),
    fileBytes: held * share.layerFileBytes + share.endsFileBytes / stages,
  };
}
