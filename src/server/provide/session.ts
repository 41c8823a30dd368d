/** One provider's connection, from the handshake to its close: what it offers is a node of the pool meanwhile. */
import type { Logger } from 'pino';
import type { Clock } from '../../backend/clock.ts';
import type { NodePool } from '../../backend/pool/node-pool.ts';
import { ShoalError } from '../../config/errors.ts';
import {
  CONTROL_BURST,
  CONTROL_DEAD_MS,
  CONTROL_MESSAGES_PER_SECOND,
  CONTROL_PING_MS,
  HELLO_DEADLINE_MS,
  MAX_NODE_CONCURRENT,
  MAX_PROTOCOL_OFFENCES,
  MAX_PROVIDE_BACKLOG_BYTES,
  PROVIDE_WINDOW_BYTES,
} from '../../config/limits.ts';
import { Secret } from '../../config/secret.ts';
import {
  type Offer,
  PROVIDE_VERSION,
  type ProvideRequest,
  type ProviderMessage,
  type ProvidingServerMessage,
} from '../../mesh/protocol/provide.ts';
import { parseProviderMessage, writeProvidingServerMessage } from '../../mesh/protocol/provide-codec.ts';
import type { Timers } from '../../mesh/timers.ts';
import { POLICY_VIOLATION, TRY_AGAIN_LATER } from '../http/web-sockets.ts';
import { TimerGroup } from '../timer-group.ts';
import { TokenBucket } from '../token-bucket.ts';
import { RemoteAnswer } from './remote-answer.ts';
import { createRemoteBackend } from './remote-backend.ts';

/** The part of a server's WebSocket that is used. */
export interface ProviderSocket {
  readonly isOpen: boolean;
  readonly bufferedAmount: number;
  send(text: string): void;
  close(code: number, reason: string): void;
  terminate(): void;
}

export interface SessionOptions {
  /** Never given before, by an earlier run of the server either; the ids of its nodes begin with it. */
  readonly id: string;
  readonly pool: NodePool;
  /** Whether who presents this key may lend a model; undefined: none was given. */
  readonly authorize: (key: string | undefined) => boolean | Promise<boolean>;
  /** Takes a place among MAX_PROVIDERS. @returns false where none is free */
  readonly admit: () => boolean;
  /** Default true; false where the operator wants no providers. */
  readonly isTaking?: boolean;
  readonly timers: Timers;
  readonly clock: Clock;
  readonly log: Logger;
}

export class ProviderSession {
  readonly #socket: ProviderSocket;
  readonly #options: SessionOptions;
  readonly #timers: TimerGroup;
  readonly #bucket: TokenBucket;
  #phase: 'greeting' | 'checking' | 'ready' | 'closed' = 'greeting';
  #name = '';
  /** Asked about again while it is connected: a key may be removed. */
  #key: Secret | undefined;
  #answers = new Map<number, RemoteAnswer>();
  #lastRequest = 0;
  #offers = 0;
  #removeNode: (() => Promise<void>) | null = null;
  #offences = 0;
  #heardAt: number;

  constructor(socket: ProviderSocket, options: SessionOptions) {
    this.#socket = socket;
    this.#options = options;
    this.#timers = new TimerGroup(options.timers);
    this.#heardAt = this.#timers.now();
    this.#bucket = new TokenBucket(CONTROL_MESSAGES_PER_SECOND, CONTROL_BURST, this.#heardAt);
    this.#timers.after(HELLO_DEADLINE_MS, () => {
      if (this.#phase === 'greeting')
        this.#fatal(new ShoalError('PROTOCOL_INVALID', 'no hello came; say hello first'));
    });
    this.#ping();
  }

  /** @param text null: the message was binary */
  received(text: string | null): void {
    this.#heardAt = this.#timers.now();
    // After a fatal error the socket lives until its close is answered; nothing it says counts any more.
    if (!this.#socket.isOpen || this.#phase === 'closed') return;
    try {
      if (text === null)
        throw new ShoalError('PROTOCOL_INVALID', 'messages of a provider are text, this one is binary');
      const message = parseProviderMessage(text);
      // Chunks are bounded by their credit.
      if (message.type !== 'chunk' && !this.#bucket.take(this.#timers.now())) {
        throw new ShoalError(
          'OVERLOADED',
          `more than ${CONTROL_MESSAGES_PER_SECOND} messages a second; the message was dropped, send fewer`,
        );
      }
      this.#handle(message);
    } catch (thrown) {
      this.#offence(ShoalError.from(thrown));
    }
  }

  /** The socket has closed. @param why for the log and for those whose answers break off */
  closed(why: string): void {
    if (this.#phase === 'closed') return;
    const { log, id } = this.#options;
    if (this.#phase === 'ready') log.info({ provider: id, name: this.#name }, `provider left: ${why}`);
    this.#phase = 'closed';
    this.#timers.clear();
    this.#withdraw();
    const error = new ShoalError(
      'BACKEND_FAILED',
      `the provider "${this.#name}" was lost in the middle of an answer (${why}); send the request again`,
    );
    for (const answer of this.#answers.values()) answer.ended(error);
    this.#answers.clear();
  }

  #handle(message: ProviderMessage): void {
    if (this.#phase !== 'ready') {
      if (message.type !== 'hello' || this.#phase === 'checking') {
        throw new ShoalError('PROTOCOL_INVALID', `'${message.type}' came before the welcome; wait for it`);
      }
      void this.#greet(message);
      return;
    }
    switch (message.type) {
      case 'hello':
        throw new ShoalError('PROTOCOL_INVALID', 'a second hello came; say it once');
      case 'offer':
        this.#offered(message);
        return;
      case 'withdraw':
        this.#options.log.info(
          { provider: this.#options.id, name: this.#name },
          `offer withdrawn: ${message.reason}`,
        );
        this.#withdraw();
        return;
      case 'head':
        this.#answer(message.request, (answer) => answer.begun(message));
        return;
      case 'chunk':
        this.#answer(message.request, (answer) => answer.text(message.data));
        return;
      case 'end':
        this.#answer(message.request, (answer) => {
          this.#answers.delete(message.request);
          const { error, report } = message;
          const { param, retryAfterSeconds } = error ?? {};
          answer.ended(
            error === undefined
              ? null
              : new ShoalError(error.code, error.message, {
                  ...(param !== undefined && { param }),
                  ...(retryAfterSeconds !== undefined && { retryAfterSeconds }),
                  toOthers: `the provider "${this.#name}" refused a request (${error.code})`,
                }),
            report,
          );
        });
        return;
      case 'pong':
        return;
      default:
        message satisfies never;
    }
  }

  async #greet({ name, key }: Extract<ProviderMessage, { type: 'hello' }>): Promise<void> {
    if (this.#options.isTaking === false) {
      this.#fatal(
        new ShoalError('FORBIDDEN', 'this server takes no providers (--no-providers); lend to another'),
      );
      return;
    }
    this.#phase = 'checking';
    this.#name = name;
    this.#key = key === undefined ? undefined : new Secret(key);
    const { authorize, admit, log, id } = this.#options;
    let isAllowed = false;
    try {
      isAllowed = await authorize(key);
    } catch (thrown) {
      log.error({ provider: id, err: thrown }, 'a provider’s key could not be checked');
    }
    if (this.#phase !== 'checking') return;
    if (!isAllowed) {
      const sentence =
        key === undefined
          ? 'this server takes providers with one of its API keys only; give one (shoal worker: SHOAL_API_KEY, or --key)'
          : 'this API key is not valid here, or not for lending; ask the operator for one (shoal keys add NAME --lend)';
      this.#fatal(new ShoalError('UNAUTHORIZED', sentence));
      return;
    }
    if (!admit()) {
      this.#fatal(new ShoalError('OVERLOADED', 'this server has all the providers that it takes; try later'));
      return;
    }
    this.#phase = 'ready';
    this.#send({ type: 'welcome', version: PROVIDE_VERSION });
  }

  #offered({ type: _type, ...offer }: Extract<ProviderMessage, { type: 'offer' }>): void {
    const { pool, clock, log, id } = this.#options;
    this.#withdraw();
    this.#offers += 1;
    const models = offer.models.map((model) => model.id);
    const name = `${this.#name} (${offer.provider})`;
    const backend = createRemoteBackend({
      name: this.#name,
      offer,
      clock,
      open: (path, body, bodyText) => this.#open(path, body, bodyText, offer),
    });
    const { maxConcurrent, anyModel } = offer;
    const lender = { id, name: this.#name };
    const node = { id: `${id}.${this.#offers}`, name, backend, lender };
    this.#removeNode = pool.add({ ...node, maxConcurrent, anyModel });
    log.info({ provider: id, models: models.slice(0, 8) }, `${name} lends ${models.length} models`);
  }

  /** The node takes no new request; what runs goes on. */
  #withdraw(): void {
    this.#removeNode?.().catch((error) => this.#options.log.error({ err: error }, 'a node did not close'));
    this.#removeNode = null;
  }

  #open(
    path: ProvideRequest['path'],
    body: unknown,
    bodyText: string | undefined,
    offer: Offer,
  ): RemoteAnswer {
    const sender = `the provider "${this.#name}"`;
    if (this.#phase !== 'ready' || !this.#socket.isOpen)
      throw new ShoalError('BACKEND_FAILED', `${sender} has left; send the request again`);
    if (this.#socket.bufferedAmount > MAX_PROVIDE_BACKLOG_BYTES)
      throw new ShoalError('BACKEND_FAILED', `${sender} does not read its requests; look at its log`);
    // The router keeps to `maxConcurrent`; the offers of one session overlap while an old one's answers end.
    if (this.#answers.size >= offer.maxConcurrent + MAX_NODE_CONCURRENT)
      throw new ShoalError('OVERLOADED', `${sender} answers all the requests that it takes`);
    const request = ++this.#lastRequest;
    let text: string;
    try {
      text = writeProvidingServerMessage(
        { type: 'request', request, path, body, credit: PROVIDE_WINDOW_BYTES },
        bodyText,
      );
    } catch (cause) {
      throw new ShoalError('BODY_TOO_LARGE', `the request does not fit a message to ${sender}; send less`, {
        cause,
      });
    }
    const answer = new RemoteAnswer({
      sender,
      clock: this.#options.clock,
      grant: (bytes) => this.#send({ type: 'credit', request, bytes }),
      onCancelled: () => {
        if (this.#answers.delete(request)) this.#send({ type: 'cancel', request });
      },
    });
    this.#answers.set(request, answer);
    this.#socket.send(text);
    return answer;
  }

  /** What comes for a request that has ended was under way when it was cancelled. */
  #answer(request: number, tell: (answer: RemoteAnswer) => void): void {
    if (request > this.#lastRequest)
      throw new ShoalError('PROTOCOL_INVALID', `there is no request ${request}; answer those that came`);
    const answer = this.#answers.get(request);
    if (answer === undefined) return;
    try {
      tell(answer);
    } catch (thrown) {
      answer.cancel(
        new ShoalError('BACKEND_FAILED', `the provider "${this.#name}" broke the protocol`, {
          cause: thrown,
        }),
      );
      throw thrown;
    }
  }

  #send(message: ProvidingServerMessage): void {
    if (this.#socket.isOpen) this.#socket.send(writeProvidingServerMessage(message));
  }

  #offence(error: ShoalError): void {
    this.#offences++;
    const { log, id } = this.#options;
    if (error.code === 'INTERNAL')
      log.error({ provider: id, err: error }, 'a provider’s message could not be handled');
    else log.warn({ provider: id, code: error.code }, `provider’s message refused: ${error.message}`);
    const isFatal =
      error.code === 'PROTOCOL_VERSION' || this.#phase !== 'ready' || this.#offences >= MAX_PROTOCOL_OFFENCES;
    if (isFatal) this.#fatal(error);
    else this.#send({ type: 'error', error: error.toWire(), fatal: false });
  }

  #fatal(error: ShoalError): void {
    this.#send({ type: 'error', error: error.toWire(), fatal: true });
    this.#socket.close(error.code === 'OVERLOADED' ? TRY_AGAIN_LATER : POLICY_VIOLATION, error.code);
    this.closed(error.message);
  }

  /** Ends who may lend no longer; a file that cannot be read is no reason. */
  async #checkKey(): Promise<void> {
    try {
      if (await this.#options.authorize(this.#key?.reveal())) return;
    } catch (thrown) {
      this.#options.log.error(
        { provider: this.#options.id, err: thrown },
        'a provider’s key could not be checked',
      );
      return;
    }
    if (this.#phase !== 'ready') return;
    this.#fatal(
      new ShoalError('UNAUTHORIZED', 'your key is no longer for lending here; ask the operator for one'),
    );
  }

  /** Messages, not WebSocket pings: a page sees none of those, and has to notice a server that is gone. */
  #ping(): void {
    this.#timers.after(CONTROL_PING_MS, () => {
      const silentMs = this.#timers.now() - this.#heardAt;
      if (silentMs >= CONTROL_DEAD_MS) {
        this.#socket.terminate();
        this.closed(`nothing was heard for ${Math.round(silentMs / 1_000)} s`);
        return;
      }
      if (this.#phase === 'ready') void this.#checkKey();
      this.#send({ type: 'ping' });
      this.#ping();
    });
  }
}
