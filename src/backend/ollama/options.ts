/** Sampling parameters of OpenAI's and vLLM's APIs, and Ollama's own, as Ollama's `options`. */
import { z } from 'zod';
import { isObject } from '../../config/json-object.ts';
import { MAX_OLLAMA_CONTEXT } from '../../config/limits.ts';
import { exactSeed, seedBits } from '../openai/exact-seed.ts';
import { actOnParameters } from '../openai/parameters.ts';
import { sharedShape, stopStrings, UNLIMITED, withoutNulls } from '../openai/request-schema.ts';
import type { OnUnknown } from '../openai/unknown-parameters.ts';
import type { OllamaOptions } from './api.ts';
import { optionsTable } from './parameters.ts';

const integer = z.number().int();
const context = integer.min(1).max(MAX_OLLAMA_CONTEXT);

/** Those of api.Options in api/types.go that shape the answer. */
const options = z.object({
  num_ctx: context,
  num_keep: integer,
  num_predict: integer,
  seed: sharedShape.seed.unwrap(),
  temperature: z.number().min(0),
  top_k: integer,
  top_p: z.number().min(0).max(1),
  min_p: z.number().min(0).max(1),
  typical_p: z.number().min(0).max(1),
  repeat_last_n: integer.min(-1),
  repeat_penalty: z.number().min(0),
  presence_penalty: z.number(),
  frequency_penalty: z.number(),
  stop: stopStrings,
});

/** What both endpoints take. */
export const commonShape = {
  ...sharedShape,
  stop: stopStrings.optional(),
  /** Ollama's own: seconds, or a duration of Go such as `5m`. */
  keep_alive: z.union([z.number(), z.string().regex(/^-?(\d+(\.\d+)?(ns|us|µs|ms|s|m|h))+$/)]).optional(),
  num_ctx: context.optional(),
  options: options.partial().optional(),
};

const commonSchema = z.object(commonShape);
type CommonRequest = z.infer<typeof commonSchema>;

const OPTIONS = optionsTable(Object.keys(options.shape));

/**
 * The entries of `options` that Ollama acts on.
 *
 * @throws UNSUPPORTED_PARAMETER, and what `onUnknown` throws
 */
export function knownOptions(given: unknown, onUnknown: OnUnknown): unknown {
  return isObject(given) ? actOnParameters(withoutNulls(given), OPTIONS, onUnknown, 'options') : given;
}

/**
 * What the client leaves out is left to the model's Modelfile, then to Ollama's defaults (temperature 0.8, top_p 0.9):
 * Ollama's own /v1 sets both to 1 instead, and so drops what the Modelfile says.
 *
 * @param text what the request was parsed from
 * @param choice of `n`: its seed is the request's plus this, so that choices differ and each can be had again
 */
export function toOptions(
  request: CommonRequest,
  maxTokens: number | undefined,
  choice: number,
  text: string | undefined,
): OllamaOptions {
  const own = request.options ?? {};
  const seed = exactSeed(request.seed, text) ?? exactSeed(own.seed, text, 'options');
  const mapped = {
    num_ctx: request.num_ctx,
    num_predict: maxTokens === UNLIMITED ? -1 : maxTokens,
    temperature: request.temperature,
    top_p: request.top_p,
    top_k: request.top_k === undefined ? undefined : Math.max(0, request.top_k),
    min_p: request.min_p,
    repeat_penalty: request.repetition_penalty,
    presence_penalty: request.presence_penalty,
    frequency_penalty: request.frequency_penalty,
    stop: request.stop,
    // A negative seed means none to Ollama, and one beyond 2⁵³ loses digits there.
    seed: seed === undefined ? undefined : seedBits(BigInt(seed) + BigInt(choice), 31),
  };
  return { ...defined(own), ...defined(mapped) };
}

type Defined<T> = { [K in keyof T]?: Exclude<T[K], undefined> };

/** `object` without its undefined values. */
export function defined<T extends object>(object: T): Defined<T> {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined)) as Defined<T>;
}
