/**
 * vLLM's HTTP API as its documentation describes it (https://docs.vllm.ai/en/latest/serving/openai_compatible_server/), with a
 * model that counts: for any prompt it says "one two three …". What it was sent is kept.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

interface Request {
  readonly model: string;
  readonly messages?: readonly unknown[];
  readonly prompt?: unknown;
  readonly stream?: boolean | null;
  readonly n?: number | null;
  readonly max_tokens?: number | null;
  readonly max_completion_tokens?: number | null;
  readonly stop?: string | readonly string[] | null;
  readonly logprobs?: boolean | number | null;
  readonly top_logprobs?: number | null;
  readonly prompt_logprobs?: number | null;
  readonly stream_options?: { readonly include_usage?: boolean } | null;
}

const WORDS = ['one', ' two', ' three', ' four', ' five', ' six'];
const PROMPT_TOKENS = 5;

export class FakeVllm {
  readonly received: { readonly path: string; readonly body: Record<string, unknown> }[] = [];
  apiKey: string | null = null;
  version = '0.11.0';
  /** 503: the engine is dead. */
  health = 200;
  models = [
    { id: 'llama3-8b', max_model_len: 8192 as number | null, parent: null as string | null },
    { id: 'sql-lora', max_model_len: null, parent: 'llama3-8b' },
  ];
  readonly #server = createServer((request, response) => void this.#answer(request, response));

  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  close(): Promise<void> {
    this.#server.closeAllConnections();
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let text = '';
    for await (const chunk of request) text += chunk;
    const path = request.url ?? '';
    const body = text === '' ? {} : (JSON.parse(text) as Record<string, unknown>);
    this.received.push({ path, body });
    // Only the API asks for the key.
    if (path === '/health') return void response.writeHead(this.health).end();
    if (path === '/version') return json(response, 200, { version: this.version });
    if (this.apiKey !== null && request.headers.authorization !== `Bearer ${this.apiKey}`) {
      return json(response, 401, { error: 'Unauthorized' });
    }
    if (path === '/v1/models') {
      const data = this.models.map((model) => ({
        ...model,
        object: 'model',
        created: 7,
        owned_by: 'vllm',
        root: model.id,
      }));
      return json(response, 200, { object: 'list', data });
    }
    const isChat = path === '/v1/chat/completions';
    if (!isChat && path !== '/v1/completions') return json(response, 404, { detail: 'Not Found' });
    const asked = body as unknown as Request;
    if (!this.models.some(({ id }) => id === asked.model)) {
      return error(response, 404, 'NotFoundError', `The model \`${asked.model}\` does not exist.`, 'model');
    }
    if ((asked.max_tokens ?? 1) < 1) {
      return error(
        response,
        400,
        'BadRequestError',
        `max_tokens must be at least 1, got ${asked.max_tokens}.`,
        'max_tokens',
      );
    }
    if (asked.stream) stream(response, asked, isChat);
    else json(response, 200, wholeAnswer(asked, isChat));
  }
}

/** Text before the first stop string, and why it ended. */
function generate(asked: Request): { words: string[]; reason: 'stop' | 'length' } {
  const limit = asked.max_completion_tokens ?? asked.max_tokens ?? 16;
  const stops = [asked.stop ?? []].flat();
  const words: string[] = [];
  for (const word of WORDS) {
    if (words.length === limit) return { words, reason: 'length' };
    if (stops.some((stop) => word.includes(stop))) return { words, reason: 'stop' };
    words.push(word);
  }
  return { words, reason: 'stop' };
}

const usage = (completion: number) => ({
  prompt_tokens: PROMPT_TOKENS,
  completion_tokens: completion,
  total_tokens: PROMPT_TOKENS + completion,
});

const chatLogprobs = (words: readonly string[], top: number) => ({
  content: words.map((token) => ({
    token,
    logprob: -0.25,
    bytes: [...Buffer.from(token)],
    top_logprobs: Array.from({ length: top }, () => ({
      token,
      logprob: -0.25,
      bytes: [...Buffer.from(token)],
    })),
  })),
});
const textLogprobs = (words: readonly string[]) => ({
  tokens: words,
  token_logprobs: words.map(() => -0.25),
  top_logprobs: words.map((token) => ({ [token]: -0.25 })),
  text_offset: words.map((_, index) => words.slice(0, index).join('').length),
});

function logprobsOf(asked: Request, isChat: boolean, words: readonly string[]): object | null {
  if (isChat) return asked.logprobs ? chatLogprobs(words, asked.top_logprobs ?? 0) : null;
  return typeof asked.logprobs === 'number' ? textLogprobs(words) : null;
}

function wholeAnswer(asked: Request, isChat: boolean): object {
  const { words, reason } = generate(asked);
  const n = asked.n ?? 1;
  const common = (index: number) => ({
    index,
    logprobs: logprobsOf(asked, isChat, words),
    finish_reason: reason,
    stop_reason: null,
  });
  const text = words.join('');
  return {
    ...headOf(asked, isChat ? 'chat.completion' : 'text_completion'),
    choices: Array.from({ length: n }, (_, index) =>
      isChat
        ? { ...common(index), message: { role: 'assistant', content: text, refusal: null, tool_calls: [] } }
        : { ...common(index), text },
    ),
    usage: usage(words.length * n),
    prompt_logprobs:
      asked.prompt_logprobs == null
        ? null
        : [null, { 9906: { logprob: -1.5, rank: 1, decoded_token: 'Hello' } }],
  };
}

function stream(response: ServerResponse, asked: Request, isChat: boolean): void {
  const { words, reason } = generate(asked);
  const n = asked.n ?? 1;
  const head = headOf(asked, isChat ? 'chat.completion.chunk' : 'text_completion');
  const send = (rest: object) => response.write(`data: ${JSON.stringify({ ...head, ...rest })}\n\n`);
  response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' });
  for (let index = 0; isChat && index < n; index++) {
    send({
      choices: [{ index, delta: { role: 'assistant', content: '' }, logprobs: null, finish_reason: null }],
    });
  }
  words.forEach((word, at) => {
    const finish = at === words.length - 1 ? reason : null;
    for (let index = 0; index < n; index++) {
      const common = {
        index,
        logprobs: logprobsOf(asked, isChat, [word]),
        finish_reason: finish,
        stop_reason: null,
      };
      send({ choices: [isChat ? { ...common, delta: { content: word } } : { ...common, text: word }] });
    }
  });
  if (asked.stream_options?.include_usage) send({ choices: [], usage: usage(words.length * n) });
  response.end('data: [DONE]\n\n');
}

const headOf = (asked: Request, object: string) => ({ id: 'cmpl-1', object, created: 7, model: asked.model });

function json(response: ServerResponse, status: number, value: object): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));
}

function error(response: ServerResponse, status: number, type: string, message: string, param: string): void {
  json(response, status, { error: { message, type, param, code: status } });
}
