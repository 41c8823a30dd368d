/** OpenAI's requests as Ollama's: https://github.com/ollama/ollama/blob/main/openai/openai.go does the same in Go. */
import { z } from 'zod';
import { ShoalError } from '../../config/errors.ts';
import { isObject } from '../../config/json-object.ts';
import {
  DEFAULT_COMPLETION_TOKENS,
  MAX_CHAT_MESSAGES,
  MAX_CHOICES,
  MAX_COMPLETION_LOGPROBS,
  MAX_MODEL_NAME_CHARS,
  MAX_TOOLS,
  MAX_TOP_LOGPROBS,
} from '../../config/limits.ts';
import { parse } from '../openai/named-fault.ts';
import { parameters } from '../openai/request-schema.ts';
import { type OnUnknown, reportUnknown } from '../openai/unknown-parameters.ts';
import type { ChatBody, GenerateBody, OllamaTool, Think } from './api.ts';
import { checkedMessage, messageSchema, toMessages } from './messages.ts';
import { commonShape, defined, knownOptions, toOptions } from './options.ts';
import { chatTable, completionTable } from './parameters.ts';

const jsonObject = z.record(z.string(), z.unknown());

const tool = z.object({
  type: z.literal('function'),
  function: z.object({
    name: z.string().min(1).max(MAX_MODEL_NAME_CHARS),
    description: z.string().optional(),
    parameters: jsonObject.optional(),
  }),
});

const responseFormat = z.discriminatedUnion('type', [
  z.object({ type: z.literal('text') }),
  z.object({ type: z.literal('json_object') }),
  z.object({ type: z.literal('json_schema'), json_schema: z.object({ schema: jsonObject }) }),
]);

/** OpenAI's scale, and the tiers that clients add; Ollama's own /v1 maps them to the same. */
const EFFORTS = {
  none: false,
  minimal: 'low',
  low: 'low',
  medium: 'medium',
  high: 'high',
  xhigh: 'max',
  max: 'max',
} as const satisfies Record<string, Think>;
const effort = z.enum(Object.keys(EFFORTS) as (keyof typeof EFFORTS)[]);

const NESTED = {
  reasoning: z.object({ effort: effort.optional(), enabled: z.boolean().optional() }),
  chat_template_kwargs: z.object({
    enable_thinking: z.boolean().optional(),
    thinking: z.boolean().optional(),
  }),
};

const chatShape = {
  ...commonShape,
  messages: z.array(messageSchema).min(1).max(MAX_CHAT_MESSAGES),
  max_completion_tokens: commonShape.max_tokens,
  tools: z.array(tool).max(MAX_TOOLS).optional(),
  tool_choice: z.enum(['auto', 'none']).optional(),
  response_format: responseFormat.optional(),
  reasoning_effort: effort.optional(),
  /** OpenRouter's form of the same. */
  reasoning: NESTED.reasoning.optional(),
  /** vLLM's: variables of chat templates, of which Ollama has this one. */
  chat_template_kwargs: NESTED.chat_template_kwargs.optional(),
  /** Ollama's own. */
  think: z.union([z.boolean(), z.enum(['low', 'medium', 'high', 'max'])]).optional(),
  logprobs: z.boolean().default(false),
  top_logprobs: z.number().int().min(0).max(MAX_TOP_LOGPROBS).optional(),
};

const completionShape = {
  ...commonShape,
  /** One text or a list of them; every one gets `n` choices. */
  prompt: z.union([z.string().transform((text) => [text]), z.array(z.string()).min(1).max(MAX_CHOICES)]),
  suffix: z.string().optional(),
  logprobs: z.number().int().min(0).max(MAX_COMPLETION_LOGPROBS).optional(),
};

const chatSchema = z.object(chatShape);
const completionSchema = z.object(completionShape);

const CHAT_PARAMETERS = chatTable(Object.keys(chatShape));
const COMPLETION_PARAMETERS = completionTable(Object.keys(completionShape));

/** A request that was understood: what the client wants of this server, and what goes to Ollama for each choice. */
export interface Translated<Body> {
  /** As the client gave it. */
  readonly model: string;
  readonly stream: boolean;
  readonly includeUsage: boolean;
  /** Answers: `n` of each prompt. */
  readonly choices: number;
  /** Choices that share a prompt, which usage counts once. */
  readonly choicesPerPrompt: number;
  /** The likeliest tokens wanted beside each token; undefined: no log probabilities. */
  readonly topLogprobs: number | undefined;
  /** The parameter that Ollama's "does not support thinking" is about. */
  readonly thinkParameter: string;
  /** The path of the first picture, for a model that cannot see. */
  readonly firstImage: string | undefined;
  /** @param ollamaModel Ollama's name for the model */
  body(ollamaModel: string, choice: number): Body;
}

/**
 * @param onUnknown told of parameters that mean nothing here, however deep
 * @param text what `raw` was parsed from
 * @throws INVALID_REQUEST, UNSUPPORTED_PARAMETER, both with the parameter's path; what `onUnknown` throws
 */
export function translateChat(
  raw: unknown,
  onUnknown: OnUnknown = () => {},
  text?: string,
): Translated<ChatBody> {
  const kept = parameters(raw, CHAT_PARAMETERS, onUnknown);
  if (Array.isArray(kept.messages))
    kept.messages = kept.messages.map((message, at) => checkedMessage(message, at, onUnknown));
  kept.options = knownOptions(kept.options, onUnknown);
  for (const name of ['reasoning', 'chat_template_kwargs'] as const) {
    const given = kept[name];
    if (isObject(given)) reportUnknown(given, new Set(Object.keys(NESTED[name].shape)), name, onUnknown);
  }
  checkTools(kept);
  const request = parse(chatSchema, kept);
  if (!request.logprobs && (request.top_logprobs ?? 0) > 0)
    throw invalid('top_logprobs', 'top_logprobs needs logprobs: true');
  const messages = toMessages(request.messages);
  const seeing = messages.findIndex(({ images }) => images !== undefined);
  const { think, thinkParameter } = thinking(request);
  const tools = request.tool_choice === 'none' ? [] : (request.tools ?? []);
  const maxTokens = request.max_completion_tokens ?? request.max_tokens;
  const topLogprobs = request.logprobs ? (request.top_logprobs ?? 0) : undefined;
  const shared = defined({
    messages,
    tools: tools.length === 0 ? undefined : tools.map(toTool),
    format: format(request.response_format),
    think,
    keep_alive: request.keep_alive,
    ...logprobFields(topLogprobs),
  });
  return {
    ...wishes(request),
    topLogprobs,
    thinkParameter,
    firstImage: seeing === -1 ? undefined : `messages.${seeing}`,
    body: (model, choice) => ({
      model,
      messages,
      truncate: false,
      ...shared,
      options: toOptions(request, maxTokens, choice, text),
    }),
  };
}

/**
 * Raw text, no chat template, as every backend of this server completes it; Ollama's own /v1/completions makes a chat of
 * the prompt. With a suffix the model's template is used, because only it knows how to ask for the middle.
 *
 * @throws INVALID_REQUEST, UNSUPPORTED_PARAMETER; both name the parameter's path
 */
export function translateCompletion(
  raw: unknown,
  onUnknown: OnUnknown = () => {},
  text?: string,
): Translated<GenerateBody> {
  const kept = parameters(raw, COMPLETION_PARAMETERS, onUnknown);
  kept.options = knownOptions(kept.options, onUnknown);
  checkPrompt(kept.prompt);
  const request = parse(completionSchema, kept);
  const { prompt: prompts, n, suffix = '', logprobs: topLogprobs } = request;
  const choices = prompts.length * n;
  if (choices > MAX_CHOICES)
    throw invalid(
      'prompt',
      `${prompts.length} prompts with n = ${n} are ${choices} choices, a request has at most ${MAX_CHOICES}; send several requests`,
    );
  const maxTokens = request.max_tokens ?? request.options?.num_predict ?? DEFAULT_COMPLETION_TOKENS;
  return {
    ...wishes(request),
    choices,
    topLogprobs,
    thinkParameter: 'model',
    firstImage: undefined,
    body: (model, choice) => ({
      model,
      prompt: prompts[Math.floor(choice / n)]!,
      raw: suffix === '',
      // A thinking model's tags stay in the text: nothing but the text is answered here.
      think: false,
      truncate: false,
      ...(suffix !== '' && { suffix }),
      ...(request.keep_alive !== undefined && { keep_alive: request.keep_alive }),
      ...defined(logprobFields(topLogprobs)),
      options: toOptions(request, maxTokens, choice % n, text),
    }),
  };
}

function wishes(request: z.infer<typeof chatSchema> | z.infer<typeof completionSchema>) {
  const { include_usage = false, continuous_usage_stats = false } = request.stream_options ?? {};
  if (include_usage && continuous_usage_stats)
    throw unsupported(
      'stream_options.continuous_usage_stats',
      'stream_options.continuous_usage_stats is not supported: Ollama counts at the end; include_usage tells it there',
    );
  return {
    model: request.model,
    stream: request.stream,
    includeUsage: include_usage,
    choices: request.n,
    choicesPerPrompt: request.n,
  };
}

const logprobFields = (top: number | undefined) => ({
  logprobs: top === undefined ? undefined : true,
  top_logprobs: top === undefined || top === 0 ? undefined : top,
});

function thinking(request: z.infer<typeof chatSchema>): { think: Think | undefined; thinkParameter: string } {
  if (request.think !== undefined) return { think: request.think, thinkParameter: 'think' };
  const { effort: wantedEffort, enabled } = request.reasoning ?? {};
  if (wantedEffort !== undefined) return { think: EFFORTS[wantedEffort], thinkParameter: 'reasoning.effort' };
  if (enabled !== undefined) return { think: enabled, thinkParameter: 'reasoning.enabled' };
  const { enable_thinking: enable, thinking = enable } = request.chat_template_kwargs ?? {};
  if (thinking !== undefined) return { think: thinking, thinkParameter: 'chat_template_kwargs' };
  const { reasoning_effort: wanted } = request;
  return { think: wanted && EFFORTS[wanted], thinkParameter: 'reasoning_effort' };
}

function format(wanted: z.infer<typeof responseFormat> | undefined): ChatBody['format'] {
  switch (wanted?.type) {
    case 'json_object':
      return 'json';
    case 'json_schema':
      return wanted.json_schema.schema;
    default:
      return undefined;
  }
}

/** Ollama's templates expect the parameters of every function, if only none. */
const toTool = ({
  function: { name, description, parameters: schema },
}: z.infer<typeof tool>): OllamaTool => ({
  type: 'function',
  function: {
    name,
    ...(description !== undefined && { description }),
    parameters: schema ?? { type: 'object', properties: {} },
  },
});

function checkTools({ tools, tool_choice: choice }: Record<string, unknown>): void {
  if (choice !== undefined && choice !== 'auto' && choice !== 'none')
    throw unsupported(
      'tool_choice',
      'tool_choice is not supported but as "auto" or "none": Ollama’s models choose for themselves; say in the prompt what to call',
    );
  if (!Array.isArray(tools)) return;
  for (const [at, given] of tools.entries()) {
    const strict = isObject(given) && isObject(given.function) && given.function.strict;
    if (strict !== true) continue;
    const param = `tools.${at}.function.strict`;
    throw unsupported(
      param,
      `${param} = true is not supported: Ollama does not hold a call to its schema; leave strict out and check the arguments`,
    );
  }
}

/** Told here, because the schema would only say that it is no list of texts. */
function checkPrompt(prompt: unknown): void {
  const given = Array.isArray(prompt) ? prompt : [prompt];
  if (given.includes(''))
    throw unsupported(
      'prompt',
      'prompt = "" is not supported: Ollama generates nothing from it; send at least a character',
    );
  if (typeof given.flat()[0] === 'number')
    throw unsupported('prompt', 'prompt as token ids is not supported: Ollama takes text');
}

const unsupported = (param: string, message: string) =>
  new ShoalError('UNSUPPORTED_PARAMETER', message, { param });
const invalid = (param: string, message: string) => new ShoalError('INVALID_REQUEST', message, { param });
