import { pino } from 'pino';
import type { AnswerReport, Backend, RequestContext } from '../../../src/backend/backend.ts';
import { SSE_HEADERS } from '../../../src/backend/openai/sse.ts';
import type { NodePool, PoolNode } from '../../../src/backend/pool/node-pool.ts';
import type { ShoalError } from '../../../src/config/errors.ts';
import type { ProviderMessage, ProvidingServerMessage } from '../../../src/mesh/protocol/provide.ts';
import type { WebSocketLike } from '../../../src/mesh/reconnecting-socket.ts';
import { ProviderSession, type SessionOptions } from '../../../src/server/provide/session.ts';
import { type Lent, ProviderHost, type ProviderHostOptions } from '../../../src/worker/provider-host.ts';
import { FakeTimers } from '../../support/fake-timers.ts';
import { ManualClock } from '../../support/manual-clock.ts';

/** A session and a host joined by a socket in memory, which delivers in order and not at once, as a real one. */
export class Pair {
  readonly timers = new FakeTimers();
  readonly clock = new ManualClock();
  readonly nodes = new Map<string, PoolNode>();
  readonly errors: ShoalError[] = [];
  readonly offers: unknown[] = [];
  readonly states: string[] = [];
  /** All that went over the wire. */
  readonly fromProvider: ProviderMessage[] = [];
  readonly fromServer: ProvidingServerMessage[] = [];
  readonly host: ProviderHost;
  session: ProviderSession | null = null;
  /** Closes the newest connection as a network does that goes away. */
  cut: () => void = () => {};
  /** What the server's end has not yet been given; `hold` keeps it. */
  hold = false;
  readonly #session: Partial<SessionOptions>;

  constructor(
    lent: Partial<Lent> & { readonly backend: Backend },
    options: {
      readonly session?: Partial<SessionOptions>;
      readonly host?: Partial<ProviderHostOptions>;
    } = {},
  ) {
    this.#session = options.session ?? {};
    this.host = new ProviderHost(
      { maxConcurrent: 2, anyModel: false, hidden: [], ...lent },
      {
        serverUrl: 'http://server',
        name: 'box',
        openSocket: () => this.#open(),
        timers: this.timers,
        random: () => 0,
        onState: (state) => this.states.push(state),
        onOffer: (offer) => this.offers.push(offer),
        onError: (error) => this.errors.push(error),
        ...options.host,
      },
    );
  }

  /** The one node that the server has. */
  get node(): PoolNode {
    const [node] = this.nodes.values();
    if (node === undefined) throw new Error('no node');
    return node;
  }

  of<Type extends ProviderMessage['type']>(type: Type) {
    return this.fromProvider.filter((message) => message.type === type) as Extract<
      ProviderMessage,
      { type: Type }
    >[];
  }

  #open(): WebSocketLike {
    let isOpen = true;
    const later = (run: () => void) => setImmediate(() => isOpen && run());
    const client: WebSocketLike = {
      bufferedAmount: 0,
      onopen: null,
      onmessage: null,
      onclose: null,
      onerror: null,
      send: (text) => {
        this.fromProvider.push(JSON.parse(text) as ProviderMessage);
        later(() => session.received(text));
      },
      close: () => close(1000, ''),
    };
    const close = (code: number, reason: string) => {
      if (!isOpen) return;
      isOpen = false;
      session.closed('the connection was closed');
      setImmediate(() => client.onclose?.({ code, reason }));
    };
    this.cut = () => close(1006, '');
    const pool = {
      add: (node: PoolNode) => {
        this.nodes.set(node.id, node);
        return async () => void this.nodes.delete(node.id);
      },
    } as unknown as NodePool;
    const session = new ProviderSession(
      {
        get isOpen() {
          return isOpen;
        },
        bufferedAmount: 0,
        send: (text) => {
          this.fromServer.push(JSON.parse(text) as ProvidingServerMessage);
          later(() => client.onmessage?.({ data: text }));
        },
        // What was sent before a close arrives before it.
        close: (code, reason) => setImmediate(() => close(code, reason)),
        terminate: () => close(1006, ''),
      },
      {
        id: 'provider-1',
        pool,
        authorize: () => true,
        admit: () => true,
        timers: this.timers,
        clock: this.clock,
        log: pino({ level: 'silent' }),
        ...this.#session,
      },
    );
    this.session = session;
    later(() => (client.onopen as (() => void) | null)?.());
    return client;
  }
}

/** Lets everything that needs no timer happen. */
export async function quiet(): Promise<void> {
  for (let round = 0; round < 40; round++) await new Promise((resolve) => setImmediate(resolve));
}

export const REPORT: AnswerReport = {
  model: 'm',
  outcome: 'stop',
  promptTokens: 3,
  completionTokens: 2,
  timeToFirstTokenMs: 1,
  durationMs: 2,
};

/** A backend whose answers a test makes. */
export function fakeBackend(
  answer: (body: unknown, context: RequestContext) => Response | Promise<Response>,
  models: () => readonly string[] = () => ['m'],
): Backend & { closed: number } {
  return {
    provider: 'custom',
    closed: 0,
    models: async () => models().map((id) => ({ id, created: 0, ownedBy: 'test' })),
    readiness: async () => ({ ready: true, detail: '' }),
    chatCompletions: async (body, context) => answer(body, context),
    completions: async (body, context) => answer(body, context),
    async close() {
      this.closed += 1;
    },
  };
}

export function stream(body: ReadableStream<Uint8Array>): Response {
  return new Response(body, { headers: SSE_HEADERS });
}

export const bytes = (text: string): Uint8Array<ArrayBuffer> => new TextEncoder().encode(text);

/** A backend that thinks until it is told to stop. */
export const thinking = (_body: unknown, { signal }: RequestContext): Promise<Response> =>
  new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)));

/** An event stream of these texts, whole at once. */
export function texts(...pieces: readonly (string | Uint8Array)[]): Response {
  const encoded = pieces.map((piece) => (typeof piece === 'string' ? bytes(piece) : piece));
  return stream(
    new ReadableStream({
      start(controller) {
        for (const piece of encoded) controller.enqueue(piece);
        controller.close();
      },
    }),
  );
}
