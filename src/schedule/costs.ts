/** What the parts of a model cost a worker: the input of placement. */
import type { ModelSpec } from '../model/spec.ts';

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
  /** The largest single GPU buffer of the model, after tiling. */
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
