import { z } from 'zod';
import { MAX_LOGIT_BIAS, MAX_TOP_LOGPROBS, MAX_VOCAB } from '../config/limits.ts';

const tokenId = z
  .number()
  .int()
  .min(0)
  .max(MAX_VOCAB - 1);

/**
 * How the last stage picks a token. Names and meanings are those of vLLM and Hugging Face `generate`.
 * `temperature` 0 is greedy. Draws are keyed by (seed, position), never by a running state, so that a
 * generation resumed on another worker continues with the same tokens.
 */
export const samplingSchema = z.object({
  temperature: z.number().min(0).max(2),
  /** 0 keeps every token. */
  topK: z.number().int().min(0),
  topP: z.number().gt(0).max(1),
  minP: z.number().min(0).max(1),
  /** > 1 discourages tokens of prompt and output (Hugging Face: divide positive, multiply negative logits). */
  repetitionPenalty: z.number().positive().max(10),
  /** OpenAI: subtracted from the logit once (presence) or per occurrence (frequency) in the output so far. */
  presencePenalty: z.number().min(-2).max(2),
  frequencyPenalty: z.number().min(-2).max(2),
  /** OpenAI: [id, bias], added to the logit before anything else, as in vLLM and Hugging Face. Each id once. */
  logitBias: z.array(z.tuple([tokenId, z.number().min(-100).max(100)])).max(MAX_LOGIT_BIAS),
  /** Unsigned 32-bit. */
  seed: z.number().int().min(0).max(0xffff_ffff),
});

export type SamplingParams = z.infer<typeof samplingSchema>;

export const GREEDY: SamplingParams = {
  temperature: 0,
  topK: 0,
  topP: 1,
  minP: 0,
  repetitionPenalty: 1,
  presencePenalty: 0,
  frequencyPenalty: 0,
  logitBias: [],
  seed: 0,
};

/** Whether a token's logits depend on the ids before it, so that the sampling stage has to know them. */
export function hasPenalties(params: SamplingParams): boolean {
  return params.repetitionPenalty !== 1 || params.presencePenalty !== 0 || params.frequencyPenalty !== 0;
}

/** How many of the likeliest tokens are told beside the picked one; 0: the picked one alone. */
export const topLogprobsSchema = z.number().int().min(0).max(MAX_TOP_LOGPROBS);

const logprob = z.number().max(0);

/**
 * Natural logarithms of probabilities, from the logits as the model gave them: before bias, penalties and temperature
 * (vLLM's `raw_logprobs`), so that they do not depend on how the token was picked.
 */
export const tokenLogprobsSchema = z.object({
  /** Of the picked token. */
  picked: logprob,
  /** [id, logprob], likeliest first, of equals the lower id first. */
  top: z.array(z.tuple([tokenId, logprob])).max(MAX_TOP_LOGPROBS),
});

export type TokenLogprobs = z.infer<typeof tokenLogprobsSchema>;
