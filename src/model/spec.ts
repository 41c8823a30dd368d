import { z } from 'zod';
import { MAX_CONTEXT_POSITIONS, MAX_LAYERS, MAX_VOCAB, MAX_WIDTH } from '../config/limits.ts';

const width = z.number().int().min(1).max(MAX_WIDTH);

/** How rotary frequencies are stretched beyond the trained context (Hugging Face `rope_scaling`). */
export const ropeScalingSchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal('none') }),
  z.object({ type: z.literal('linear'), factor: z.number().positive() }),
  z.object({
    type: z.literal('llama3'),
    factor: z.number().positive(),
    lowFreqFactor: z.number().positive(),
    highFreqFactor: z.number().positive(),
    originalContext: z.number().int().positive(),
  }),
]);

/**
 * What a Llama-family model is, independent of whose config file described it.
 * Kernels, placement and loading read only this. All sizes are element counts.
 */
export const modelSpecSchema = z.object({
  layers: z.number().int().min(1).max(MAX_LAYERS),
  hidden: width,
  intermediate: width,
  heads: width,
  kvHeads: width,
  /** Even; not always hidden / heads. */
  headDim: width.refine((n) => n % 2 === 0, 'headDim must be even for rotary embedding'),
  vocab: z.number().int().min(2).max(MAX_VOCAB),
  /** Positions the model was made for, after MAX_CONTEXT_POSITIONS is applied. */
  contextLength: z.number().int().min(1).max(MAX_CONTEXT_POSITIONS),
  normEps: z.number().positive(),
  activation: z.enum(['silu']),
  rope: z.object({ theta: z.number().positive(), scaling: ropeScalingSchema }),
  /** Biases on q, k and v (Qwen2; Llama with attention_bias) and on o (Llama with attention_bias). */
  qkvBias: z.boolean(),
  oBias: z.boolean(),
  mlpBias: z.boolean(),
  /** RMSNorm over each head's q and k before RoPE (Qwen3). */
  qkNorm: z.boolean(),
  /** The LM head is the embedding matrix. */
  tiedEmbeddings: z.boolean(),
  bosTokenId: z.number().int().nonnegative().nullable(),
  /** One fewer than `open` carries: a chat adds the tokenizer's own. */
  eosTokenIds: z.array(z.number().int().nonnegative()).max(15),
});

export type RopeScaling = z.infer<typeof ropeScalingSchema>;
export type ModelSpec = z.infer<typeof modelSpecSchema>;
