/**
 * vLLM's OpenAI server as version 0.32 answers, over a toy model: it validates as strictly and has the same shapes (numeric
 * error codes, `{"detail":…}` for unknown paths, `stop_reason`, usage in a chunk of its own). What it was sent is kept.
 * tools/backends runs the client suite against the real one.
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { AnswerShape, offsetOf } from './fake-vllm/answer-shape.ts';
import { countTokens, TOY_END, type ToyAnswer, type ToySampling, toyAnswer } from './toy-model.ts';

/** In tokens, of the toy model; `models` may say something else. */
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
  prompt_logprobs: z.number().int().nullish(),
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

export interface FakeVllmOptions {
  readonly models?: readonly { id: string; max_model_len: number | null; parent: string | null }[];
  readonly generate?: (prompt: string, sampling: ToySampling) => ToyAnswer;
}

export class FakeVllm {
  readonly received: { readonly path: string; readonly body: Record<string, unknown> }[] = [];
  apiKey: string | null = null;
  version = '0.11.0';
  /** 503: the engine is dead. */
  health = 200;
  /** Answers that are being generated. */
  running = 0;
  readonly #models: NonNullable<FakeVllmOptions['models']>;
  readonly #generate: NonNullable<FakeVllmOptions['generate']>;
  readonly #server = createServer((request, response) => {
    this.#handle(request, response).catch(() => response.destroy());
  });

  private constructor(options: FakeVllmOptions) {
    this.#models = options.models ?? [{ id: 'toy', max_model_len: CONTEXT, parent: null }];
    this.#generate = options.generate ?? toyAnswer;
  }

  static async start(options: FakeVllmOptions = {}): Promise<FakeVllm> {
    const vllm = new FakeVllm(options);
    vllm.#server.listen(0, '127.0.0.1');
    await once(vllm.#server, 'listening');
    return vllm;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  close(): Promise<void> {
    this.#server.closeAllConnections();
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let text = '';
    for await (const bytes of request) text += bytes;
    const path = request.url?.split('?')[0] ?? '';
    const body = text === '' ? {} : (JSON.parse(text) as Record<string, unknown>);
    this.received.push({ path, body });
    // Only the API asks for the key.
    if (path === '/health') return void response.writeHead(this.health).end();
    if (path === '/version') return json(response, 200, { version: this.version });
    if (this.apiKey !== null && request.headers.authorization !== `Bearer ${this.apiKey}`) {
      return json(response, 401, { error: 'Unauthorized' });
    }
    if (path === '/v1/models') {
      const common = { object: 'model', created: 1, owned_by: 'vllm' };
      const data = this.#models.map((model) => ({ ...common, ...model, root: model.id }));
      return json(response, 200, { object: 'list', data });
    }
    const isChat = path === '/v1/chat/completions';
    if (!isChat && path !== '/v1/completions') return json(response, 404, { detail: 'Not Found' });
    const parsed = (isChat ? chatSchema : completionSchema).safeParse(body);
    if (!parsed.success) {
      const { path: at, message } = parsed.error.issues[0]!;
      return refuse(response, 400, `${at.join('.')}: ${message}`, 'BadRequestError', at.join('.'));
    }
    this.running++;
    try {
      await this.#answer(isChat, parsed.data, response);
    } finally {
      this.running--;
    }
  }

  async #answer(isChat: boolean, given: Given, response: ServerResponse): Promise<void> {
    if (!this.#models.some(({ id }) => id === given.model))
      return refuse(response, 404, `The model \`${given.model}\` does not exist.`, 'NotFoundError', 'model');
    if (given.n > 1 && given.temperature === 0)
      return refuse(
        response,
        400,
        `n must be 1 when using greedy sampling, got ${given.n}.`,
        'BadRequestError',
        null,
      );
    const prompt =
      'messages' in given ? given.messages.map(({ content }) => content).join('\n') : given.prompt;
    const promptTokens = countTokens(prompt);
    if (promptTokens >= CONTEXT) {
      const message = `This model's maximum context length is ${CONTEXT} tokens.`;
      return refuse(response, 400, message, 'BadRequestError', 'input_tokens');
    }
    const answers = Array.from({ length: given.n }, (_, index) =>
      this.#generate(prompt, sampling(given, index, promptTokens)),
    );
    const completionTokens = answers.reduce((sum, { tokens }) => sum + tokens.length, 0);
    const usage = {
      prompt_tokens: promptTokens,
      completion_tokens: completionTokens,
      total_tokens: promptTokens + completionTokens,
    };
    const prompt_logprobs =
      given.prompt_logprobs == null
        ? null
        : [null, { 9906: { logprob: -1.5, rank: 1, decoded_token: 'Hello' } }];
    const shape = new AnswerShape(given.model, isChat, topOf(given));
    if (given.stream)
      return stream(response, shape, answers, given.stream_options?.include_usage ? usage : null);
    await pause(response, TOKEN_MS * Math.max(...answers.map(({ tokens }) => tokens.length)));
    if (!response.destroyed) json(response, 200, { ...shape.whole(answers), usage, prompt_logprobs });
  }
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
  shape: AnswerShape,
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
