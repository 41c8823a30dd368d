import { MAX_SEQUENCES_PER_STAGE } from '../config/limits.ts';
import type { DeviceLimits } from '../gpu/device.ts';
import type { Tuning } from '../gpu/tuning.ts';
import type { WeightManifest } from '../model/fetch/manifest.ts';
import { kvBytes, scratchBytes } from '../model/gpu-bytes.ts';
import { shardWeightBytes } from '../model/weight-layout.ts';
import type { LoadRequest } from './device.ts';

/**
 * KV cache of one full sequence, as placement counted it, and half of what the budget leaves after a successor of the
 * same size: shards are replaced while the old ones serve, so both must fit.
 */
export function kvBudgetBytes(
  { spec, tensors }: Pick<WeightManifest, 'spec' | 'tensors'>,
  { shard, quantization, budgetBytes }: Pick<LoadRequest, 'shard' | 'quantization' | 'budgetBytes'>,
  { expandF16 }: Pick<Tuning, 'expandF16'>,
  { maxStorageBindingBytes }: Pick<DeviceLimits, 'maxStorageBindingBytes'>,
): number {
  const matrix = Object.values(tensors).find(({ shape }) => shape.length === 2);
  const dtype = matrix?.dtype ?? 'F32';
  const need =
    shardWeightBytes(spec, shard, { quantization, dtype, expandF16 }) +
    scratchBytes(spec, shard.head, maxStorageBindingBytes);
  const one = kvBytes(spec, shard.end - shard.start, spec.contextLength);
  const spare = budgetBytes - 2 * (need + one);
  return Math.min(one * MAX_SEQUENCES_PER_STAGE, one + Math.max(0, spare / 2));
}
