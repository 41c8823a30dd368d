import { GREEDY, type SamplingParams } from '../model/sampling.ts';
import type { ChatRequest, CompletionRequest } from './openai-schema.ts';
import type { SamplingDefaults } from './served-model.ts';

/** OpenAI's defaults: temperature 1, everything else off. */
const OPENAI_DEFAULTS: SamplingDefaults = { temperature: 1 };

/**
 * The request's own values, else the model's (generation_config.json), else OpenAI's.
 *
 * @param randomSeed unsigned 32-bit, taken when the request has no seed
 */
export function requestSampling(
  request: ChatRequest | CompletionRequest,
  defaults: SamplingDefaults,
  randomSeed: () => number,
): SamplingParams {
  const base = { ...GREEDY, ...OPENAI_DEFAULTS, ...defaults };
  const given: SamplingParams = {
    temperature: request.temperature ?? base.temperature,
    topK: request.top_k === undefined ? base.topK : Math.max(0, request.top_k),
    topP: request.top_p ?? base.topP,
    minP: request.min_p ?? base.minP,
    repetitionPenalty: request.repetition_penalty ?? base.repetitionPenalty,
    presencePenalty: request.presence_penalty ?? base.presencePenalty,
    frequencyPenalty: request.frequency_penalty ?? base.frequencyPenalty,
    seed: request.seed === undefined ? randomSeed() : unsigned32(request.seed),
  };
  // OpenAI allows top_p 0: the smallest set that holds no mass still holds the likeliest token.
  return given.topP === 0 ? { ...given, topP: 1, topK: 1 } : given;
}

/** OpenAI's seeds are any integers; equal seeds stay equal. */
function unsigned32(seed: number): number {
  const modulus = 2 ** 32;
  return ((seed % modulus) + modulus) % modulus;
}
