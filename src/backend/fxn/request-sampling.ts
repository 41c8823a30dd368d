import { ShoalError } from '../../config/errors.ts';
import { GREEDY, type SamplingParams } from '../../model/sampling.ts';
import { type Seed, seedBits } from '../openai/exact-seed.ts';
import type { ChatRequest, CompletionRequest } from '../openai/request-schema.ts';
import type { SamplingDefaults, ServedModel } from './served-model.ts';

/** OpenAI's defaults: temperature 1, everything else off. */
const OPENAI_DEFAULTS: SamplingDefaults = { temperature: 1 };

/** Of a request, with the seed's own digits. */
export type SeededRequest = Omit<ChatRequest | CompletionRequest, 'seed'> & {
  readonly seed?: Seed | undefined;
};

/**
 * The request's own values, else the model's (generation_config.json), else OpenAI's.
 *
 * @param randomSeed unsigned 32-bit, taken when the request has no seed
 * @throws INVALID_REQUEST for a bias on an id outside the vocabulary
 */
export function requestSampling(
  request: SeededRequest,
  { spec, defaults = {} }: Pick<ServedModel, 'spec' | 'defaults'>,
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
    logitBias: logitBias(request.logit_bias ?? {}, spec.vocab),
    seed: request.seed === undefined ? randomSeed() : seedBits(request.seed, 32),
  };
  // OpenAI allows top_p 0: the smallest set that holds no mass still holds the likeliest token.
  return given.topP === 0 ? { ...given, topP: 1, topK: 1 } : given;
}

/** @throws INVALID_REQUEST */
function logitBias(biases: Readonly<Record<string, number>>, vocab: number): [number, number][] {
  return Object.entries(biases).flatMap(([key, bias]) => {
    const id = Number(key);
    if (id >= vocab) {
      throw new ShoalError(
        'INVALID_REQUEST',
        `logit_bias names the token id ${key}, and the vocabulary ends at ${vocab - 1}; use ids of the model's own tokenizer`,
        { param: 'logit_bias' },
      );
    }
    return bias === 0 ? [] : [[id, bias]];
  });
}

/**
 * The seed of one of several choices: that of choice 0 is the request's own, so that it is what it would be alone. For every
 * other choice another permutation of the seeds (the finalizer of MurmurHash3), so that neighbouring seeds share no draws.
 */
export function choiceSeed(seed: number, choice: number): number {
  if (choice === 0) return seed;
  let mixed = (seed + Math.imul(choice, 0x9e37_79b9)) >>> 0;
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85eb_ca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2_ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}
