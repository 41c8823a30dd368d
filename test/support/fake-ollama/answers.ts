/** What a chat or a generate comes to, step by step, as server/routes.go sends it. */
import { hash, instanceOf, literal, Stops, type Token, words } from './text.ts';

export interface FakeModel {
  /** With its tag. */
  readonly name: string;
  readonly capabilities: readonly ('completion' | 'tools' | 'thinking' | 'vision' | 'insert')[];
  readonly contextLength: number;
}

type Json = Record<string, unknown>;

/** One step: the part of a message, or of a response. */
interface Step {
  readonly text?: string;
  readonly thinking?: string;
  readonly toolCalls?: readonly Json[];
  readonly token?: Token;
}

export interface Message {
  readonly role: string;
  readonly content?: string;
  readonly images?: readonly string[];
  readonly tool_name?: string;
}

interface Tool {
  readonly function: { readonly name: string; readonly parameters?: unknown };
}

/** Fields that both requests have, as decoded. */
export interface Common {
  readonly model: string;
  readonly format?: unknown;
  readonly options?: Readonly<Record<string, unknown>> | null;
  readonly think?: boolean | string | null;
  readonly truncate?: boolean | null;
  readonly logprobs?: boolean;
  readonly top_logprobs?: number;
}

export const TOO_LONG =
  'the prompt is longer than the context length currently available to the model; shorten the prompt, adjust the context length in settings, or use a model with a longer context length';

/** A token a word. */
const countTokens = (text: string) => text.split(/\s+/).filter((word) => word !== '').length;

/** What the model says, before limits and stops. */
export function* chatSteps(
  model: FakeModel,
  messages: readonly Message[],
  tools: readonly Tool[],
  request: Common,
): Generator<Step> {
  const last = messages.at(-1)!;
  const prompt = messages.map(({ role, content }) => `${role}: ${content ?? ''}`).join('\n');
  if (model.capabilities.includes('thinking') && request.think !== false)
    for (const token of literal(`I was asked about "${last.content ?? ''}".`))
      yield { thinking: token.text, token };
  const called = tools.filter(
    ({ function: { name } }) => last.role === 'user' && last.content?.includes(name),
  );
  if (called.length > 0) {
    for (const [
      index,
      {
        function: { name, parameters },
      },
    ] of called.entries())
      yield {
        toolCalls: [
          {
            id: `call_${(hash(name) % 2 ** 24).toString(36).padStart(8, '0')}`,
            function: { index, name, arguments: instanceOf(parameters) },
          },
        ],
      };
    return;
  }
  const images = last.images ?? [];
  const seen = model.capabilities.includes('vision') && images.length > 0;
  if (seen)
    yield* spoken(
      literal(`I see ${images.length} picture of ${Buffer.from(images[0]!, 'base64').length} bytes.`),
    );
  else if (last.role === 'tool') yield* spoken(literal(`${last.tool_name ?? 'a tool'} said ${last.content}`));
  else yield* spoken(said(prompt, request));
}

export const generateSteps = (prompt: string, suffix: string, request: Common): Generator<Step> =>
  spoken(said(suffix === '' ? prompt : `${prompt}<FILL>${suffix}`, request));

function said(prompt: string, { format, options }: Common): Iterable<Token> {
  if (format === 'json') return literal('{"answer": "sea"}');
  if (typeof format === 'object' && format !== null) return literal(JSON.stringify(instanceOf(format)));
  const temperature = typeof options?.temperature === 'number' ? options.temperature : 0.8;
  const seed = typeof options?.seed === 'number' && options.seed >= 0 ? options.seed : undefined;
  return words(prompt, temperature, seed);
}

function* spoken(tokens: Iterable<Token>): Generator<Step> {
  for (const token of tokens) yield { text: token.text, token };
}

/** Lines of the stream; the last has `done`. @param shape puts a step into the endpoint's own field */
export function* lines(
  steps: Iterable<Step>,
  promptText: string,
  request: Common,
  shape: (step: Step) => Json,
): Generator<Json> {
  const { model, options, logprobs: withLogprobs = false, top_logprobs: topCount = 0 } = request;
  const head = () => ({ model, created_at: '2026-11-22T20:00:00.123456789+01:00' });
  const limit =
    typeof options?.num_predict === 'number' && options.num_predict >= 0 ? options.num_predict : 10_000;
  const stops = new Stops((options?.stop as string[] | undefined) ?? []);
  let count = 0;
  let reason = 'stop';
  for (const step of steps) {
    if (step.token !== undefined && count >= limit) {
      reason = 'length';
      break;
    }
    if (step.token !== undefined) count++;
    const cut = step.text === undefined ? undefined : stops.push(step.text);
    const logprobs =
      withLogprobs && step.token !== undefined ? { logprobs: [logprobOf(step.token, topCount)] } : {};
    if (cut === undefined || cut.text !== '' || 'logprobs' in logprobs)
      yield { ...head(), ...shape({ ...step, ...(cut && { text: cut.text }) }), done: false, ...logprobs };
    if (cut?.stopped) break;
  }
  const rest = reason === 'length' ? stops.flush() : '';
  if (rest !== '') yield { ...head(), ...shape({ text: rest }), done: false };
  yield {
    ...head(),
    ...shape({ text: '' }),
    done: true,
    done_reason: reason,
    total_duration: 1_000_000 * (20 + 5 * count),
    load_duration: 4_000_000,
    prompt_eval_count: countTokens(promptText),
    prompt_eval_duration: 6_000_000,
    // Go's omitempty.
    ...(count > 0 && { eval_count: count, eval_duration: 5_000_000 * count }),
  };
}

function logprobOf({ text, logprob, top }: Token, topCount: number): Json {
  const named = (token: string, value: number) => ({
    token,
    logprob: value,
    bytes: [...new TextEncoder().encode(token)],
  });
  return {
    ...named(text, logprob),
    ...(topCount > 0 && {
      top_logprobs: top.slice(0, topCount).map((other) => named(other.text, other.logprob)),
    }),
  };
}

/** @throws Error TOO_LONG, unless the chat may be cut short */
export function checkLength(model: FakeModel, promptText: string, { options, truncate }: Common): void {
  const context = typeof options?.num_ctx === 'number' ? options.num_ctx : model.contextLength;
  if (truncate === false && countTokens(promptText) > context - 1) throw new Error(TOO_LONG);
}

/** `stream: false`: the parts put together. */
export function joined(parts: readonly Json[]): Json {
  const messages = parts
    .map(({ message }) => message as Json | undefined)
    .filter((message) => message !== undefined);
  const text = (values: readonly unknown[]) =>
    values.map((value) => (typeof value === 'string' ? value : '')).join('');
  const calls = messages.flatMap(({ tool_calls: toolCalls }) => (toolCalls as Json[] | undefined) ?? []);
  const logprobs = parts.flatMap((part) => (part.logprobs as Json[] | undefined) ?? []);
  const thinking =
    text(messages.map((message) => message.thinking)) || text(parts.map((part) => part.thinking));
  return {
    ...parts.at(-1),
    ...(messages.length > 0
      ? {
          message: {
            role: 'assistant',
            content: text(messages.map(({ content }) => content)),
            ...(thinking !== '' && { thinking }),
            ...(calls.length > 0 && { tool_calls: calls }),
          },
        }
      : { response: text(parts.map(({ response }) => response)) }),
    ...(logprobs.length > 0 && { logprobs }),
  };
}
