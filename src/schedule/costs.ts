/** What the parts of a model cost a worker: the input of placement. */

import type { FileDtype } from '../model/fetch/manifest.ts';
import { kvBytes, largestBufferBytes, scratchBytes } from '../model/gpu-bytes.ts';
import type { Quantization } from '../model/shard.ts';
import type { ModelSpec } from '../model/spec.ts';
import { shardWeightBytes, type WeightStorage } from '../model/weight-layout.ts';

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
  /** Activations and tables that every stage needs, whatever it holds; what the LM head needs beyond is in `head`. */
  readonly scratchBytes: number;
  /** The largest single GPU buffer that cannot be made smaller. */
  readonly largestBufferBytes: number;
  /** The same for workers that store f16 weights as f32; undefined where that makes no difference. */
  readonly expanded?: ModelCosts;
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

/**
 * Costs of a Llama-family model, whose layers are alike, by the arithmetic that the engine allocates with. A worker is asked
 * to have room for the weights and for one sequence of full length; what its budget leaves beyond that becomes KV cache
 * for more sequences.
 */
export function modelCosts(spec: ModelSpec, dtype: FileDtype, quantization: Quantization): ModelCosts {
  const expands = quantization === 'native' && dtype === 'F16';
  const costs = costsStored(spec, { dtype, quantization, expandF16: false });
  return expands
    ? { ...costs, expanded: costsStored(spec, { dtype, quantization, expandF16: true }) }
    : costs;
}

function costsStored(spec: ModelSpec, storage: WeightStorage): ModelCosts {
  const weights = (embedding: boolean, head: boolean) =>
    shardWeightBytes(spec, { start: 0, end: 1, embedding, head }, storage);
  const middle = weights(false, false);
  const [first, last, both] = [weights(true, false), weights(false, true), weights(true, true)];
  const layer = { bytes: middle + kvBytes(spec, 1, spec.contextLength), macs: layerMacs(spec) };
  const scratch = scratchBytes(spec, false);
  return {
    layers: Array.from({ length: spec.layers }, () => layer),
    embedding: { bytes: first - middle, macs: 0 },
    head: { bytes: last - middle + scratchBytes(spec, true) - scratch, macs: headMacs(spec) },
    tiedBytes: first + last - middle - both,
    scratchBytes: scratch,
    largestBufferBytes: largestBufferBytes(spec),
  };
}

/** What the parts cost one worker. */
export function costsOn(costs: ModelCosts, worker: { readonly storesF16AsF32?: boolean }): ModelCosts {
  return worker.storesF16AsF32 === true ? (costs.expanded ?? costs) : costs;
}
