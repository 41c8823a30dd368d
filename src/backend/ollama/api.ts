/**
 * Ollama's own API as far as this backend speaks it: https://github.com/ollama/ollama/blob/main/docs/api.md, with the
 * types of its api/types.go. Answers are read leniently (fields of later versions pass), requests are written exactly.
 */
import { z } from 'zod';
import { isObject } from '../../config/json-object.ts';
import { MAX_MODEL_NAME_CHARS } from '../../config/limits.ts';
import { readError } from '../proxy/their-error.ts';

export interface ChatBody extends CommonBody {
  readonly messages: readonly OllamaMessage[];
  readonly tools?: readonly OllamaTool[];
}

export interface GenerateBody extends CommonBody {
  readonly prompt: string;
  readonly suffix?: string;
  /** No template: the prompt goes to the model as it is. */
  readonly raw: boolean;
}

interface CommonBody {
  readonly model: string;
  readonly options: OllamaOptions;
  readonly format?: 'json' | Record<string, unknown>;
  readonly think?: Think;
  /** Seconds, or a duration of Go such as `5m`; negative: for ever. */
  readonly keep_alive?: number | string;
  /** False: a chat longer than the context is refused; else Ollama drops its oldest messages and says nothing. */
  readonly truncate?: boolean;
  readonly logprobs?: boolean;
  readonly top_logprobs?: number;
}

export type Think = boolean | 'low' | 'medium' | 'high' | 'max';
export type OllamaOptions = Readonly<Record<string, number | boolean | readonly string[]>>;

export interface OllamaMessage {
  readonly role: 'system' | 'user' | 'assistant' | 'tool';
  readonly content: string;
  readonly thinking?: string;
  /** Base64, without a `data:` prefix. */
  readonly images?: readonly string[];
  readonly tool_calls?: readonly {
    readonly id?: string;
    readonly function: { readonly name: string; readonly arguments: Readonly<Record<string, unknown>> };
  }[];
  readonly tool_name?: string;
  readonly tool_call_id?: string;
}

export interface OllamaTool {
  readonly type: 'function';
  readonly function: {
    readonly name: string;
    readonly description?: string;
    readonly parameters: Readonly<Record<string, unknown>>;
  };
}

const count = z.number().int().nonnegative();
const text = z
  .string()
  .nullish()
  .transform((value) => value ?? '');

const toolCall = z.object({
  /** Older versions have none. */
  id: z.string().optional(),
  function: z.object({ name: z.string(), arguments: z.record(z.string(), z.unknown()).nullish() }),
});
const tokenLogprob = z.object({
  token: z.string(),
  logprob: z.number(),
  bytes: z.array(z.number()).nullish(),
});
const logprob = tokenLogprob.extend({ top_logprobs: z.array(tokenLogprob).nullish() });

/** A line of a stream. Counts and durations (ns) stand on the last one, and are left out where they are zero. */
const progress = {
  done: z.boolean(),
  done_reason: z.string().nullish(),
  prompt_eval_count: count.optional(),
  eval_count: count.optional(),
  load_duration: count.optional(),
  prompt_eval_duration: count.optional(),
  eval_duration: count.optional(),
  logprobs: z.array(logprob).nullish(),
};

const toolCalls = z
  .array(toolCall)
  .nullish()
  .transform((calls) => calls ?? []);

export const chatLineSchema = z
  .object({
    ...progress,
    message: z.object({ content: text, thinking: text, tool_calls: toolCalls }).optional(),
  })
  .transform(({ message, logprobs, ...end }) => ({
    text: message?.content ?? '',
    thinking: message?.thinking ?? '',
    toolCalls: message?.tool_calls ?? [],
    logprobs: logprobs ?? [],
    end: end.done ? end : null,
  }));

export const generateLineSchema = z
  .object({ ...progress, response: text, thinking: text })
  .transform(({ response, thinking, logprobs, ...end }) => ({
    text: response,
    thinking,
    toolCalls: [],
    logprobs: logprobs ?? [],
    end: end.done ? end : null,
  }));

/** What one line adds to an answer; `end` on the last. */
export type Piece = z.infer<typeof chatLineSchema>;
export type PieceEnd = NonNullable<Piece['end']>;
export type OllamaLogprob = Piece['logprobs'][number];

/**
 * As a status' body, and as a line of a stream that fails after it began: `{"error": "text"}`. What stands before an Ollama may
 * write it in other forms, and an empty one is none.
 *
 * @returns null where there is none
 */
export function saidIn(value: unknown): string | null {
  if (!isObject(value) || !('error' in value)) return null;
  return readError({ error: value.error })?.message ?? null;
}

export const tagsSchema = z.object({
  models: z.array(
    z.object({
      name: z.string().max(MAX_MODEL_NAME_CHARS),
      /** RFC 3339, with an offset. */
      modified_at: z.string().optional(),
      digest: z.string().optional().catch(undefined),
      size: z.number().optional().catch(undefined),
      details: z
        .object({ family: z.string(), format: z.string(), quantization_level: z.string() })
        .partial()
        .optional()
        .catch(undefined),
    }),
  ),
});

export const versionSchema = z.object({ version: z.string().max(64) });

/** `capabilities` since Ollama 0.6.4. */
export const showSchema = z.object({
  capabilities: z.array(z.string()).optional(),
  /** By GGUF's keys. */
  model_info: z.record(z.string(), z.unknown()).nullish().catch(null),
  /** Of the Modelfile, one a line. */
  parameters: z.string().nullish().catch(null),
});
