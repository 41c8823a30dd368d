/** A backend's OpenAI answer as Ollama's clients read it: one JSON object, or one a line (NDJSON). */
import { createParser } from 'eventsource-parser';
import { z } from 'zod';
import type { Clock } from '../../../backend/clock.ts';
import { readError } from '../../../backend/proxy/their-error.ts';
import { ShoalError } from '../../../config/errors.ts';
import { parseExactly } from '../../../config/exact-json.ts';
import { MAX_UPSTREAM_EVENT_BYTES } from '../../../config/limits.ts';

const token = z.object({ token: z.string(), logprob: z.number(), bytes: z.array(z.number()).nullish() });
const chatLogprobs = z.object({
  content: z.array(token.extend({ top_logprobs: z.array(token).nullish() })).nullish(),
});
const textLogprobs = z.object({
  tokens: z.array(z.string()),
  token_logprobs: z.array(z.number().nullable()),
  top_logprobs: z.array(z.record(z.string(), z.number()).nullable()).nullish(),
});

const toolCall = z.object({
  index: z.number().int().min(0).optional(),
  id: z.string().nullish(),
  function: z.object({ name: z.string().nullish(), arguments: z.string().nullish() }),
});
const said = z.object({
  content: z.string().nullish(),
  /** vLLM's and OpenRouter's name, and DeepSeek's. */
  reasoning: z.string().nullish(),
  reasoning_content: z.string().nullish(),
  tool_calls: z.array(toolCall).nullish(),
});
const choice = z.object({
  message: said.nullish(),
  delta: said.nullish(),
  text: z.string().nullish(),
  finish_reason: z.string().nullish(),
  logprobs: z.union([textLogprobs, chatLogprobs]).nullish(),
});
const ms = z.number().nonnegative().nullish();
const answerSchema = z.object({
  choices: z.array(choice).default([]),
  usage: z.object({ prompt_tokens: z.number(), completion_tokens: z.number() }).nullish(),
  error: z.unknown().optional(),
  /** This server's own, of the mesh and of an Ollama. */
  shoal: z
    .object({ time_to_first_token_ms: ms, load_ms: ms, prompt_ms: ms, eval_ms: ms })
    .nullish()
    .catch(null),
  /** llama.cpp's. */
  timings: z.object({ prompt_ms: ms, predicted_ms: ms }).nullish().catch(null),
});

type Choice = z.infer<typeof choice>;
type Usage = z.infer<typeof answerSchema>['usage'];

/** Milliseconds, as far as the backend tells them. */
interface Times {
  readonly loadMs?: number;
  readonly promptMs?: number;
  readonly evalMs?: number;
}

/** Which of Ollama's two endpoints asked. */
export type Endpoint = 'chat' | 'generate';

export class OllamaAnswer {
  readonly #endpoint: Endpoint;
  readonly #model: string;
  readonly #clock: Clock;
  readonly #startMs: number;
  /** When a stream's first token came. */
  #firstMs: number | null = null;
  #told: Times = {};
  #reason: string | null = null;
  #usage: Usage = null;
  /** By OpenAI's index; a stream brings their arguments in pieces, Ollama sends them whole. */
  readonly #calls = new Map<number, { id: string | undefined; name: string; arguments: string }>();

  constructor(endpoint: Endpoint, model: string, clock: Clock) {
    this.#endpoint = endpoint;
    this.#model = model;
    this.#clock = clock;
    this.#startMs = clock.now();
  }

  /** The whole answer as one object. @throws BACKEND_FAILED */
  whole(json: string): object {
    const { text, thinking, logprobs } = this.#take(json);
    // It came with all the others.
    this.#firstMs = null;
    return this.#line(text, thinking, logprobs, true);
  }

  /** Nothing was asked: the model is there, and stays. */
  idle(reason: 'load' | 'unload'): object {
    return { ...this.#head(), ...this.#said('', ''), done: true, done_reason: reason };
  }

  /** The lines of a stream. Ends with a line that is `done`, or with an error. */
  async *lines(body: AsyncIterable<Uint8Array>): AsyncGenerator<object> {
    let isDone = false;
    try {
      for await (const data of eventData(body)) {
        // Read to its end, so that the connection to the backend serves the next request.
        if (isDone) continue;
        if (data === '[DONE]') {
          const last = this.#line('', '', [], true);
          isDone = true;
          yield last;
          continue;
        }
        const { text, thinking, logprobs } = this.#take(data);
        if (text !== '' || thinking !== '' || logprobs.length > 0)
          yield this.#line(text, thinking, logprobs, false);
      }
      if (!isDone) throw new ShoalError('BACKEND_FAILED', 'the answer broke off; send the request again');
    } catch (thrown) {
      if (isDone) return;
      yield { error: ShoalError.from(thrown, 'BACKEND_FAILED').message };
    }
  }

  #take(json: string): { text: string; thinking: string; logprobs: readonly object[] } {
    const answer = readAnswer(json);
    const { choices, usage, error } = answer;
    const failure = readError({ error });
    if (failure !== null) throw new ShoalError('BACKEND_FAILED', failure.message);
    this.#usage = usage ?? this.#usage;
    this.#told = { ...this.#told, ...toldTimes(answer) };
    const first = choices[0];
    if (first === undefined) return { text: '', thinking: '', logprobs: [] };
    this.#firstMs ??= this.#clock.now();
    this.#reason = first.finish_reason || this.#reason;
    const message = first.message ?? first.delta;
    for (const [at, call] of (message?.tool_calls ?? []).entries()) {
      const known = this.#calls.get(call.index ?? at) ?? { id: undefined, name: '', arguments: '' };
      known.id ??= call.id ?? undefined;
      known.name += call.function.name ?? '';
      known.arguments += call.function.arguments ?? '';
      this.#calls.set(call.index ?? at, known);
    }
    return {
      text: message?.content ?? first.text ?? '',
      thinking: message?.reasoning ?? message?.reasoning_content ?? '',
      logprobs: ollamaLogprobs(first.logprobs),
    };
  }

  #head(): object {
    return { model: this.#model, created_at: new Date(this.#clock.epochMs()).toISOString() };
  }

  #said(text: string, thinking: string, calls: readonly object[] = []): object {
    const extras = { ...(thinking !== '' && { thinking }), ...(calls.length > 0 && { tool_calls: calls }) };
    return this.#endpoint === 'chat'
      ? { message: { role: 'assistant', content: text, ...extras } }
      : { response: text, ...extras };
  }

  #line(text: string, thinking: string, logprobs: readonly object[], done: boolean): object {
    return {
      ...this.#head(),
      ...this.#said(text, thinking, done ? this.#toolCalls() : []),
      ...(logprobs.length > 0 && { logprobs }),
      done,
      ...(done && { done_reason: this.#reason === 'length' ? 'length' : 'stop', ...this.#metrics() }),
    };
  }

  #toolCalls(): object[] {
    return [...this.#calls.values()].map((call, index) => {
      const { id, name } = call;
      return {
        ...(id !== undefined && { id }),
        function: { index, name, arguments: callArguments(name, call.arguments) },
      };
    });
  }

  /**
   * Nanoseconds. What the backend tells is taken; else prefill and waiting are one, the time to a stream's first token. Of
   * an answer that came whole and without times only the sum is known: it is the evaluation's, the prompt's within it.
   */
  #metrics(): object {
    const totalMs = this.#clock.now() - this.#startMs;
    const { loadMs = 0, promptMs = this.#firstMs === null ? null : this.#firstMs - this.#startMs - loadMs } =
      this.#told;
    // Measured by another clock, and rounded: the parts are never more than the whole.
    const load = Math.min(loadMs, totalMs);
    const prompt = Math.min(Math.max(promptMs ?? 0, 0), totalMs - load);
    const rest = totalMs - load - prompt;
    const ns = (ms: number) => Math.floor(ms * 1e6);
    return {
      total_duration: ns(totalMs),
      load_duration: ns(load),
      ...(this.#usage && { prompt_eval_count: this.#usage.prompt_tokens }),
      ...(promptMs !== null && { prompt_eval_duration: ns(prompt) }),
      ...(this.#usage && { eval_count: this.#usage.completion_tokens }),
      eval_duration: ns(Math.min(this.#told.evalMs ?? rest, rest)),
    };
  }
}

function toldTimes({ shoal, timings }: z.infer<typeof answerSchema>): Times {
  const times = {
    loadMs: shoal?.load_ms,
    promptMs: shoal?.prompt_ms ?? timings?.prompt_ms ?? shoal?.time_to_first_token_ms,
    evalMs: shoal?.eval_ms ?? timings?.predicted_ms,
  };
  return Object.fromEntries(Object.entries(times).filter(([, time]) => time != null));
}

/** @throws BACKEND_FAILED */
function readAnswer(json: string): z.infer<typeof answerSchema> {
  try {
    return answerSchema.parse(JSON.parse(json));
  } catch (cause) {
    throw new ShoalError('BACKEND_FAILED', 'the backend answered in no form that OpenAI’s clients know', {
      cause,
    });
  }
}

/** @throws BACKEND_FAILED: Ollama's clients get arguments parsed, so there is no way to pass on what is broken */
function callArguments(name: string, json: string): unknown {
  try {
    return parseExactly(json || '{}');
  } catch (cause) {
    throw new ShoalError(
      'BACKEND_FAILED',
      `the model called ${name.slice(0, 80)} with arguments that are not JSON; send the request again, or allow a longer answer`,
      { cause },
    );
  }
}

function ollamaLogprobs(given: Choice['logprobs']): object[] {
  if (!given) return [];
  if (!('tokens' in given)) return (given.content ?? []).map(withoutEmpty);
  return given.tokens.flatMap((text, at) => {
    const logprob = given.token_logprobs[at];
    if (logprob == null) return [];
    const top = Object.entries(given.top_logprobs?.[at] ?? {}).map(([other, value]) => ({
      token: other,
      logprob: value,
    }));
    return [{ token: text, logprob, ...(top.length > 0 && { top_logprobs: top }) }];
  });
}

function withoutEmpty({
  token,
  logprob,
  bytes,
  top_logprobs,
}: NonNullable<z.infer<typeof chatLogprobs>['content']>[number]) {
  return {
    token,
    logprob,
    ...(bytes && { bytes }),
    ...(top_logprobs?.length && { top_logprobs }),
  };
}

async function* eventData(body: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const waiting: string[] = [];
  const parser = createParser({
    onEvent: ({ data }) => waiting.push(data),
    maxBufferSize: MAX_UPSTREAM_EVENT_BYTES,
  });
  const decoder = new TextDecoder();
  for await (const bytes of body) {
    parser.feed(decoder.decode(bytes, { stream: true }));
    yield* waiting.splice(0);
  }
}
