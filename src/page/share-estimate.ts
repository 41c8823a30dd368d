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
 * The whole model where it fits and nobody asked for a split, else an even share of as many stages as it takes. The server cuts by
 * measured speed, so it is about that; a device that turns out to be much slower or faster than the others gets less or more.
 */
export function estimateShare(status: Status | null, budgetBytes: number): ShareEstimate {
  const share = status?.model?.share;
  if (!status?.model || !share) return { kind: 'unknown' };
  const { layers } = status.model;
  const maxStages = Math.min(layers, share.maxStages ?? layers);
  const neededBytes = share.scratchGpuBytes + share.layerGpuBytes;
  if (budgetBytes < neededBytes) return { kind: 'too-small', neededBytes };
  const workers = workerCount(status);
  const roomBeside = (ends: number) =>
    Math.max(1, Math.floor((budgetBytes - share.scratchGpuBytes - ends) / share.layerGpuBytes));
  const forMemory = Math.ceil(layers / roomBeside(share.endsGpuBytes));
  const wanted = Math.min(Math.max(share.minStages ?? 1, forMemory), maxStages);
  if (workers >= wanted * (share.replicas ?? 1)) return { kind: 'spare' };
  const stages = Math.min(workers + 1, wanted);
  const ends = share.endsGpuBytes / stages;
  const room = roomBeside(ends);
  const held = Math.min(Math.ceil(layers / stages), room);
  return {
    kind: 'share',
    layers: held,
    of: layers,
    gpuBytes: Math.min(budgetBytes, share.scratchGpuBytes + held * share.layerGpuBytes + ends),
    fileBytes: held * share.layerFileBytes + share.endsFileBytes / stages,
  };
}
