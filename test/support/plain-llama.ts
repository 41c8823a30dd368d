import type { ModelSpec } from '../../src/model/spec.ts';

/** What the test models have in common: a Llama without biases, norms of q and k, or stretched RoPE. */
export const PLAIN_LLAMA = {
  normEps: 1e-5,
  activation: 'silu',
  rope: { theta: 10_000, scaling: { type: 'none' } },
  qkvBias: false,
  oBias: false,
  mlpBias: false,
  qkNorm: false,
  tiedEmbeddings: true,
} as const satisfies Partial<ModelSpec>;

/** For what only tells of a model. */
export const TINY_LLAMA: ModelSpec = {
  layers: 8,
  hidden: 8,
  intermediate: 8,
  heads: 2,
  kvHeads: 1,
  headDim: 4,
  vocab: 16,
  contextLength: 64,
  ...PLAIN_LLAMA,
  bosTokenId: 1,
  eosTokenIds: [2],
};
