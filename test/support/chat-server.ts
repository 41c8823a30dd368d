import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { serve } from '@hono/node-server';
import { pino } from 'pino';
import type { AnsweringNode, Backend, RequestContext } from '../../src/backend/backend.ts';
import { systemClock } from '../../src/backend/clock.ts';
import { openAiErrorResponse } from '../../src/backend/openai/error.ts';
import { SSE_DONE, SSE_HEADERS, sseBody, sseData } from '../../src/backend/openai/sse.ts';
import type { NodeStatus } from '../../src/backend/pool/node-pool.ts';
import { ShoalError } from '../../src/config/errors.ts';
import { createAccess } from '../../src/server/access/access.ts';
import { createApp } from '../../src/server/app.ts';
import type { ServedFiles } from '../../src/server/files/model-routes.ts';
import { readPageFiles } from '../../src/server/files/page-files.ts';
import { createHostGuard } from '../../src/server/http/host-guard.ts';
import { Metrics } from '../../src/server/metrics/metrics.ts';
import { RequestsInFlight } from '../../src/server/requests-in-flight.ts';
import { TINY_LLAMA } from './plain-llama.ts';

/** One chunk of a chat's stream: text, or whatever a server may send. */
export type Piece = string | Readonly<Record<string, unknown>>;

export interface Asked {
  readonly model: string;
  readonly messages: readonly { readonly role: string; readonly content: string }[];
  readonly lenders: readonly string[] | null;
}

export interface Script {
  readonly pieces: Iterable<Piece> | AsyncIterable<Piece>;
  readonly by?: AnsweringNode;
}

export const textPiece = (content: string, finish: string | null = null) => ({
  choices: [{ index: 0, delta: { content }, finish_reason: finish }],
});
export const usagePiece = (prompt: number, completion: number) => ({
  choices: [],
  usage: { prompt_tokens: prompt, completion_tokens: completion, total_tokens: prompt + completion },
});

export const node = (
  name: string,
  models: readonly string[],
  more: Partial<NodeStatus> = {},
): NodeStatus => ({
  id: name,
  name,
  provider: 'custom',
  state: 'ready',
  inFlight: 0,
  maxConcurrent: 4,
  models,
  timeToFirstTokenMs: null,
  tokensPerSecond: null,
  lastError: null,
  ...more,
});

/**
 * The real application with the real page (it has to be built), on a real socket; what it serves and says is a script's. So
 * the page meets its headers, its content security policy and its errors without a GPU.
 */
export class ChatServer {
  readonly asked: Asked[] = [];
  /** Called with each question. @throws ShoalError to refuse it */
  answer: (asked: Asked) => Script = ({ messages }) => ({
    pieces: [`You said: ${messages.at(-1)?.content}`],
  });
  nodes: readonly NodeStatus[] = [node('host:1', ['m'])];
  /** Of the native model, with its context in tokens; null: a proxy. */
  model: { readonly id: string; readonly contextLength: number } | null = null;
  readonly url: string;
  readonly #server: ReturnType<typeof serve>;

  static async start(
    pageDirectory = fileURLToPath(new URL('../../dist', import.meta.url)),
  ): Promise<ChatServer> {
    const page = await readPageFiles(pageDirectory);
    let started: ChatServer;
    const backend: Backend = {
      provider: 'custom',
      models: async () => [],
      readiness: async () => ({ ready: true, detail: 'scripted' }),
      chatCompletions: (body, context) => started.#chat(body as Asked, context),
      completions: async () => Response.json({}),
      close: async () => {},
    };
    const app = createApp({
      serving: {
        backend,
        mesh: null,
        get served() {
          return started.#served;
        },
        files: () => null,
      },
      requests: new RequestsInFlight(),
      page,
      guard: createHostGuard({ boundHost: '127.0.0.1' }),
      access: createAccess({ now: () => performance.now() }),
      metrics: new Metrics({ models: async () => [], provider: () => 'custom', now: () => 0 }),
      nodes: () => started.nodes,
      log: pino({ level: 'silent' }),
    });
    return new Promise((resolve) => {
      const server = serve({ fetch: app.fetch, port: 0, hostname: '127.0.0.1' }, (address) => {
        started = new ChatServer(server, address);
        resolve(started);
      });
    });
  }

  private constructor(server: ReturnType<typeof serve>, { port }: AddressInfo) {
    this.#server = server;
    this.url = `http://127.0.0.1:${port}/`;
  }

  close(): Promise<void> {
    if ('closeAllConnections' in this.#server) this.#server.closeAllConnections();
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }

  get #served(): ServedFiles | null {
    if (this.model === null) return null;
    const { id, contextLength } = this.model;
    const none = () => {
      throw new ShoalError('NOT_FOUND', 'no files');
    };
    return { model: id, spec: { ...TINY_LLAMA, contextLength }, manifest: none, filePath: none };
  }

  async #chat(body: Asked, { lenders, onRouted, onAnswered }: RequestContext): Promise<Response> {
    const asked: Asked = {
      model: body.model,
      messages: body.messages,
      lenders: lenders === undefined ? null : [...lenders].filter((id) => id !== ''),
    };
    this.asked.push(asked);
    let script: Script;
    try {
      script = this.answer(asked);
    } catch (thrown) {
      return openAiErrorResponse(ShoalError.from(thrown));
    }
    if (script.by) onRouted?.(script.by);
    const { pieces } = script;
    async function* events(): AsyncGenerator<Uint8Array> {
      let isFinished = false;
      for await (const piece of pieces) {
        const value = typeof piece === 'string' ? textPiece(piece) : piece;
        isFinished ||= JSON.stringify(value).includes('"finish_reason":"');
        yield sseData(value);
      }
      if (!isFinished) yield sseData(textPiece('', 'stop'));
      yield SSE_DONE;
      const tokens = { promptTokens: null, completionTokens: null, timeToFirstTokenMs: null };
      onAnswered?.({ model: asked.model, outcome: 'stop', ...tokens, durationMs: 0 });
    }
    return new Response(
      sseBody(events(), systemClock, () => {}),
      { headers: SSE_HEADERS },
    );
  }
}
