/** One server behind this node: requests to it, with deadlines, bounds and secrets kept in. For Node and browsers. */
import type { NodeConfig, Timeouts } from '../../config/backend-config.ts';
import { type ErrorCode, ShoalError } from '../../config/errors.ts';
import { MAX_UPSTREAM_DRAIN_BYTES, UPSTREAM_ANSWER_MS, UPSTREAM_DRAIN_MS } from '../../config/limits.ts';
import type { Secret } from '../../config/secret.ts';
import type { Clock } from '../clock.ts';
import { Watchdog } from '../watchdog.ts';
import { openAiApiUrl } from './api-url.ts';
import type { BodyReader, UpstreamFetch, UpstreamResponse } from './upstream-fetch.ts';

export interface UpstreamOptions extends Pick<NodeConfig, 'url' | 'apiKey' | 'bearerToken'> {
  readonly timeouts: Timeouts;
  /** Where paths begin; without it the OpenAI API of `url`. */
  readonly base?: string;
  /** What to do when nothing answers, after "cannot be reached"; without it: check that it runs, and the url. */
  readonly unreachableRemedy?: string;
}

export interface UpstreamRequest {
  /** Below the base, such as `/chat/completions`; or a whole url. */
  readonly path: string;
  /** JSON; without it the request is a GET. */
  readonly body?: string;
  readonly accept: 'application/json' | 'text/event-stream' | 'application/x-ndjson';
  /** Until the response's headers are there; with `chunks('told')` until the first `progress()`. */
  readonly deadlineMs: number;
}

export class Upstream {
  readonly #base: string;
  readonly #unreachableRemedy: string;
  readonly #idleMs: number;
  readonly #secrets: readonly Secret[];
  readonly #authorization: Record<string, string>;
  readonly #fetch: UpstreamFetch;
  readonly #clock: Clock;
  readonly #open = new Set<Exchange>();

  constructor(
    { url, apiKey, bearerToken, timeouts, base, unreachableRemedy }: UpstreamOptions,
    request: UpstreamFetch,
    clock: Clock,
  ) {
    this.#base = base ?? openAiApiUrl(url);
    this.#unreachableRemedy =
      unreachableRemedy ?? 'check that it runs and that url in model_backend.yaml is right';
    this.#idleMs = timeouts.idle;
    this.#secrets = [apiKey, bearerToken].filter((secret) => secret !== undefined);
    const bearer = bearerToken ?? apiKey;
    this.#authorization = {
      ...(apiKey !== undefined && { 'x-api-key': apiKey.reveal() }),
      ...(bearer !== undefined && { authorization: `Bearer ${bearer.reveal()}` }),
    };
    this.#fetch = request;
    this.#clock = clock;
  }

  get hasKey(): boolean {
    return this.#secrets.length > 0;
  }

  /**
   * Redirects are not followed: they would carry the keys to an address that nobody configured.
   *
   * @param signal ends the request and its body
   * @throws BACKEND_FAILED, ADDRESS_REFUSED, DEADLINE_EXCEEDED, ABORTED
   */
  async request(
    { path, body, accept, deadlineMs }: UpstreamRequest,
    signal: AbortSignal,
  ): Promise<UpstreamAnswer> {
    const exchange = new Exchange(signal, this.#clock, (ended) => this.#open.delete(ended));
    this.#open.add(exchange);
    exchange.watchdog.arm(deadlineMs);
    const failure = (thrown: unknown) => this.#failure(thrown, exchange.signal);
    try {
      const { href } = path.startsWith('/') ? new URL(`${this.#base}${path}`) : new URL(path);
      const response = await this.#fetch.call(undefined, href, {
        method: body === undefined ? 'GET' : 'POST',
        headers: {
          ...this.#authorization,
          ...(body !== undefined && { 'content-type': 'application/json' }),
          accept,
          // A compressor holds events back, and saves nothing on a loopback. Browsers decide this themselves.
          'accept-encoding': 'identity',
        },
        ...(body !== undefined && { body }),
        redirect: 'manual',
        signal: exchange.signal,
      });
      if (response.type === 'opaqueredirect' || (response.status >= 300 && response.status < 400)) {
        throw this.failed(
          `answered with a redirect (${response.status || '3xx'}), which is not followed; set url to the final address`,
        );
      }
      return new UpstreamAnswer(response, exchange, this.#clock, this.#idleMs, failure);
    } catch (thrown) {
      const error = failure(thrown);
      exchange.end();
      throw error;
    }
  }

  /** Ends what is in flight. */
  close(reason: ShoalError): void {
    for (const exchange of [...this.#open]) exchange.end(reason);
  }

  failed(
    what: string,
    { cause, code = 'BACKEND_FAILED', retryAfterSeconds, param, said }: FailureContext = {},
  ): ShoalError {
    const message = this.redact(`the backend at ${new URL(this.#base).origin} ${what}`);
    return new ShoalError(code, message, {
      cause,
      ...(said && { toOthers: message.replace(`: ${said}`, () => '') }),
      ...(retryAfterSeconds !== undefined && { retryAfterSeconds }),
      ...(param !== undefined && { param }),
    });
  }

  /** What the backend wrote, without this node's keys, should it repeat them. */
  redact(text: string): string {
    return this.#secrets.reduce((kept, secret) => secret.redact(kept), text);
  }

  /** `fetch` says "fetch failed" and hides the reason in its cause; of that only the code is repeated. */
  #failure(thrown: unknown, ended: AbortSignal): ShoalError {
    if (ended.aborted && ended.reason instanceof Silent) return this.#silent(ended.reason.waitedMs);
    if (ended.aborted && ended.reason instanceof ShoalError) return ended.reason;
    for (let error = thrown; error instanceof Error; error = error.cause) {
      if (error instanceof ShoalError) return error;
    }
    // undici leaves its `code` undefined.
    if (thrown instanceof Error && thrown.cause instanceof Error && thrown.cause.name === 'HTTPParserError') {
      return this.failed(`sent what is no HTTP/1.1; ${this.#unreachableRemedy}`, { cause: thrown });
    }
    const code = errorCode(thrown);
    if (code === 'UND_ERR_CONNECT_TIMEOUT') {
      return this.failed(
        'took no connection in time; check that it runs, and that no firewall drops the packets',
        {
          code: 'DEADLINE_EXCEEDED',
          cause: thrown,
        },
      );
    }
    return this.failed(
      `cannot be reached or broke off${code === '' ? '' : ` (${code})`}; ${this.#unreachableRemedy}`,
      { cause: thrown },
    );
  }

  #silent(waitedMs: number): ShoalError {
    return this.failed(`was silent for ${waitedMs / 1000} s; look at its log`, { code: 'DEADLINE_EXCEEDED' });
  }
}

interface FailureContext {
  readonly cause?: unknown;
  readonly code?: ErrorCode;
  readonly retryAfterSeconds?: number | undefined;
  readonly param?: string | undefined;
  /** The part of the text, after a colon, that the backend wrote. */
  readonly said?: string;
}

function errorCode(thrown: unknown): string {
  for (let error = thrown; error instanceof Error; error = error.cause) {
    if ('code' in error && typeof error.code === 'string') return error.code;
  }
  return '';
}

class Silent extends Error {
  readonly waitedMs: number;

  constructor(waitedMs: number) {
    super(`silent for ${waitedMs} ms`);
    this.waitedMs = waitedMs;
  }
}

/**
 * One request from its sending to its end in whatever way. AbortSignal.any would do the joining, but it keeps its sources'
 * dependants alive in some versions of Node, and one source here is as old as the server.
 */
class Exchange {
  readonly watchdog: Watchdog;
  readonly #controller = new AbortController();
  readonly #client: AbortSignal;
  readonly #onEnd: (exchange: Exchange) => void;

  constructor(client: AbortSignal, clock: Clock, onEnd: (exchange: Exchange) => void) {
    this.#client = client;
    this.#onEnd = onEnd;
    this.watchdog = new Watchdog(clock, (ms) => this.end(new Silent(ms)));
    client.addEventListener('abort', this.#onClientGone);
    if (client.aborted) this.#onClientGone();
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Breaks off what is still under way. */
  end(reason?: Error): void {
    this.release();
    if (this.signal.aborted) return;
    this.#controller.abort(reason ?? new ShoalError('ABORTED', 'the client hung up'));
  }

  /** Everything has been read: the connection may serve the next request. */
  release(): void {
    this.watchdog.stop();
    this.#client.removeEventListener('abort', this.#onClientGone);
    this.#onEnd(this);
  }

  readonly #onClientGone = () => {
    const { reason } = this.#client;
    this.end(reason instanceof ShoalError ? reason : undefined);
  };
}

/** A response whose headers have come. Read the body once, or discard it: the connection is held until then. */
export class UpstreamAnswer {
  readonly response: UpstreamResponse;
  readonly #exchange: Exchange;
  readonly #clock: Clock;
  readonly #idleMs: number;
  readonly #failure: (thrown: unknown) => ShoalError;
  #isComplete = false;

  constructor(
    response: UpstreamResponse,
    exchange: Exchange,
    clock: Clock,
    idleMs: number,
    failure: (thrown: unknown) => ShoalError,
  ) {
    this.response = response;
    this.#exchange = exchange;
    this.#clock = clock;
    this.#idleMs = idleMs;
    this.#failure = failure;
  }

  get status(): number {
    return this.response.status;
  }

  get contentType(): string {
    return this.response.headers.get('content-type')?.split(';')[0]?.trim().toLowerCase() ?? '';
  }

  /** Ends the request; a pending read fails. */
  discard(): void {
    this.#exchange.end();
  }

  /** Nothing more is wanted, but the end of the body is near: it is read in the background, so that the connection can be kept. */
  complete(): void {
    this.#isComplete = true;
  }

  /** Something whole has come (an event, a line): see `chunks('told')`. */
  progress(): void {
    this.#exchange.watchdog.rest();
  }

  /**
   * The body as it comes, read only on demand: a slow client slows the backend down, and is no silence of the backend.
   *
   * @param aliveBy what counts as a sign of life: any `bytes`, or what the reader says by `progress()`. Told, the request's
   *   own deadline holds until the first progress, and a backend that drips bytes without ever finishing an event is found.
   * @throws BACKEND_FAILED, DEADLINE_EXCEEDED after timeouts.idle of silence, ABORTED
   */
  async *chunks(aliveBy: 'bytes' | 'told' = 'bytes'): AsyncGenerator<Uint8Array> {
    const { watchdog } = this.#exchange;
    const reader = this.response.body?.getReader();
    if (reader === undefined) return this.#exchange.release();
    let isRead = false;
    if (aliveBy === 'bytes') watchdog.rest();
    try {
      for (;;) {
        if (!watchdog.armed) watchdog.arm(this.#idleMs);
        const result = await reader.read();
        isRead = result.done;
        if (result.done) return;
        if (aliveBy === 'bytes') watchdog.rest();
        yield result.value;
      }
    } catch (thrown) {
      throw this.#failure(thrown);
    } finally {
      if (isRead) this.#exchange.release();
      else if (this.#isComplete) void this.#drain(reader);
      else {
        this.discard();
        reader.cancel().catch(() => {});
      }
    }
  }

  async #drain(reader: BodyReader): Promise<void> {
    this.#exchange.watchdog.stop();
    this.#exchange.watchdog.arm(UPSTREAM_DRAIN_MS);
    try {
      for (let bytes = 0; bytes <= MAX_UPSTREAM_DRAIN_BYTES; ) {
        const { done, value } = await reader.read();
        if (done) return this.#exchange.release();
        bytes += value.byteLength;
      }
    } catch {
      // It broke off after all was said.
    }
    this.discard();
    reader.cancel().catch(() => {});
  }

  /**
   * @returns the whole body, or undefined when it is longer than `maxBytes` (the rest is then not read)
   * @throws as `chunks`; DEADLINE_EXCEEDED too when it drips for longer than a whole answer may take
   */
  async text(maxBytes: number): Promise<string | undefined> {
    const decoder = new TextDecoder();
    const lastAt = this.#clock.now() + UPSTREAM_ANSWER_MS;
    let text = '';
    let bytes = 0;
    for await (const chunk of this.chunks()) {
      bytes += chunk.byteLength;
      if (bytes > maxBytes) return undefined;
      if (this.#clock.now() > lastAt) throw this.#failure(dripped());
      text += decoder.decode(chunk, { stream: true });
    }
    return text + decoder.decode();
  }
}

const dripped = () =>
  new ShoalError(
    'DEADLINE_EXCEEDED',
    `the backend took more than ${UPSTREAM_ANSWER_MS / 1000} s to send one answer; look at its log, or ask for a stream`,
  );
