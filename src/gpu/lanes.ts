/** Weights along K of one block; also the quantization block. */
export const BLOCK = 32;
const MAX_LANES = 32;

/** K rounded up to whole blocks: the stride of rows in weights and activations. Columns beyond K are zero. */
export function padded(k: number): number {
  return Math.ceil(k / BLOCK) * BLOCK;
}

/**
 * In how many lanes a sum over K is cut: the largest power of two ≤ min(blocks, 32). Block b belongs to lane b mod lanes.
 * One rule for all kernels and all adapters, so that GEMV and GEMM give the same bits (docs/KERNELS.md).
 */
export function lanesOf(k: number): number {
  const blocks = Math.ceil(k / BLOCK);
  let lanes = 1;
  while (lanes * 2 <= Math.min(blocks, MAX_LANES)) lanes *= 2;
  return lanes;
}
