/** What a stage holds on the GPU beside its weights, as arithmetic: the engine allocates by it, and placement counts with it. */
import {
  KV_PAGE_POSITIONS,
  MAX_BATCH_ROWS,
  MAX_SCRATCH_BYTES,
  MAX_SEQUENCES_PER_STAGE,
  MAX_STEPS_IN_FLIGHT,
} from '../config/limits.ts';
import type { ModelSpec } from './spec.ts';
import { padded } from './weight-layout.ts';

/** KV cache and activations are f32. */
const VALUE_BYTES = 4;

/** Values of one position and KV head in the v pool: headDim rounded up to a vec4. */
export function valueStride(spec: ModelSpec): number {
  return Math.ceil(spec.headDim / 4) * 4;
}

/** Bytes of one page in one layer's pools. */
export function pageBytes(spec: ModelSpec): { readonly k: number; readonly v: number } {
  const perHead = spec.kvHeads * KV_PAGE_POSITIONS * VALUE_BYTES;
  return { k: perHead * spec.headDim, v: perHead * valueStride(spec) };
}

/** Pages of one sequence of `positions`. */
export function pagesOf(positions: number): number {
  return Math.ceil(positions / KV_PAGE_POSITIONS);
}

/** KV bytes that one sequence of `positions` takes over `layers` layers. */
export function kvBytes(spec: ModelSpec, layers: number, positions: number): number {
  const { k, v } = pageBytes(spec);
  return layers * pagesOf(positions) * (k + v);
}

/** (MAX_SEQUENCES_PER_STAGE, pages of a full context) u32 */
export function pageTableBytes(spec: ModelSpec): number {
  return MAX_SEQUENCES_PER_STAGE * pagesOf(spec.contextLength) * 4;
}

/** (positions, headDim / 2, 2) f32 */
export function ropeBytes(spec: ModelSpec): number {
  return spec.contextLength * spec.headDim * VALUE_BYTES;
}

/** Widths of a row in each activation buffer, padded to whole blocks; columns beyond the true width stay zero. */
export interface Strides {
  readonly hidden: number;
  readonly qkv: number;
  readonly attention: number;
  readonly mlp: number;
}

export function stridesOf(spec: ModelSpec): Strides {
  return {
    hidden: padded(spec.hidden),
    qkv: padded((spec.heads + 2 * spec.kvHeads) * spec.headDim),
    attention: padded(spec.heads * spec.headDim),
    mlp: padded(spec.intermediate),
  };
}

/** Bytes of attention partials for one row over `blocks` KV blocks: see attention_shapes.wgsl. */
export function partialBytes(spec: ModelSpec, blocks: number): number {
  return spec.heads * blocks * (4 + valueStride(spec)) * VALUE_BYTES;
}

/**
 * Bytes of every buffer that a micro-batch passes through.
 * @param head whether the stage has the LM head
 * @param bindingBytes the most that the device binds at once; what does not fit is computed in groups of rows, of which one
 *   always must
 */
export function activationBytes(spec: ModelSpec, head: boolean, bindingBytes: number) {
  const strides = stridesOf(spec);
  const rows = MAX_BATCH_ROWS;
  const bound = Math.min(MAX_SCRATCH_BYTES, bindingBytes);
  const f32 = (width: number) => rows * width * VALUE_BYTES;
  const logitRow = spec.vocab * VALUE_BYTES;
  const logitRows = head ? Math.max(1, Math.min(rows, Math.floor(bound / logitRow))) : 0;
  const partialRow = partialBytes(spec, pagesOf(spec.contextLength));
  return {
    logitRows,
    buffers: {
      /** (rows, hidden) the residual stream */
      x: f32(strides.hidden),
      /** (rows, hidden) normed */
      normed: f32(strides.hidden),
      /** (rows, q + k + v) */
      qkv: f32(strides.qkv),
      /** (rows, heads · headDim) */
      attention: f32(strides.attention),
      /** (rows, intermediate) */
      mlp: f32(strides.mlp),
      partials: Math.max(partialRow, Math.min(bound, rows * partialRow)),
      /** (rows, hidden) packed, in and out */
      wire: f32(spec.hidden),
      /** (rows) u32 */
      tokens: rows * 4,
      /** (rows, 2) u32: position, start of the page table */
      rowInfo: rows * 8,
      /** (rows) u32: 0, 1, 2 … */
      identity: rows * 4,
      /** (rows) u32: rows that the head reads */
      sampleRows: rows * 4,
      /** (logitRows, vocab) */
      logits: logitRows * logitRow,
      /** (rows) u32 */
      ids: rows * 4,
      /** One u32: see status.wgsl. */
      status: 16,
      /** Zeros, bound where a matrix has no bias. */
      empty: 16,
    },
  };
}

/** Where in a step's readback things lie: the status word, an id for each row, then logits or hidden states. */
export const READBACK_IDS_AT = 16;
export const READBACK_PAYLOAD_AT = READBACK_IDS_AT + MAX_BATCH_ROWS * 4;

/**
 * Bytes of the largest readback of a step: hidden states of all rows; with the head, logits of a row of each sequence. Reading
 * the logits of more rows is for tests.
 */
export function readbackBytes(spec: ModelSpec, head: boolean): number {
  const hidden = MAX_BATCH_ROWS * spec.hidden * VALUE_BYTES;
  const logits = head ? MAX_SEQUENCES_PER_STAGE * spec.vocab * VALUE_BYTES : 0;
  // Mapped ranges are multiples of 8.
  return READBACK_PAYLOAD_AT + Math.max(hidden, logits) + 8;
}

/** Bytes between two slots of the step uniform; the largest minUniformBufferOffsetAlignment that WebGPU allows. */
export const STEP_SLOT_BYTES = 256;
/** One slot for all rows, then one for each group of attention rows and of head rows. */
export const STEP_SLOTS = 1 + 2 * MAX_BATCH_ROWS;

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);

/** All that a stage needs beside weights and KV pools: activations, RoPE angles, page tables, uniforms, readbacks. */
export function scratchBytes(
  spec: ModelSpec,
  head: boolean,
  bindingBytes = Number.POSITIVE_INFINITY,
): number {
  const { buffers } = activationBytes(spec, head, bindingBytes);
  const steps = STEP_SLOTS * STEP_SLOT_BYTES + MAX_STEPS_IN_FLIGHT * readbackBytes(spec, head);
  return sum(Object.values(buffers)) + ropeBytes(spec) + pageTableBytes(spec) + steps;
}

/** The largest buffer that a stage needs on any device: matrices, logits and partials are cut to fit, the rest is not. */
export function largestBufferBytes(spec: ModelSpec): number {
  const { buffers } = activationBytes(spec, true, 0);
  const { k, v } = pageBytes(spec);
  return Math.max(...Object.values(buffers), k, v, ropeBytes(spec), pageTableBytes(spec));
}
