/** Which of the kernels that give the same bits this adapter runs (src/gpu/autotune.ts measures). */
export interface Tuning {
  /** y = W x for fewer rows than `ROWS_KERNEL_MIN`: a thread four outputs, or a reduction per workgroup. */
  readonly matmulFew: 'thread' | 'workgroup';
  /** y = W x for more rows. */
  readonly matmulMany: 'thread_rows' | 'workgroup';
  /** RMSNorm and attention: a thread a row, or a workgroup. */
  readonly reduction: 'thread' | 'workgroup';
  /** Threads of a workgroup in the thread kernels. */
  readonly threads: number;
  /**
   * Store native f16 weights as f32: the same values and bits, twice the memory. Software adapters unpack f16 in a dozen
   * instructions: 108 against 149 million multiply-accumulates a CPU second on SwiftShader.
   */
  readonly expandF16: boolean;
}

/** From this many rows on `matmulMany` runs. Fewer leave most of a four-row thread idle. */
export const MANY_ROWS_MIN = 3;

/** Measured on SwiftShader: a barrier costs more than a thousand multiply-accumulates. */
export const FALLBACK_TUNING: Tuning = {
  matmulFew: 'thread',
  matmulMany: 'thread_rows',
  reduction: 'thread',
  threads: 16,
  expandF16: true,
};

/** Before a probe, for a hardware adapter. */
export const HARDWARE_TUNING: Tuning = {
  matmulFew: 'workgroup',
  matmulMany: 'thread_rows',
  reduction: 'workgroup',
  threads: 64,
  expandF16: false,
};
