import { BLOCK } from '../model/weight-layout.ts';

const MAX_LANES = 32;

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
