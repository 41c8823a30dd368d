/** Sampling parameters of OpenAI's and vLLM's APIs, and Ollama's own, as Ollama's `options`. */
import { z } from 'zod';
import { ShoalError } from '../../config/errors.ts';
import { MAX_OLLAMA_CONTEXT, MAX_STOP_CHARS, MAX_STOP_STRINGS } from '../../config/limits.ts';
import { didYouMean } from '../../config/nearest.ts';
import { sharedShape, stopStrings } from '../openai/request-schema.ts';
import type { OllamaOptions } from './api.ts';

const integer = z.number().int();
const stopString = z.string().min(1).max(MAX_STOP_CHARS);
const context = integer.min(1).max(MAX_OLLAMA_CONTEXT);

/** Those of api.Options in api/types.go that shape the answer. */
const options = z.object({
  num_ctx: context,
  num_keep: integer,
  num_predict: integer,
  seed: integer,
  temperature: z.number().min(0),
  top_k: integer,
  top_p: z.number().min(0).max(1),
  min_p: z.number().min(0).max(1),
  typical_p: z.number().min(0).max(1),
  repeat_last_n: integer.min(-1),
  repeat_penalty: z.number().min(0),
  presence_penalty: z.number(),
  frequency_penalty: z.number(),
  stop: z.array(stopString).max(MAX_STOP_STRINGS),
});

/** How the operator's machine runs the model: each change loads the model anew, for every client. */
const OPERATORS = ['num_batch', 'num_gpu', 'main_gpu', 'use_mmap', 'num_thread', 'draft_num_predict'];

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

/**
 * Names in `options` that Ollama would only log and drop, or that are not a client's to set.
 *
 * @throws INVALID_REQUEST, UNSUPPORTED_PARAMETER
 */
export function checkOptionNames(given: unknown): void {
  if (typeof given !== 'object' || given === null) return;
  for (const name of Object.keys(given)) {
    const param = `options.${name.slice(0, 64)}`;
    if (OPERATORS.includes(name))
      throw new ShoalError(
        'UNSUPPORTED_PARAMETER',
        `${param} is not supported: it loads the model anew for everyone; set it in the model’s Modelfile on the Ollama server`,
        { param },
      );
    if (!Object.hasOwn(options.shape, name))
      throw new ShoalError(
        'INVALID_REQUEST',
        `unrecognized Ollama option: ${param}${didYouMean(name, Object.keys(options.shape)) || '; remove it'}`,
        { param },
      );
  }
}

/**
 * What the client leaves out is left to the model's Modelfile, then to Ollama's defaults (temperature 0.8, top_p 0.9):
 * Ollama's own /v1 sets both to 1 instead, and so drops what the Modelfile says.
 *
 * @param choice of `n`: its seed is the request's plus this, so that choices differ and each can be had again
 */
export function toOptions(
  request: CommonRequest,
  maxTokens: number | undefined,
  choice: number,
): OllamaOptions {
  const own = request.options ?? {};
  const seed = request.seed ?? own.seed;
  const mapped = {
    num_ctx: request.num_ctx,
    num_predict: maxTokens,
    temperature: request.temperature,
    top_p: request.top_p,
    top_k: request.top_k === undefined ? undefined : Math.max(0, request.top_k),
    min_p: request.min_p,
    repeat_penalty: request.repetition_penalty,
    presence_penalty: request.presence_penalty,
    frequency_penalty: request.frequency_penalty,
    stop: request.stop,
    seed: seed === undefined ? undefined : positiveSeed(seed + choice),
  };
  return { ...defined(own), ...defined(mapped) };
}

/** OpenAI's seeds are any integers; to Ollama a negative one means none. Equal seeds stay equal. */
function positiveSeed(seed: number): number {
  const modulus = 2 ** 31;
  return ((seed % modulus) + modulus) % modulus;
}

type Defined<T> = { [K in keyof T]?: Exclude<T[K], undefined> };

/** `object` without its undefined values. */
export function defined<T extends object>(object: T): Defined<T> {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined)) as Defined<T>;
}
