/** The native engine's answers as schemas: what the published description says, and what tests hold answers against. */
import { z } from 'zod';

const count = z.number().int().nonnegative();
const logprob = z.number().max(0);
const finishReason = z.enum(['stop', 'length']);

const usage = z.object({ prompt_tokens: count, completion_tokens: count, total_tokens: count });

/** Shoal's own: who served the answer, and how fast. */
const shoal = z.object({
  stages: z.array(z.object({ peer: z.string(), name: z.string(), layers: z.tuple([count, count]) })),
  restarts: count,
  losses: z.array(
    z.object({ worker: z.string().nullable(), how: z.enum(['left', 'failed', 'precision', 'stalled']) }),
  ),
  /** Restarts after which adapters of another class computed, so that the text may differ from an undisturbed one. */
  crossings: count,
  time_to_first_token_ms: z.number().nullable(),
  tokens_per_second: z.number().nullable(),
});

const namedToken = z.object({
  token: z.string(),
  logprob,
  bytes: z.array(z.number().int().min(0).max(255)).nullable(),
});
const chatLogprobs = z.object({
  content: z.array(namedToken.extend({ top_logprobs: z.array(namedToken) })),
  refusal: z.null(),
});
const completionLogprobs = z.object({
  tokens: z.array(z.string()),
  token_logprobs: z.array(logprob),
  top_logprobs: z.array(z.record(z.string(), logprob)),
  text_offset: z.array(count),
});

const head = { id: z.string(), created: count, model: z.string() };

export const chatCompletionSchema = z.object({
  ...head,
  object: z.literal('chat.completion'),
  choices: z.array(
    z.object({
      index: count,
      message: z.object({ role: z.literal('assistant'), content: z.string(), refusal: z.null() }),
      logprobs: chatLogprobs.nullable(),
      finish_reason: finishReason,
    }),
  ),
  usage,
  shoal,
});

export const chatChunkSchema = z.object({
  ...head,
  object: z.literal('chat.completion.chunk'),
  choices: z.array(
    z.object({
      index: count,
      delta: z.object({
        role: z.literal('assistant').optional(),
        content: z.string().optional(),
        refusal: z.null().optional(),
      }),
      logprobs: chatLogprobs.nullable(),
      finish_reason: finishReason.nullable(),
    }),
  ),
  usage: usage.nullable().optional(),
  shoal: shoal.optional(),
});

const textChoice = {
  text: z.string(),
  index: count,
  logprobs: completionLogprobs.nullable(),
};

export const completionAnswerSchema = z.object({
  ...head,
  object: z.literal('text_completion'),
  choices: z.array(z.object({ ...textChoice, finish_reason: finishReason })),
  usage,
  shoal,
});

export const completionChunkSchema = z.object({
  ...head,
  object: z.literal('text_completion'),
  choices: z.array(z.object({ ...textChoice, finish_reason: finishReason.nullable() })),
  usage: usage.nullable().optional(),
  shoal: shoal.optional(),
});

export const modelSchema = z.object({
  id: z.string(),
  object: z.literal('model'),
  created: count,
  owned_by: z.string(),
  /** vLLM's name for the context: positions of prompt and answer together. */
  max_model_len: count.optional(),
  /** llama.cpp's. */
  meta: z
    .object({ n_ctx_train: count, n_vocab: count, n_embd: count, n_params: count, size: count })
    .partial()
    .optional(),
});

export const modelListSchema = z.object({ object: z.literal('list'), data: z.array(modelSchema) });

export const errorBodySchema = z.object({
  error: z.object({
    message: z.string(),
    type: z.string(),
    param: z.string().nullable(),
    code: z.string().nullable(),
  }),
});
