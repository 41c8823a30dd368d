/**
 * Chat completions and completions as OpenAI's clients send them: https://platform.openai.com/docs/api-reference,
 * plus top_k, min_p, repetition_penalty and ignore_eos under the names that vLLM gave them.
 */
import { z } from 'zod';
import { ShoalError } from '../config/errors.ts';
import {
  MAX_CHAT_MESSAGES,
  MAX_CONTENT_PARTS,
  MAX_MODEL_NAME_CHARS,
  MAX_STOP_CHARS,
  MAX_STOP_STRINGS,
  MAX_VOCAB,
} from '../config/limits.ts';
import { actOnParameters, chatTable, completionTable, type ParameterTable } from './openai-parameters.ts';

const stopString = z.string().min(1).max(MAX_STOP_CHARS);

const generation = {
  model: z.string().min(1).max(MAX_MODEL_NAME_CHARS),
  stream: z.boolean().default(false),
  stream_options: z
    .strictObject({
      include_usage: z.boolean().default(false),
      // Padding against traffic analysis; OpenAI's clients may switch it off, and here it is never on.
      include_obfuscation: z.literal(false).optional(),
      /** vLLM: usage in every chunk; here it comes once, at the end. */
      continuous_usage_stats: z.literal(false).optional(),
    })
    .optional(),
  max_tokens: z.number().int().min(1).optional(),
  temperature: z.number().min(0).max(2).optional(),
  top_p: z.number().min(0).max(1).optional(),
  /** vLLM: −1 and 0 keep every token. */
  top_k: z.number().int().min(-1).max(MAX_VOCAB).optional(),
  min_p: z.number().min(0).max(1).optional(),
  repetition_penalty: z.number().positive().max(10).optional(),
  presence_penalty: z.number().min(-2).max(2).optional(),
  frequency_penalty: z.number().min(-2).max(2).optional(),
  seed: z.number().int().optional(),
  /** vLLM: end-of-sequence ids do not end the answer; max_tokens does. For benchmarks and comparisons. */
  ignore_eos: z.boolean().default(false),
  stop: z
    .union([stopString.transform((stop) => [stop]), z.array(stopString).max(MAX_STOP_STRINGS)])
    .default([]),
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
 * (`id`, `timestamp`, `reasoning_content`, `cache_control`). Those that would change the answer are refused: `NOT_TEXT`.
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

const chatShape = {
  ...generation,
  messages: z.array(message).min(1).max(MAX_CHAT_MESSAGES),
  max_completion_tokens: z.number().int().min(1).optional(),
};

const completionShape = {
  ...generation,
  /** One prompt, as text or as token ids; a list of one of either. */
  prompt: z.union([
    z.string(),
    z.array(z.number().int().nonnegative()).min(1),
    z.tuple([z.string()]).transform(([text]) => text),
    z.tuple([z.array(z.number().int().nonnegative()).min(1)]).transform(([ids]) => ids),
  ]),
};

const chatSchema = z.object(chatShape);
const completionSchema = z.object(completionShape);

export type ChatRequest = z.infer<typeof chatSchema>;
export type ChatMessage = ChatRequest['messages'][number];
export type CompletionRequest = z.infer<typeof completionSchema>;

const CHAT_PARAMETERS = chatTable(Object.keys(chatShape));
const COMPLETION_PARAMETERS = completionTable(Object.keys(completionShape));

/** @throws INVALID_REQUEST, UNSUPPORTED_PARAMETER; both name the parameter's path */
export function parseChatRequest(body: unknown): ChatRequest {
  const kept = parameters(body, CHAT_PARAMETERS);
  if (Array.isArray(kept.messages)) kept.messages = kept.messages.map(checkedMessage);
  return parse(chatSchema, kept);
}

/** @throws INVALID_REQUEST, UNSUPPORTED_PARAMETER; both name the parameter's path */
export function parseCompletionRequest(body: unknown): CompletionRequest {
  const kept = parameters(body, COMPLETION_PARAMETERS);
  if (Array.isArray(kept.prompt) && kept.prompt.length > 1 && typeof kept.prompt[0] !== 'number') {
    throw new ShoalError(
      'UNSUPPORTED_PARAMETER',
      `prompt has ${kept.prompt.length} prompts, one is answered per request; send one request each`,
      { param: 'prompt' },
    );
  }
  return parse(completionSchema, kept);
}

/**
 * The body's parameters by `table`, nulls taken out; the schema is applied by `parse`.
 *
 * @throws INVALID_REQUEST, UNSUPPORTED_PARAMETER
 */
export function parameters(body: unknown, table: ParameterTable): Record<string, unknown> {
  if (!isObject(body)) {
    throw new ShoalError('INVALID_REQUEST', 'the request body must be a JSON object');
  }
  const kept = actOnParameters(withoutNulls(body), table);
  if (isObject(kept.stream_options)) {
    if (kept.stream !== true) {
      throw new ShoalError('INVALID_REQUEST', 'stream_options needs stream: true', {
        param: 'stream_options',
      });
    }
    kept.stream_options = withoutNulls(kept.stream_options);
  }
  return kept;
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** OpenAI's clients send null for "not given". */
export function withoutNulls(object: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== null));
}

/** What says something beside the text, so that the answer would be another without it. Clients send most of it null or empty. */
const NOT_TEXT = ['tool_calls', 'function_call', 'audio', 'images', 'refusal'];

/** Refuses by name what the schema would only call an unknown key or a wrong literal. */
function checkedMessage(raw: unknown, index: number): unknown {
  if (!isObject(raw)) return raw;
  const given = withoutNulls(raw);
  const path = `messages.${index}`;
  for (const key of NOT_TEXT) {
    if (!(key in given)) continue;
    const value = given[key];
    if (value !== '' && !(Array.isArray(value) && value.length === 0))
      throw unsupported(`${path}.${key}`, 'messages carry text only');
  }
  if (given.role === 'function') {
    throw unsupported(`${path}.role`, 'the role "function" is not supported; use "tool"', true);
  }
  if (given.content === undefined && given.role === 'assistant') given.content = '';
  // OpenAI's newer word for system, which chat templates do not know.
  if (given.role === 'developer') given.role = 'system';
  if (Array.isArray(given.content)) {
    for (const [at, part] of given.content.entries()) checkPart(part, `${path}.content.${at}`);
  }
  return given;
}

function checkPart(part: unknown, path: string): void {
  if (isObject(part) && typeof part.type === 'string' && part.type !== 'text') {
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

/** @throws INVALID_REQUEST with the path of the first thing that is wrong */
export function parse<T>(schema: z.ZodType<T>, value: unknown): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const { path, message } = deepestIssue(result.error.issues[0]!);
  const param = path.join('.');
  throw new ShoalError('INVALID_REQUEST', `${param}: ${message}`, { param });
}

/** A union's own message is "Invalid input": the branch that got furthest says what is wrong. */
function deepestIssue(issue: z.core.$ZodIssue): { path: PropertyKey[]; message: string } {
  if (issue.code !== 'invalid_union' || issue.errors.length === 0) {
    return { path: issue.path, message: issue.message };
  }
  const branches = issue.errors.flatMap((branch) =>
    branch[0] === undefined ? [] : [deepestIssue(branch[0])],
  );
  const furthest = branches.reduce((a, b) => (b.path.length > a.path.length ? b : a));
  if (furthest.path.length > 0) return { path: [...issue.path, ...furthest.path], message: furthest.message };
  // No branch fits even the type: all of them are named. A branch that fits the type but breaks a bound stands alone.
  const bound = branches.find(({ message }) => !message.startsWith('Invalid input'));
  const message = bound?.message ?? [...new Set(branches.map((branch) => branch.message))].join(', or ');
  return { path: issue.path, message };
}
