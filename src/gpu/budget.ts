import { bytesText } from '../config/bytes-text.ts';
import { ShoalError } from '../config/errors.ts';
import { KV_PAGE_POSITIONS } from '../config/limits.ts';
import type { FileDtype } from '../model/fetch/manifest.ts';
import { kvBytes, scratchBytes } from '../model/gpu-bytes.ts';
import { layersText, type Quantization, type Shard } from '../model/shard.ts';
import type { ModelSpec } from '../model/spec.ts';
import { shardWeightBytes } from '../model/weight-layout.ts';
import type { GpuDevice } from './device.ts';
import { KvCache } from './kv-cache.ts';

export interface StageBudget {
  readonly spec: ModelSpec;
  readonly shard: Shard;
  readonly quantization: Quantization;
  /** See `Tuning.expandF16`. */
  readonly expandF16: boolean;
  /** Weights, KV cache and scratch together. */
  readonly memoryBudgetBytes: number;
  /** Of that, what the KV cache and scratch take: `reservedBytes`. */
  readonly reservedBytes: number;
}

/**
 * What a stage takes beside its weights.
 * @throws SHARD_TOO_LARGE where the KV budget does not buy one page
 */
export function reservedBytes(
  device: Pick<GpuDevice, 'limits'>,
  spec: ModelSpec,
  shard: Shard,
  kvBudgetBytes: number,
): number {
  const layers = shard.end - shard.start;
  const pages = KvCache.pagesFor(device, spec, layers, kvBudgetBytes);
  return (
    kvBytes(spec, layers, pages * KV_PAGE_POSITIONS) +
    scratchBytes(spec, shard.head, device.limits.maxStorageBindingBytes)
  );
}

/**
 * Placement counts with the same arithmetic (src/schedule/costs.ts), so what it places passes.
 * @param dtype of the first matrix: it tells what the shard needs
 * @throws SHARD_TOO_LARGE
 */
export function checkBudget(budget: StageBudget, dtype: FileDtype): void {
  const { spec, shard, quantization, memoryBudgetBytes, reservedBytes, expandF16 } = budget;
  const storage = { quantization, dtype, expandF16 };
  const layers = shard.end - shard.start;
  const weights = shardWeightBytes(spec, shard, storage);
  const need = weights + reservedBytes;
  if (need <= memoryBudgetBytes) return;
  const oneLayer = shardWeightBytes(spec, { start: 0, end: 1, embedding: false, head: false }, storage);
  const room = memoryBudgetBytes - reservedBytes - (weights - layers * oneLayer);
  const fit = Math.floor(room / oneLayer);
  const remedy =
    fit >= 1
      ? `assign ${fit} layer${fit === 1 ? '' : 's'} or fewer`
      : quantization === 'q4'
        ? 'lend more memory'
        : 'lend more memory or load the model with q4 weights';
  throw new ShoalError(
    'SHARD_TOO_LARGE',
    `${layersText(shard.start, shard.end)} need ${bytesText(need)} (weights ${bytesText(weights)}, KV cache and scratch ${bytesText(reservedBytes)}), this device allows ${bytesText(memoryBudgetBytes)}; ${remedy}`,
  );
}
