/**
 * Chat completions and completions as OpenAI's clients send them: https://platform.openai.com/docs/api-reference,
 * plus top_k, min_p, repetition_penalty and ignore_eos under the names that vLLM gave them.
 */
import { z } from 'zod';
import { ShoalError } from '../../config/errors.ts';
import { isObject } from '../../config/json-object.ts';
import {
  MAX_CHAT_MESSAGES,
  MAX_CHOICES,
  MAX_COMPLETION_LOGPROBS,
  MAX_CONTENT_PARTS,
  MAX_LOGIT_BIAS,
  MAX_MODEL_NAME_CHARS,
  MAX_STOP_CHARS,
  MAX_STOP_STRINGS,
  MAX_TOP_LOGPROBS,
  MAX_VOCAB,
} from '../../config/limits.ts';
import { HARMLESS_IN_MESSAGE, HARMLESS_IN_PART } from './known-parameters.ts';
import { parse } from './named-fault.ts';
import {
  actOnParameters,
  chatTable,
  completionTable,
  type ParameterTable,
  publishedParameters,
} from './parameters.ts';
import { type OnUnknown, reportUnknown } from './unknown-parameters.ts';

const stopString = z.string().max(MAX_STOP_CHARS);

/** llama.cpp's and Ollama's words for "no limit": −1, and −2 for as much as the context holds. */
const maxTokens = z
  .number()
  .int()
  .min(-2)
  .refine((count) => count !== 0, 'Too small: expected number to be >=1, or -1 for no limit')
  .transform((count) => (count < 0 ? UNLIMITED : count));
/** What a request without a limit asks for: the rest of the context. */
export const UNLIMITED = Number.POSITIVE_INFINITY;

const logitBias = z
  .record(
    z.string().regex(/^(0|[1-9][0-9]{0,6})$/, 'a token id is needed, such as "1234"'),
    z.number().min(-100).max(100),
  )
  .refine(
    (bias) => Object.keys(bias).length <= MAX_LOGIT_BIAS,
    `at most ${MAX_LOGIT_BIAS} ids may have a bias`,
  )
  .meta({ maxProperties: MAX_LOGIT_BIAS });

const streamOptions = z.object({
  include_usage: z.boolean().default(false),
  // Padding against traffic analysis; OpenAI's clients may switch it off, and here it is never on.
  include_obfuscation: z.literal(false).optional(),
  /** vLLM: with include_usage every chunk tells what was used so far. */
  continuous_usage_stats: z.boolean().default(false),
});
const STREAM_OPTIONS = new Set(Object.keys(streamOptions.shape));

/** An integer of 64 bits, signed or not, as near as a double comes. */
const wholeNumber = z
  .number()
  .refine(Number.isInteger, 'Invalid input: expected int')
  .min(-(2 ** 63))
  .max(2 ** 64)
  .meta({ type: 'integer' });

/** What every engine behind this API reads in the same way. */
export const sharedShape = {
  model: z.string().min(1).max(MAX_MODEL_NAME_CHARS),
  stream: z.boolean().default(false),
  /** Of no meaning without `stream`, and then not looked at. */
  stream_options: streamOptions.optional(),
  max_tokens: maxTokens.optional(),
  temperature: z.number().min(0).max(2).optional(),
  top_p: z.number().min(0).max(1).optional(),
  /** vLLM: −1 and 0 keep every token. */
  top_k: z.number().int().min(-1).max(MAX_VOCAB).optional(),
  min_p: z.number().min(0).max(1).optional(),
  repetition_penalty: z.number().positive().max(10).optional(),
  presence_penalty: z.number().min(-2).max(2).optional(),
  frequency_penalty: z.number().min(-2).max(2).optional(),
  seed: wholeNumber.optional(),
  /** Answers to one prompt; the seed of choice i is derived from (seed, i). */
  n: z.number().int().min(1).max(MAX_CHOICES).default(1),
};

/** One stop string, or several; an empty one would stop at once, and means none. */
export const stopStrings = z
  .union([stopString.transform((stop) => [stop]), z.array(stopString).max(MAX_STOP_STRINGS)])
  .transform((stops) => stops.filter((stop) => stop !== ''));

const generation = {
  ...sharedShape,
  /** OpenAI: token id → what is added to its logit. */
  logit_bias: logitBias.optional(),
  /** vLLM: end-of-sequence ids do not end the answer; max_tokens does. For benchmarks and comparisons. */
  ignore_eos: z.boolean().default(false),
  stop: stopStrings.default([]),
};

/** Several text parts become one text, a line each, as vLLM joins them. */
const content = z.union([
  z.string(),
  z
    .array(z.object({ type: z.literal('text'), text: z.string() }))
    .min(1)
    .max(MAX_CONTENT_PARTS)
    .transform((parts) => parts.map(({ text }) => text).join('\n')),
]);

const name = z.string().max(MAX_MODEL_NAME_CHARS).optional();

/**
 * Keys of a message that are not named here are left out, as vLLM leaves them out: clients keep their own beside the text
 * (`id`, `timestamp`, `cache_control`). Those that would change the answer are refused: `NOT_TEXT`.
 */
const message = z.discriminatedUnion('role', [
  z.object({ role: z.literal('system'), content, name }),
  z.object({ role: z.literal('user'), content, name }),
  z.object({ role: z.literal('assistant'), content, name }),
  z.object({
    role: z.literal('tool'),
    content,
    tool_call_id: z.string().max(MAX_MODEL_NAME_CHARS),
    name,
  }),
]);

/** OpenAI's newer word for system, read as that. */
const developer = z.object({ role: z.literal('developer'), content, name });

const chatShape = {
  ...generation,
  /** vLLM: further names that the chat template reads, such as Qwen's `enable_thinking`. */
  chat_template_kwargs: z
    .record(z.string().max(MAX_MODEL_NAME_CHARS), z.union([z.string(), z.number(), z.boolean(), z.null()]))
    .optional(),
  messages: z.array(message).min(1).max(MAX_CHAT_MESSAGES),
  max_completion_tokens: maxTokens.optional(),
  logprobs: z.boolean().default(false),
  top_logprobs: z.number().int().min(0).max(MAX_TOP_LOGPROBS).optional(),
};

const tokenIds = z
  .array(
    z
      .number()
      .int()
      .min(0)
      .max(MAX_VOCAB - 1),
  )
  .min(1);

const completionShape = {
  ...generation,
  /** One prompt, as text or as token ids, or a list of either; every one gets `n` choices. */
  prompt: z.union([
    z.string().transform((text) => [text]),
    tokenIds.transform((ids) => [ids]),
    z.array(z.string()).min(1).max(MAX_CHOICES),
    z.array(tokenIds).min(1).max(MAX_CHOICES),
  ]),
  /** How many of the likeliest tokens are told beside the picked one. */
  logprobs: z.number().int().min(0).max(MAX_COMPLETION_LOGPROBS).optional(),
};

const chatSchema = z.object(chatShape);
const completionSchema = z.object(completionShape);

export type ChatRequest = z.infer<typeof chatSchema>;
export type ChatMessage = ChatRequest['messages'][number];
export type CompletionRequest = z.infer<typeof completionSchema>;

const CHAT_PARAMETERS = chatTable(Object.keys(chatShape));
const COMPLETION_PARAMETERS = completionTable(Object.keys(completionShape));

const emptyList = z.array(z.unknown()).max(0);
const published = {
  max_tokens: z.union([z.number().int().min(1), z.literal([-1, -2])]).optional(),
  logit_bias: z.union([logitBias, emptyList]).optional(),
  stream_options: z.union([streamOptions, emptyList]).optional(),
};

/**
 * The requests as they may be sent, refused parameters with the values that ask for nothing; null is the same as absent
 * everywhere. For the published description; requests are read by `parseChatRequest` and `parseCompletionRequest`.
 */
export const publishedRequests = {
  chat: z.object({
    ...chatShape,
    ...published,
    max_completion_tokens: published.max_tokens,
    chat_template_kwargs: z.union([chatShape.chat_template_kwargs, emptyList]),
    messages: z
      .array(z.discriminatedUnion('role', [...message.options, developer]))
      .min(1)
      .max(MAX_CHAT_MESSAGES),
    ...publishedParameters(CHAT_PARAMETERS),
  }),
  completion: z.object({ ...completionShape, ...published, ...publishedParameters(COMPLETION_PARAMETERS) }),
};

/**
 * @param onUnknown told of parameters that mean nothing here, however deep
 * @throws INVALID_REQUEST, UNSUPPORTED_PARAMETER, both with the parameter's path; what `onUnknown` throws
 */
export function parseChatRequest(body: unknown, onUnknown: OnUnknown = () => {}): ChatRequest {
  const kept = parameters(body, CHAT_PARAMETERS, onUnknown);
  if (Array.isArray(kept.messages))
    kept.messages = kept.messages.map((message, at) => checkedMessage(message, at, onUnknown));
  const request = parse(chatSchema, kept);
  if ((request.top_logprobs ?? 0) > 0 && !request.logprobs) {
    throw new ShoalError('INVALID_REQUEST', 'top_logprobs needs logprobs: true', { param: 'top_logprobs' });
  }
  return request;
}

/** As `parseChatRequest`. */
export function parseCompletionRequest(body: unknown, onUnknown: OnUnknown = () => {}): CompletionRequest {
  const kept = parameters(body, COMPLETION_PARAMETERS, onUnknown);
  // Told here, because a list that is too long is also no list of ids, and the schema names only one reason.
  if (Array.isArray(kept.prompt) && typeof kept.prompt[0] !== 'number') checkChoices(kept.prompt.length, 1);
  const request = parse(completionSchema, kept);
  checkChoices(request.prompt.length, request.n);
  return request;
}

function checkChoices(prompts: number, n: number): void {
  if (prompts * n <= MAX_CHOICES) return;
  throw new ShoalError(
    'INVALID_REQUEST',
    `${prompts} prompts with n = ${n} are ${prompts * n} choices, a request has at most ${MAX_CHOICES}; send several requests`,
    { param: 'prompt' },
  );
}

/** Maps that PHP's clients write as lists where they are empty. */
const MAPS = ['logit_bias', 'stream_options', 'options', 'chat_template_kwargs', 'reasoning'];

/**
 * The body's parameters by `table`, without nulls and empty maps; the schema is applied by `parse`.
 *
 * @throws INVALID_REQUEST, UNSUPPORTED_PARAMETER, and what `onUnknown` throws
 */
export function parameters(
  body: unknown,
  table: ParameterTable,
  onUnknown: OnUnknown,
): Record<string, unknown> {
  if (!isObject(body)) {
    throw new ShoalError('INVALID_REQUEST', 'the request body must be a JSON object');
  }
  const kept = actOnParameters(withoutNulls(body), table, onUnknown);
  for (const name of MAPS) if (isEmptyList(kept[name])) delete kept[name];
  if (isObject(kept.stream_options)) {
    reportUnknown(kept.stream_options, STREAM_OPTIONS, 'stream_options', onUnknown);
    if (kept.stream === true) kept.stream_options = withoutNulls(kept.stream_options);
    else delete kept.stream_options;
  }
  return kept;
}

const isEmptyList = (value: unknown) => Array.isArray(value) && value.length === 0;

/** OpenAI's clients send null for "not given". */
export function withoutNulls(object: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== null));
}

/** What says something beside the text, so that the answer would be another without it. Clients send most of it null or empty. */
const NOT_TEXT = ['tool_calls', 'function_call', 'audio', 'images', 'refusal'];

const MESSAGE_KEYS = new Set([...HARMLESS_IN_MESSAGE, ...NOT_TEXT, 'role', 'content', 'name']);
const TOOL_MESSAGE_KEYS = new Set([...MESSAGE_KEYS, 'tool_call_id']);
const PART_KEYS = new Set([...HARMLESS_IN_PART, 'type', 'text']);

/** Refuses by name what the schema would only call a wrong literal, and reports what it would drop. */
function checkedMessage(raw: unknown, index: number, onUnknown: OnUnknown): unknown {
  if (!isObject(raw)) return raw;
  const given = withoutNulls(raw);
  const path = `messages.${index}`;
  for (const key of NOT_TEXT) {
    if (key in given && !isEmpty(given[key])) throw unsupported(`${path}.${key}`, 'messages carry text only');
  }
  reportUnknown(given, given.role === 'tool' ? TOOL_MESSAGE_KEYS : MESSAGE_KEYS, path, onUnknown);
  if (given.role === 'function') {
    throw unsupported(`${path}.role`, 'the role "function" is not supported; use "tool"', true);
  }
  if (given.content === undefined && given.role === 'assistant') given.content = '';
  // Which chat templates do not know.
  if (given.role === 'developer') given.role = 'system';
  if (Array.isArray(given.content)) {
    for (const [at, part] of given.content.entries()) checkPart(part, `${path}.content.${at}`, onUnknown);
  }
  return given;
}

/** Nothing is in it: what clients send for "none". */
export function isEmpty(value: unknown): boolean {
  return value === '' || (typeof value === 'object' && value !== null && Object.keys(value).length === 0);
}

function checkPart(part: unknown, path: string, onUnknown: OnUnknown): void {
  if (!isObject(part)) return;
  if (part.type === 'text') reportUnknown(part, PART_KEYS, path, onUnknown);
  else if (typeof part.type === 'string') {
    const type = part.type.slice(0, 64);
    throw unsupported(
      path,
      `a content part of type "${type}" cannot be read; send parts of type "text"`,
      true,
    );
  }
}

function unsupported(path: string, reason: string, whole = false): ShoalError {
  return new ShoalError(
    'UNSUPPORTED_PARAMETER',
    whole ? `${path}: ${reason}` : `${path} is not supported: ${reason}`,
    {
      param: path,
    },
  );
}
