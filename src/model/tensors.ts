import { FILE_DTYPE_BYTES, type FileDtype } from './fetch/manifest.ts';
import type { Shard } from './shard.ts';
import type { ModelSpec } from './spec.ts';

/** What a tensor does. `head` is the LM head, whether its own matrix or the embedding tied to it. */
export type TensorRole =
  | 'embedding'
  | 'attention-norm'
  | 'q'
  | 'k'
  | 'v'
  | 'o'
  | 'q-bias'
  | 'k-bias'
  | 'v-bias'
  | 'o-bias'
  | 'q-norm'
  | 'k-norm'
  | 'mlp-norm'
  | 'gate'
  | 'up'
  | 'down'
  | 'gate-bias'
  | 'up-bias'
  | 'down-bias'
  | 'final-norm'
  | 'head';

export interface TensorSpec {
  /** Hugging Face name. */
  readonly name: string;
  /** (n) or (out, in), row-major. */
  readonly shape: readonly number[];
  /** Two where one matrix serves both ends: tied embeddings in a shard that embeds and holds the head. */
  readonly roles: readonly TensorRole[];
  /** null for the embedding, the final norm and the head. */
  readonly layer: number | null;
}

export const EMBEDDING_TENSOR = 'model.embed_tokens.weight';
export const FINAL_NORM_TENSOR = 'model.norm.weight';
export const HEAD_TENSOR = 'lm_head.weight';

/** The shard that is the whole model. */
export function wholeModel(spec: ModelSpec): Shard {
  return { start: 0, end: spec.layers, embedding: true, head: true };
}

/** The name of the matrix that the LM head reads. */
export function headTensor(spec: ModelSpec): string {
  return spec.tiedEmbeddings ? EMBEDDING_TENSOR : HEAD_TENSOR;
}

/** Every tensor that `shard` needs and no other, each once: embedding, layers in order, final norm, head. */
export function shardTensors(spec: ModelSpec, shard: Shard): TensorSpec[] {
  const tensors: TensorSpec[] = [];
  const sharesMatrix = shard.embedding && shard.head && spec.tiedEmbeddings;
  if (shard.embedding)
    tensors.push(embeddingTensor(spec, sharesMatrix ? ['embedding', 'head'] : ['embedding']));
  for (let layer = shard.start; layer < shard.end; layer++) tensors.push(...layerTensors(spec, layer));
  if (shard.head) {
    tensors.push({ name: FINAL_NORM_TENSOR, shape: [spec.hidden], roles: ['final-norm'], layer: null });
    if (!sharesMatrix) tensors.push({ ...embeddingTensor(spec, ['head']), name: headTensor(spec) });
  }
  return tensors;
}

function embeddingTensor(spec: ModelSpec, roles: readonly TensorRole[]): TensorSpec {
  return { name: EMBEDDING_TENSOR, shape: [spec.vocab, spec.hidden], roles, layer: null };
}

export function layerTensors(spec: ModelSpec, layer: number): TensorSpec[] {
  const { hidden, intermediate, headDim } = spec;
  const qWidth = spec.heads * headDim;
  const kvWidth = spec.kvHeads * headDim;
  const tensors: TensorSpec[] = [];
  const add = (role: TensorRole, name: string, ...shape: number[]) => {
    tensors.push({ name: `model.layers.${layer}.${name}`, shape, roles: [role], layer });
  };
  add('attention-norm', 'input_layernorm.weight', hidden);
  add('q', 'self_attn.q_proj.weight', qWidth, hidden);
  add('k', 'self_attn.k_proj.weight', kvWidth, hidden);
  add('v', 'self_attn.v_proj.weight', kvWidth, hidden);
  if (spec.qkvBias) {
    add('q-bias', 'self_attn.q_proj.bias', qWidth);
    add('k-bias', 'self_attn.k_proj.bias', kvWidth);
    add('v-bias', 'self_attn.v_proj.bias', kvWidth);
  }
  if (spec.qkNorm) {
    add('q-norm', 'self_attn.q_norm.weight', headDim);
    add('k-norm', 'self_attn.k_norm.weight', headDim);
  }
  add('o', 'self_attn.o_proj.weight', hidden, qWidth);
  if (spec.oBias) add('o-bias', 'self_attn.o_proj.bias', hidden);
  add('mlp-norm', 'post_attention_layernorm.weight', hidden);
  add('gate', 'mlp.gate_proj.weight', intermediate, hidden);
  add('up', 'mlp.up_proj.weight', intermediate, hidden);
  add('down', 'mlp.down_proj.weight', hidden, intermediate);
  if (spec.mlpBias) {
    add('gate-bias', 'mlp.gate_proj.bias', intermediate);
    add('up-bias', 'mlp.up_proj.bias', intermediate);
    add('down-bias', 'mlp.down_proj.bias', hidden);
  }
  return tensors;
}

/** Bytes of one tensor in its file. */
export function tensorFileBytes(shape: readonly number[], dtype: FileDtype): number {
  return shape.reduce((product, dimension) => product * dimension, 1) * FILE_DTYPE_BYTES[dtype];
}
