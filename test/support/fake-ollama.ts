/**
 * An Ollama written from its documentation (docs/api.md) and its types (api/types.go), with a model of a few words: what the
 * real one refuses is refused, streams come in pieces that end anywhere. It knows nothing of the backend that is tested on it.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  type Common,
  chatSteps,
  checkLength,
  type FakeModel,
  generateSteps,
  joined,
  lines,
  type Message,
  TOO_LONG,
} from './fake-ollama/answers.ts';
import { DecodeError, decodeChat, decodeGenerate, decodeNamed, optionError } from './fake-ollama/decode.ts';

export type { FakeModel };

/** How a request goes wrong; `after` counts lines that were sent. */
export type Failure =
  | {
      readonly kind: 'status';
      readonly status: number;
      /** JSON as Ollama's errors, or a text as a proxy's page. */
      readonly error: string;
      readonly page?: boolean;
      readonly headers?: Readonly<Record<string, string>>;
    }
  | { readonly kind: 'line'; readonly after: number; readonly error: string }
  | { readonly kind: 'bytes'; readonly after: number; readonly bytes: Uint8Array }
  /** Sends nothing more, until the client hangs up. */
  | { readonly kind: 'stall'; readonly after: number }
  /** Ends the body without a last line. */
  | { readonly kind: 'end'; readonly after: number }
  | { readonly kind: 'reset'; readonly after: number };

export interface FakeRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: Record<string, unknown>;
}

export interface FakeOllamaOptions {
  readonly models?: readonly FakeModel[];
  /** What `pull` finds in the registry, beside what is there. */
  readonly pullable?: readonly FakeModel[];
  readonly version?: string;
  /** As a proxy before Ollama asks for it. */
  readonly bearer?: string;
  /** OLLAMA_NUM_PARALLEL, OLLAMA_MAX_QUEUE. */
  readonly parallel?: number;
  readonly maxQueue?: number;
  /** Before 0.12.11 logprobs were a key like any unknown one. */
  readonly withoutLogprobs?: boolean;
  /** Waits before each line, such as for a test's own gate. */
  readonly pace?: (request: FakeRequest, line: number) => Promise<void>;
  readonly fail?: (request: FakeRequest) => Failure | undefined;
}

export interface FakeOllama {
  readonly url: string;
  /** The first model, by its short name. */
  readonly model: string;
  readonly requests: readonly FakeRequest[];
  /** Answers whose client hung up before their end. */
  readonly hangUps: number;
  /** Answers under way now. */
  readonly running: number;
  /** That were ever opened. */
  readonly connections: number;
  close(): Promise<void>;
}

export const DEFAULT_MODELS: readonly FakeModel[] = [
  { name: 'llama3.2:latest', capabilities: ['completion', 'tools'], contextLength: 2048 },
  { name: 'tiny:1b', capabilities: ['completion'], contextLength: 32 },
  { name: 'qwen3:latest', capabilities: ['completion', 'tools', 'thinking'], contextLength: 4096 },
  { name: 'llava:7b', capabilities: ['completion', 'vision'], contextLength: 4096 },
  { name: 'codellama:code', capabilities: ['completion', 'insert'], contextLength: 4096 },
  { name: 'someone/llama:q4', capabilities: ['completion'], contextLength: 4096 },
];

type Json = Record<string, unknown>;

class Refusal extends Error {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, message: string, headers: Readonly<Record<string, string>> = {}) {
    super(message);
    this.status = status;
    this.headers = headers;
  }
}

export async function startFakeOllama(options: FakeOllamaOptions = {}): Promise<FakeOllama> {
  const models = [...(options.models ?? DEFAULT_MODELS)];
  const requests: FakeRequest[] = [];
  const slots = new Slots(options.parallel ?? 4, options.maxQueue ?? 512);
  let hangUps = 0;
  let running = 0;

  const server = createServer(async (incoming, response) => {
    let text = '';
    for await (const chunk of incoming) text += chunk;
    const { method = '', url = '', headers } = incoming;
    response.on('close', () => {
      if (!response.writableFinished) hangUps++;
    });
    try {
      if (options.bearer !== undefined && headers.authorization !== `Bearer ${options.bearer}`)
        throw new Refusal(401, 'unauthorized');
      if (method === 'GET' || method === 'HEAD') {
        requests.push({ method, path: url, headers, body: {} });
        return get(url, response);
      }
      if (text === '') throw new Refusal(400, 'missing request body');
      const request = { method, path: url, headers, body: bodyOf(text) };
      requests.push(request);
      await post(request, response);
    } catch (thrown) {
      if (response.headersSent) return response.destroy();
      const status = thrown instanceof Refusal ? thrown.status : thrown instanceof DecodeError ? 400 : 500;
      const extra = thrown instanceof Refusal ? thrown.headers : {};
      sendJson(response, status, { error: (thrown as Error).message }, extra);
    }
  });

  function get(path: string, response: ServerResponse): void {
    if (path === '/') response.writeHead(200, { 'content-type': 'text/plain' }).end('Ollama is running');
    else if (path === '/api/version') sendJson(response, 200, { version: options.version ?? '0.24.1' });
    else if (path === '/api/tags') sendJson(response, 200, { models: models.map(listed) });
    else if (path === '/api/ps') sendJson(response, 200, { models: [] });
    else response.writeHead(404, { 'content-type': 'text/plain' }).end('404 page not found');
  }

  async function post(request: FakeRequest, response: ServerResponse): Promise<void> {
    const failure = options.fail?.(request);
    if (failure?.kind === 'status') {
      if (!failure.page) throw new Refusal(failure.status, failure.error, failure.headers);
      response
        .writeHead(failure.status, { 'content-type': 'text/html', ...failure.headers })
        .end(failure.error);
      return;
    }
    switch (request.path) {
      case '/api/show': {
        decodeNamed(request.body, '');
        const model = found(request.body.model ?? request.body.name);
        const details = listed(model);
        return sendJson(response, 200, {
          ...details,
          capabilities: model.capabilities,
          parameters: `stop "<|eot_id|>"\nnum_ctx ${model.contextLength}`,
          model_info: {
            'general.architecture': 'llama',
            'general.parameter_count': 3_212_749_888,
            'llama.context_length': 131_072,
            'llama.block_count': 28,
            'llama.embedding_length': 3_072,
            'tokenizer.ggml.tokens': null,
          },
        });
      }
      case '/api/pull':
        return pull(request, response);
      case '/api/chat':
        decodeChat(request.body, '');
        return infer(request, response, failure, chatLines(request.body));
      case '/api/generate':
        decodeGenerate(request.body, '');
        return infer(request, response, failure, generateLines(request.body));
      default:
        response.writeHead(404, { 'content-type': 'text/plain' }).end('404 page not found');
    }
  }

  function found(name: unknown): FakeModel {
    const model = models.find((candidate) => candidate.name === withTag(String(name)));
    if (model === undefined) throw new Refusal(404, `model '${name}' not found`);
    return model;
  }

  /** What both endpoints check, in the order of server/routes.go. */
  function checked(body: Json, needs: readonly FakeModel['capabilities'][number][]): FakeModel {
    const top = (body.top_logprobs as number | undefined) ?? 0;
    if (top < 0 || top > 20) throw new Refusal(400, 'top_logprobs must be between 0 and 20');
    const model = found(body.model);
    const thinks = model.capabilities.includes('thinking');
    if (!thinks && body.think !== undefined && body.think !== false)
      throw new Refusal(400, `"${body.model}" does not support thinking`);
    const missing = needs.filter((need) => !model.capabilities.includes(need));
    if (missing.length > 0)
      throw new Refusal(
        400,
        `registry.ollama.ai/library/${model.name} does not support ${missing.join('\n')}`,
      );
    const wrong = optionError((body.options as Json | undefined) ?? {});
    if (wrong !== undefined) throw new Refusal(500, wrong);
    return model;
  }

  function chatLines(body: Json): Iterable<Json> {
    if (!body.model) throw new Refusal(400, 'model is required');
    const tools = (body.tools as Parameters<typeof chatSteps>[2] | undefined) ?? [];
    const model = checked(body, tools.length > 0 ? ['tools'] : []);
    const messages = (body.messages as readonly Message[] | undefined) ?? [];
    const request = commonOf(body);
    if (messages.length === 0) {
      const reason = body.keep_alive === 0 ? 'unload' : 'load';
      return [{ model: request.model, created_at: NOW, message: ASSISTANT, done: true, done_reason: reason }];
    }
    const prompt = messages.map(({ role, content }) => `${role}: ${content ?? ''}`).join('\n');
    tooLong(() => checkLength(model, prompt, request));
    return lines(chatSteps(model, messages, tools, request), prompt, request, (step) => ({
      message: {
        ...ASSISTANT,
        content: step.text ?? '',
        ...(step.thinking !== undefined && { thinking: step.thinking }),
        ...(step.toolCalls !== undefined && { tool_calls: step.toolCalls }),
      },
    }));
  }

  function generateLines(body: Json): Iterable<Json> {
    const suffix = (body.suffix as string | undefined) ?? '';
    const request = commonOf(body);
    if (body.raw === true && (body.template || body.system || body.context))
      throw new Refusal(400, 'raw mode does not support template, system, or context');
    const model = checked(body, suffix === '' ? [] : ['insert']);
    const prompt = (body.prompt as string | undefined) ?? '';
    if (prompt === '') {
      const reason = body.keep_alive === 0 ? 'unload' : 'load';
      return [{ model: request.model, created_at: NOW, response: '', done: true, done_reason: reason }];
    }
    tooLong(() => checkLength(model, prompt, request));
    const asked = body.raw === true ? prompt : `user: ${prompt}`;
    return lines(generateSteps(asked, suffix, request), prompt, request, (step) => ({
      response: step.text ?? '',
    }));
  }

  function commonOf(body: Json): Common {
    const { logprobs, ...rest } = body;
    return (options.withoutLogprobs ? rest : { ...rest, logprobs }) as unknown as Common;
  }

  async function infer(
    request: FakeRequest,
    response: ServerResponse,
    failure: Exclude<Failure, { kind: 'status' }> | undefined,
    parts: Iterable<Json>,
  ): Promise<void> {
    const gone = new Promise<void>((resolve) => response.on('close', resolve));
    await slots.take(gone);
    running++;
    try {
      if (request.body.stream === false && failure === undefined) {
        await options.pace?.(request, 0);
        return sendJson(response, 200, joined([...parts]));
      }
      await stream(request, response, failure, parts, gone);
    } finally {
      running--;
      slots.give();
    }
  }

  async function stream(
    request: FakeRequest,
    response: ServerResponse,
    failure: Exclude<Failure, { kind: 'status' }> | undefined,
    parts: Iterable<Json>,
    gone: Promise<void>,
  ): Promise<void> {
    let sent = 0;
    for (const part of parts) {
      if (failure !== undefined && sent === failure.after) break;
      await Promise.race([options.pace?.(request, sent), gone]);
      if (response.destroyed) return;
      if (!response.headersSent) response.writeHead(200, { 'content-type': 'application/x-ndjson' });
      await writeAwkwardly(response, new TextEncoder().encode(`${JSON.stringify(part)}\n`), sent++);
    }
    switch (failure?.kind) {
      case undefined:
      case 'end':
        response.end();
        return;
      case 'line':
        response.end(`${JSON.stringify({ error: failure.error })}\n`);
        return;
      case 'bytes':
        response.end(failure.bytes);
        return;
      case 'stall':
        response.flushHeaders();
        return gone;
      case 'reset':
        response.flushHeaders();
        setImmediate(() => response.destroy());
        return gone;
      default:
        failure satisfies never;
    }
  }

  async function pull(request: FakeRequest, response: ServerResponse): Promise<void> {
    decodeNamed(request.body, '');
    const name = withTag(String(request.body.model ?? request.body.name));
    const model = [...models, ...(options.pullable ?? [])].find((candidate) => candidate.name === name);
    const parts: Json[] = [{ status: 'pulling manifest' }];
    if (model === undefined) parts.push({ error: 'pull model manifest: file does not exist' });
    else parts.push({ status: 'pulling abc', total: 9, completed: 9 }, { status: 'success' });
    if (model !== undefined && !models.includes(model)) models.push(model);
    if (request.body.stream === false) {
      const last = parts.at(-1)!;
      return sendJson(response, 'error' in last ? 500 : 200, last);
    }
    response.writeHead(200, { 'content-type': 'application/x-ndjson' });
    response.end(parts.map((part) => `${JSON.stringify(part)}\n`).join(''));
  }

  let connections = 0;
  server.on('connection', () => connections++);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    model: (models[0]?.name ?? '').replace(/:latest$/, ''),
    requests,
    get hangUps() {
      return hangUps;
    },
    get running() {
      return running;
    },
    get connections() {
      return connections;
    },
    close: () => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

const NOW = '2026-11-22T20:00:00.123456789+01:00';
const ASSISTANT = { role: 'assistant', content: '' };

const withTag = (name: string) =>
  name.slice(name.lastIndexOf('/') + 1).includes(':') ? name : `${name}:latest`;

const listed = ({ name }: FakeModel) => ({
  name,
  model: name,
  modified_at: '2026-01-02T03:04:05.678901234+01:00',
  size: 2_019_393_189,
  digest: 'a80c4f17acd55265feec403c7aef86be0c25983ab279d83f3bcd3abbcb5b8b72',
  details: {
    parent_model: '',
    format: 'gguf',
    family: 'llama',
    families: ['llama'],
    parameter_size: '3.2B',
    quantization_level: 'Q4_K_M',
  },
});

function bodyOf(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Json;
  } catch {
    throw new Refusal(400, 'invalid character looking for beginning of value');
  }
  throw new Refusal(400, 'json: cannot unmarshal value into Go value of type api.ChatRequest');
}

function tooLong(check: () => void): void {
  try {
    check();
  } catch {
    throw new Refusal(400, TOO_LONG);
  }
}

function sendJson(
  response: ServerResponse,
  status: number,
  value: unknown,
  headers: Readonly<Record<string, string>> = {},
): void {
  response
    .writeHead(status, { 'content-type': 'application/json; charset=utf-8', ...headers })
    .end(JSON.stringify(value));
}

/** In three parts whose ends move with `at`: within names, numbers, characters. */
async function writeAwkwardly(response: ServerResponse, bytes: Uint8Array, at: number): Promise<void> {
  const first = 1 + ((at * 7) % (bytes.length - 1));
  const second = first + Math.floor((bytes.length - first) / 2);
  for (const part of [bytes.subarray(0, first), bytes.subarray(first, second), bytes.subarray(second)]) {
    if (response.destroyed) return;
    if (part.length > 0 && !response.write(part))
      await new Promise<void>((resolve) => {
        response.once('drain', resolve);
        response.once('close', resolve);
      });
    await new Promise((resolve) => setImmediate(resolve));
  }
}

class Slots {
  readonly #waiting: (() => void)[] = [];
  readonly #maxQueue: number;
  #free: number;

  constructor(free: number, maxQueue: number) {
    this.#free = free;
    this.#maxQueue = maxQueue;
  }

  async take(gone: Promise<void>): Promise<void> {
    if (this.#free > 0) {
      this.#free--;
      return;
    }
    if (this.#waiting.length >= this.#maxQueue)
      throw new Refusal(503, 'server busy, please try again.  maximum pending requests exceeded');
    await new Promise<void>((resolve, reject) => {
      this.#waiting.push(resolve);
      void gone.then(() => {
        const at = this.#waiting.indexOf(resolve);
        if (at === -1) return;
        this.#waiting.splice(at, 1);
        reject(new Refusal(499, 'request canceled'));
      });
    });
  }

  give(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#free++;
    else next();
  }
}
