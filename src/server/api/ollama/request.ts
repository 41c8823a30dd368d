/**
 * Requests of Ollama's API (https://github.com/ollama/ollama/blob/main/docs/api.md) as OpenAI requests, so that whatever
 * backend stands behind the server answers Ollama's clients too. The backend refuses by name what it cannot do.
 */
import { z } from 'zod';
import { HARMLESS_IN_MESSAGE } from '../../../backend/openai/known-parameters.ts';
import { shownPath } from '../../../backend/openai/named-fault.ts';
import { actOnParameters, chatTable } from '../../../backend/openai/parameters.ts';
import { withoutNulls } from '../../../backend/openai/request-schema.ts';
import { type OnUnknown, reportUnknown } from '../../../backend/openai/unknown-parameters.ts';
import type { Provider } from '../../../config/backend-config.ts';
import { ShoalError } from '../../../config/errors.ts';
import { exactJson } from '../../../config/exact-json.ts';
import { isObject } from '../../../config/json-object.ts';
import {
  MAX_CHAT_MESSAGES,
  MAX_CONTEXT_POSITIONS,
  MAX_MODEL_NAME_CHARS,
  MAX_OLLAMA_CONTEXT,
  MAX_STOP_STRINGS,
} from '../../../config/limits.ts';

/** What to ask the backend; `nothing`: the client only wants the model loaded, which it is. */
export type AskedOf =
  | {
      readonly endpoint: 'chat' | 'completions';
      readonly model: string;
      readonly stream: boolean;
      readonly body: object;
    }
  | { readonly endpoint: 'nothing'; readonly model: string; readonly unload: boolean };

/** The context is the served model's, except where an Ollama answers, which allocates as it is asked. */
const CONTEXT_OPTIONS = new Set(['num_ctx', 'num_keep']);

/** Samplers of Ollama alone. */
const OLLAMA_OPTIONS = new Set(['repeat_last_n', 'typical_p']);

/** Ollama's name → OpenAI's, or vLLM's where OpenAI has none. */
const SAMPLING_OPTIONS: Readonly<Record<string, string>> = {
  num_predict: 'max_tokens',
  temperature: 'temperature',
  top_k: 'top_k',
  top_p: 'top_p',
  min_p: 'min_p',
  seed: 'seed',
  stop: 'stop',
  presence_penalty: 'presence_penalty',
  frequency_penalty: 'frequency_penalty',
  repeat_penalty: 'repetition_penalty',
};

/** What else Ollama's clients send: known names are judged as everywhere, before the backend is asked. */
const OPTIONS = chatTable([...Object.keys(SAMPLING_OPTIONS), ...CONTEXT_OPTIONS, ...OLLAMA_OPTIONS]);

const image = z.string().min(1);
/** Whose entries nobody looks at here: zod would, at each, and a list of token ids may have a million. */
const unread = {
  object: z.custom<Record<string, unknown>>(isObject, 'Invalid input: expected object'),
  list: z.custom<readonly unknown[]>(Array.isArray, 'Invalid input: expected array'),
};

const common = {
  model: z.string().min(1).max(MAX_MODEL_NAME_CHARS),
  stream: z.boolean().nullish(),
  // PHP writes an empty map as a list.
  options: z
    .union([
      unread.object,
      z
        .array(z.never())
        .max(0)
        .transform(() => ({})),
    ])
    .nullish(),
  format: z
    .union([
      z.enum(['', 'json']),
      unread.object,
      z
        .array(z.never())
        .max(0)
        .transform(() => '' as const),
    ])
    .nullish(),
  think: z.union([z.boolean(), z.enum(['low', 'medium', 'high', 'max'])]).nullish(),
  keep_alive: z.union([z.string(), z.number()]).nullish(),
  logprobs: z.boolean().nullish(),
  top_logprobs: z.number().int().min(0).nullish(),
  // What Ollama does where a prompt is longer than the context: here it is always refused, never cut.
  truncate: z.boolean().nullish(),
  shift: z.boolean().nullish(),
};

const messageSchema = z.object({
  role: z.enum(['system', 'user', 'assistant', 'tool']),
  // Go reads null as the empty string, so clients send it beside tool calls.
  content: z
    .string()
    .nullish()
    .transform((content) => content ?? ''),
  images: z.array(image).nullish(),
  tool_calls: z
    .array(
      z.object({
        id: z.string().nullish(),
        function: z.object({ name: z.string(), arguments: unread.object.nullish() }),
      }),
    )
    .nullish(),
  tool_name: z.string().nullish(),
  tool_call_id: z.string().nullish(),
});

const chatSchema = z.object({
  ...common,
  messages: z
    .array(messageSchema)
    .max(MAX_CHAT_MESSAGES)
    .nullish()
    .transform((messages) => messages ?? []),
  tools: z.array(unread.object).nullish(),
});

const CHAT_KEYS = new Set(Object.keys(chatSchema.shape));
const MESSAGE_KEYS = new Set([...Object.keys(messageSchema.shape), ...HARMLESS_IN_MESSAGE]);

const generateSchema = z.object({
  ...common,
  prompt: z
    .string()
    .nullish()
    .transform((prompt) => prompt ?? ''),
  suffix: z.string().nullish(),
  system: z.string().nullish(),
  template: z.string().nullish(),
  context: unread.list.nullish(),
  raw: z.boolean().nullish(),
  images: z.array(image).nullish(),
});

const GENERATE_KEYS = new Set(Object.keys(generateSchema.shape));

/**
 * POST /api/chat.
 *
 * @param provider what will answer; it decides how a wish is written that has no name in OpenAI's API
 * @param onUnknown told of parameters that mean nothing here, however deep
 * @throws INVALID_REQUEST, UNSUPPORTED_PARAMETER, both with the parameter as Ollama names it; what `onUnknown` throws
 */
export function fromOllamaChat(body: unknown, provider: Provider, onUnknown: OnUnknown = () => {}): AskedOf {
  const request = parse(chatSchema, body);
  reportUnknown(body as object, CHAT_KEYS, '', onUnknown);
  for (const [at, message] of ((body as { messages?: object[] }).messages ?? []).entries())
    reportUnknown(message, MESSAGE_KEYS, `messages.${at}`, onUnknown);
  if (request.messages.length === 0) return nothing(request);
  return asked('chat', provider, request, onUnknown, {
    messages: openAiMessages(request.messages),
    ...(request.tools?.length && { tools: request.tools }),
  });
}

/** POST /api/generate: with `raw` a completion, else one turn of a chat. @throws INVALID_REQUEST, UNSUPPORTED_PARAMETER */
export function fromOllamaGenerate(
  body: unknown,
  provider: Provider,
  onUnknown: OnUnknown = () => {},
): AskedOf {
  const request = parse(generateSchema, body);
  reportUnknown(body as object, GENERATE_KEYS, '', onUnknown);
  for (const name of ['template', 'context'] as const) {
    if (request[name]?.length)
      throw unsupported(name, 'the served model’s own template is used; send a chat');
  }
  if (request.raw || request.suffix) {
    if (request.images?.length) throw unsupported('images', 'raw text carries none; send a chat');
    if (request.system) throw unsupported('system', 'with raw or suffix the prompt is all the model sees');
    if (request.think) throw unsupported('think', 'raw text is answered as it comes; send a chat');
    return asked('completions', provider, request, onUnknown, {
      prompt: request.prompt,
      // Ollama generates until the model ends; OpenAI's completions, without a number, for 16 tokens.
      max_tokens: UNBOUNDED[provider],
      ...(request.suffix && { suffix: request.suffix }),
    });
  }
  if (request.prompt === '') return nothing(request);
  const turn = { role: 'user' as const, content: request.prompt, images: request.images };
  const system = request.system ? [{ role: 'system' as const, content: request.system }] : [];
  return asked('chat', provider, request, onUnknown, { messages: openAiMessages([...system, turn]) });
}

/** "As long as the context is": what is more is cut to it here and by Ollama; to vLLM and llama.cpp null says so. */
const UNBOUNDED: Record<Provider, number | null> = {
  fxn: MAX_CONTEXT_POSITIONS,
  ollama: MAX_OLLAMA_CONTEXT,
  vllm: null,
  custom: null,
};

type Common = z.infer<z.ZodObject<typeof common>>;

/** `keep_alive: 0` without text is how Ollama's clients unload a model; here it stays. */
const nothing = ({ model, keep_alive: keep }: Common): AskedOf => ({
  endpoint: 'nothing',
  model,
  unload: keep != null && Number.parseFloat(String(keep)) === 0,
});

function asked(
  endpoint: 'chat' | 'completions',
  provider: Provider,
  request: Common,
  onUnknown: OnUnknown,
  content: object,
): AskedOf {
  // Ollama streams unless told otherwise.
  const stream = request.stream ?? true;
  const body = {
    model: request.model,
    ...content,
    stream,
    ...(stream && { stream_options: { include_usage: true } }),
    ...sampling(request.options ?? {}, provider, onUnknown),
    ...(provider === 'ollama' && request.keep_alive != null && { keep_alive: request.keep_alive }),
    ...(request.format && { response_format: responseFormat(request.format) }),
    ...(endpoint === 'chat' && thinking(request.think, provider)),
    ...(request.logprobs && logprobs(endpoint, request.top_logprobs ?? 0)),
  };
  return { endpoint, model: request.model, stream, body };
}

/** A model that thinks by itself stops only when told to. */
function thinking(think: Common['think'], provider: Provider): object {
  if (think === undefined || think === null) return {};
  // The mesh refuses it under Ollama's own name.
  if (think !== false && provider === 'fxn') return { think };
  if (think !== false) return { reasoning_effort: think === true ? 'medium' : think };
  // vLLM took no "none" for long; the templates of models that can be told to read one of these, others neither.
  return provider === 'vllm' || provider === 'fxn'
    ? { chat_template_kwargs: { enable_thinking: false, thinking: false } }
    : { reasoning_effort: 'none' };
}

function logprobs(endpoint: 'chat' | 'completions', top: number): object {
  return endpoint === 'chat' ? { logprobs: true, ...(top > 0 && { top_logprobs: top }) } : { logprobs: top };
}

function responseFormat(format: 'json' | Record<string, unknown>): object {
  return format === 'json'
    ? { type: 'json_object' }
    : { type: 'json_schema', json_schema: { name: 'response', strict: true, schema: format } };
}

/** @throws UNSUPPORTED_PARAMETER, and what `onUnknown` throws */
function sampling(given: object, provider: Provider, onUnknown: OnUnknown): Record<string, unknown> {
  const options = actOnParameters(withoutNulls({ ...given }), OPTIONS, onUnknown, 'options');
  const taken: Record<string, unknown> = {};
  const ollamas: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(options)) {
    if (CONTEXT_OPTIONS.has(name) || OLLAMA_OPTIONS.has(name)) {
      if (provider === 'ollama') ollamas[name] = value;
      else if (OLLAMA_OPTIONS.has(name)) refuseSampler(name, value, options);
      continue;
    }
    if (name === 'num_predict') {
      if (typeof value !== 'number') throw invalid('options.num_predict', 'must be a number');
      // −1: until the model ends; −2: until the context is full, which is where every answer ends at the latest.
      if (value > 0) taken.max_tokens = value;
      continue;
    }
    if (name === 'stop' && Array.isArray(value) && value.length > MAX_STOP_STRINGS) {
      throw invalid('options.stop', `has ${value.length} strings, and at most ${MAX_STOP_STRINGS} are taken`);
    }
    taken[SAMPLING_OPTIONS[name]!] = value;
  }
  return Object.keys(ollamas).length === 0 ? taken : { ...taken, options: ollamas };
}

/** @throws UNSUPPORTED_PARAMETER where it asks for what only an Ollama does */
function refuseSampler(name: string, value: unknown, options: Record<string, unknown>): void {
  // How far back penalties look does not matter where there are none.
  const isOff = name === 'typical_p' ? value === 1 : value === -1 || (options.repeat_penalty ?? 1) === 1;
  if (!isOff) throw unsupported(`options.${name}`, 'the sampler has nothing like it');
}

function openAiMessages(messages: readonly z.infer<typeof messageSchema>[]): object[] {
  // OpenAI ties a tool's answer to its call by an id, Ollama by name and order: ids are made up for calls that have none.
  const open: { readonly id: string; readonly name: string }[] = [];
  const answered = (name: string | null | undefined) => {
    const named = open.findIndex((call) => call.name === name);
    return open.splice(Math.max(0, named), 1)[0]?.id;
  };
  return messages.map((message, at) => {
    const { role, content, images, tool_calls, tool_call_id, tool_name } = message;
    if (role === 'tool')
      return { role, content, tool_call_id: tool_call_id ?? answered(tool_name) ?? `call_${at}` };
    const calls = tool_calls?.map((call, index) => {
      const id = call.id ?? `call_${at}_${index}`;
      open.push({ id, name: call.function.name });
      return {
        id,
        type: 'function',
        function: { name: call.function.name, arguments: exactJson(call.function.arguments ?? {}) },
      };
    });
    return {
      role,
      content: images?.length ? [{ type: 'text', text: content }, ...images.map(imagePart)] : content,
      ...(calls?.length && { tool_calls: calls }),
    };
  });
}

/** The first characters of a file's base64 name its kind, as its first bytes do. */
const IMAGE_KINDS = [
  ['/9j/', 'image/jpeg'],
  ['iVBORw0KGgo', 'image/png'],
  ['R0lGOD', 'image/gif'],
  ['UklGR', 'image/webp'],
] as const;

function imagePart(base64: string): object {
  const kind = IMAGE_KINDS.find(([start]) => base64.startsWith(start))?.[1] ?? 'image/png';
  return { type: 'image_url', image_url: { url: `data:${kind};base64,${base64}` } };
}

function parse<T>(type: z.ZodType<T>, body: unknown): T {
  const result = type.safeParse(body);
  if (result.success) return result.data;
  const { path, message } = result.error.issues[0]!;
  throw invalid(shownPath(path) || 'the request body', message);
}

function invalid(param: string, reason: string): ShoalError {
  return new ShoalError('INVALID_REQUEST', `${param}: ${reason}`, { param });
}

function unsupported(param: string, reason: string): ShoalError {
  return new ShoalError('UNSUPPORTED_PARAMETER', `${param} is not supported: ${reason}`, { param });
}
