/** What the parts of a model cost a worker: the input of placement. */
import { MAX_BATCH_ROWS, SCRATCH_BYTES_PER_STAGE } from '../config/limits.ts';
import type { FileDtype } from '../model/manifest.ts';
import type { Quantization } from '../model/shard.ts';
import type { ModelSpec } from '../model/spec.ts';
import { layerBytes, tensorGpuBytes } from '../model/tensors.ts';

/** One part of a model: a layer, the embedding, or the final norm with the LM head. */
export interface PartCost {
  /** GPU bytes that the part needs, with its KV cache. */
  readonly bytes: number;
  /** Multiply-accumulates of one token's pass through the part's matrices. */
  readonly macs: number;
}

export interface ModelCosts {
  readonly layers: readonly PartCost[];
  readonly embedding: PartCost;
  readonly head: PartCost;
  /** Bytes that a worker with both embedding and head saves: with tied embeddings they are one matrix. */
  readonly tiedBytes: number;
  /** Activations and staging that every stage needs, whatever it holds. */
  readonly scratchBytes: number;
  /** The largest single GPU buffer that cannot be made smaller. */
  readonly largestBufferBytes: number;
}

/** Multiply-accumulates a token needs in one layer's seven matrices (attention over the KV cache is not counted). */
export function layerMacs(spec: ModelSpec): number {
  const attention = spec.hidden * spec.headDim * (2 * spec.heads + 2 * spec.kvHeads);
  return attention + 3 * spec.hidden * spec.intermediate;
}

/** Multiply-accumulates of the LM head for one token. */
export function headMacs(spec: ModelSpec): number {
  return spec.hidden * spec.vocab;
}

/** KV cache and activations are f32 on the GPU. */
const KV_VALUE_BYTES = 4;
const ACTIVATION_BYTES = 4;

/** GPU bytes of one layer's keys and values for one sequence over the model's whole context. */
export function layerKvBytes(spec: ModelSpec): number {
  return 2 * spec.kvHeads * spec.headDim * KV_VALUE_BYTES * spec.contextLength;
}

/**
 * Costs of a Llama-family model, whose layers are alike. A worker is asked to have room for the weights and for one
 * sequence of full length; what its budget leaves beyond that becomes KV cache for more sequences.
 */
export function modelCosts(spec: ModelSpec, dtype: FileDtype, quantization: Quantization): ModelCosts {
  // The engine keeps embedding and LM head at 8 bits where the layers have 4.
  const endQuantization = quantization === 'q4' ? 'q8' : quantization;
  const matrix = tensorGpuBytes([spec.vocab, spec.hidden], dtype, endQuantization);
  const layer = {
    bytes: layerBytes(spec, dtype, quantization).gpu + layerKvBytes(spec),
    macs: layerMacs(spec),
  };
  return {
    layers: Array.from({ length: spec.layers }, () => layer),
    embedding: { bytes: matrix, macs: 0 },
    head: { bytes: matrix + spec.hidden * 4, macs: headMacs(spec) },
    tiedBytes: spec.tiedEmbeddings ? matrix : 0,
    scratchBytes: SCRATCH_BYTES_PER_STAGE,
    // Matrices are cut into row tiles of any size; the gate and up projections of a whole micro-batch are one buffer.
    largestBufferBytes: MAX_BATCH_ROWS * 2 * Math.max(spec.intermediate, spec.hidden) * ACTIVATION_BYTES,
  };
}
