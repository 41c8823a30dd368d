/**
 * vLLM's OpenAI server as version 0.32 answers, over a toy model: it validates as strictly and has the same shapes (numeric
 * error codes, `{"detail":…}` for unknown paths, `stop_reason`, usage in a chunk of its own). For the client suite in
 * `npm test`, which needs no Python; tools/backends runs the same suite against the real one.
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { countTokens, TOY_END, type ToyAnswer, type ToyToken, toyAnswer } from './toy-model.ts';

const MODEL = 'toy';
const CONTEXT = 256;
const TOKEN_MS = 2;

const generation = {
  model: z.string(),
  stream: z.boolean().nullish(),
  stream_options: z.object({ include_usage: z.boolean().optional() }).nullish(),
  n: z.number().int().min(1).default(1),
  seed: z.number().int().nullish(),
  temperature: z.number().min(0).max(2).nullish(),
  top_p: z.number().gt(0).max(1).nullish(),
  top_k: z.number().int().min(-1).nullish(),
  min_p: z.number().min(0).max(1).nullish(),
  stop: z.union([z.string(), z.array(z.string())]).nullish(),
  max_tokens: z.number().int().min(1).nullish(),
  logit_bias: z.record(z.string(), z.number()).nullish(),
  ignore_eos: z.boolean().nullish(),
};
const chatSchema = z.object({
  ...generation,
  messages: z.array(z.object({ role: z.string(), content: z.string() })).min(1),
  max_completion_tokens: z.number().int().min(1).nullish(),
  logprobs: z.boolean().nullish(),
  top_logprobs: z.number().int().min(0).max(20).nullish(),
});
const completionSchema = z.object({
  ...generation,
  prompt: z.string(),
  logprobs: z.number().int().min(0).max(20).nullish(),
});
type Given = z.infer<typeof chatSchema> | z.infer<typeof completionSchema>;

export interface ToyVllm {
  readonly url: string;
  readonly model: string;
  /** Answers that are being generated. */
  readonly running: number;
  close(): Promise<void>;
}

export async function startToyVllm(): Promise<ToyVllm> {
  let running = 0;
  const server = createServer((request, response) => {
    handle(request, response).catch(() => response.destroy());
  });

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = request.url?.split('?')[0];
    if (path === '/health') return void response.writeHead(200).end();
    if (path === '/v1/models') {
      const model = { id: MODEL, object: 'model', created: 1, owned_by: 'vllm', root: MODEL };
      return json(response, 200, { object: 'list', data: [{ ...model, max_model_len: CONTEXT }] });
    }
    const isChat = path === '/v1/chat/completions';
    if (!isChat && path !== '/v1/completions') return json(response, 404, { detail: 'Not Found' });
    let text = '';
    for await (const bytes of request) text += bytes;
    const parsed = (isChat ? chatSchema : completionSchema).safeParse(JSON.parse(text));
    if (!parsed.success) {
      const { path: at, message } = parsed.error.issues[0]!;
      return refuse(response, 400, `${at.join('.')}: ${message}`, 'BadRequestError', at.join('.'));
    }
    running++;
    try {
      await answer(isChat, parsed.data, response);
    } finally {
      running--;
    }
  }

  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    model: MODEL,
    get running() {
      return running;
    },
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function answer(isChat: boolean, given: Given, response: ServerResponse): Promise<void> {
  if (given.model !== MODEL)
    return refuse(response, 404, `The model \`${given.model}\` does not exist.`, 'NotFoundError', 'model');
  if (given.n > 1 && given.temperature === 0)
    return refuse(
      response,
      400,
      `n must be 1 when using greedy sampling, got ${given.n}.`,
      'BadRequestError',
      null,
    );
  const prompt = 'messages' in given ? given.messages.map(({ content }) => content).join('\n') : given.prompt;
  const promptTokens = countTokens(prompt);
  if (promptTokens >= CONTEXT) {
    const message = `This model's maximum context length is ${CONTEXT} tokens.`;
    return refuse(response, 400, message, 'BadRequestError', 'input_tokens');
  }
  const answers = Array.from({ length: given.n }, (_, index) =>
    toyAnswer(prompt, sampling(given, index, promptTokens)),
  );
  const completionTokens = answers.reduce((sum, { tokens }) => sum + tokens.length, 0);
  const usage = {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
  };
  const shape = new Shape(isChat, topOf(given));
  if (given.stream)
    return stream(response, shape, answers, given.stream_options?.include_usage ? usage : null);
  await pause(response, TOKEN_MS * Math.max(...answers.map(({ tokens }) => tokens.length)));
  if (!response.destroyed) json(response, 200, { ...shape.whole(answers), usage });
}

function sampling(given: Given, index: number, promptTokens: number) {
  const isChat = 'messages' in given;
  const wanted = (isChat ? given.max_completion_tokens : null) ?? given.max_tokens;
  return {
    temperature: given.temperature ?? 1,
    seed: (given.seed ?? Math.floor(Math.random() * 2 ** 31)) + index,
    ...(given.top_k != null && { topK: given.top_k }),
    ...(given.top_p != null && { topP: given.top_p }),
    ...(given.min_p != null && { minP: given.min_p }),
    bias: { ...given.logit_bias, ...(given.ignore_eos && { [TOY_END]: -1e9 }) },
    maxTokens: wanted ?? (isChat ? CONTEXT - promptTokens : 16),
    stop: [given.stop ?? []].flat(),
  };
}

async function stream(
  response: ServerResponse,
  shape: Shape,
  answers: readonly ToyAnswer[],
  usage: object | null,
): Promise<void> {
  const send = (data: object) => void response.write(`data: ${JSON.stringify(data)}\n\n`);
  response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' });
  for (const index of answers.keys()) send(shape.first(index));
  const longest = Math.max(...answers.map(({ tokens }) => tokens.length));
  for (let at = 0; at < longest; at++) {
    await pause(response, TOKEN_MS);
    if (response.destroyed) return;
    for (const [index, { tokens, text }] of answers.entries()) {
      const token = tokens[at];
      if (token === undefined) continue;
      const start = offsetOf(tokens, at);
      send(shape.delta(index, text.slice(start, start + token.text.length), token));
    }
  }
  for (const [index, { finish }] of answers.entries()) send(shape.last(index, finish));
  if (usage) send({ ...shape.head(true), choices: [], usage });
  response.end('data: [DONE]\n\n');
}

/** What the two endpoints' objects look like. */
class Shape {
  readonly #isChat: boolean;
  readonly #top: number | null;
  readonly #id = Math.random().toString(16).slice(2);

  /** @param top alternatives beside each token; null: no log probabilities */
  constructor(isChat: boolean, top: number | null) {
    this.#isChat = isChat;
    this.#top = top;
  }

  head(isChunk: boolean): object {
    const object = this.#isChat ? `chat.completion${isChunk ? '.chunk' : ''}` : 'text_completion';
    return { id: `${this.#isChat ? 'chatcmpl' : 'cmpl'}-${this.#id}`, object, created: 1, model: MODEL };
  }

  whole(answers: readonly ToyAnswer[]): object {
    const choices = answers.map(({ text, tokens, finish }, index) => ({
      index,
      ...(this.#isChat ? { message: { role: 'assistant', content: text, refusal: null } } : { text }),
      logprobs: this.#logprobs(tokens),
      finish_reason: finish,
      stop_reason: null,
    }));
    return { ...this.head(false), choices };
  }

  first(index: number): object {
    return this.#chunk(index, this.#isChat ? { role: 'assistant', content: '' } : '', null, null);
  }

  delta(index: number, text: string, token: ToyToken): object {
    return this.#chunk(index, this.#isChat ? { content: text } : text, this.#logprobs([token]), null);
  }

  last(index: number, finish: string): object {
    return this.#chunk(index, this.#isChat ? {} : '', null, finish);
  }

  #chunk(index: number, delta: object | string, logprobs: object | null, finish: string | null): object {
    const said = typeof delta === 'string' ? { text: delta } : { delta };
    return { ...this.head(true), choices: [{ index, ...said, logprobs, finish_reason: finish }] };
  }

  #logprobs(tokens: readonly ToyToken[]): object | null {
    const top = this.#top;
    if (top === null) return null;
    const entry = ({ text, logprob }: { text: string; logprob: number }) => ({
      token: text,
      logprob,
      bytes: [...Buffer.from(text)],
    });
    if (this.#isChat) {
      const content = tokens.map((token) => ({
        ...entry(token),
        top_logprobs: token.top.slice(0, top).map(entry),
      }));
      return { content };
    }
    return {
      tokens: tokens.map(({ text }) => text),
      token_logprobs: tokens.map(({ logprob }) => logprob),
      text_offset: tokens.map((_, at) => offsetOf(tokens, at)),
      top_logprobs: tokens.map((token) =>
        Object.fromEntries(token.top.slice(0, top).map(({ text, logprob }) => [text, logprob])),
      ),
    };
  }
}

/** Characters before the token at `at`. */
const offsetOf = (tokens: readonly ToyToken[], at: number): number =>
  tokens.slice(0, at).reduce((sum, { text }) => sum + text.length, 0);

function topOf(given: Given): number | null {
  if ('messages' in given) return given.logprobs ? (given.top_logprobs ?? 0) : null;
  return given.logprobs ?? null;
}

/** Ends early where the client hangs up. */
async function pause(response: ServerResponse, ms: number): Promise<void> {
  const gone = new AbortController();
  const hangUp = () => gone.abort();
  response.once('close', hangUp);
  await delay(ms, undefined, { signal: gone.signal }).catch(() => {});
  response.off('close', hangUp);
}

function json(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

function refuse(
  response: ServerResponse,
  status: number,
  message: string,
  type: string,
  param: string | null,
): void {
  json(response, status, { error: { message, type, param, code: status } });
}
