/** One OpenAI-compatible server behind this node: requests to it, with deadlines, bounds and secrets kept in. */
import { ShoalError } from '../config/errors.ts';
import { UPSTREAM_IDLE_MS } from '../config/limits.ts';
import type { Secret } from '../config/secret.ts';
import type { Clock } from './clock.ts';
import { unlessSilent } from './sse.ts';

export interface UpstreamOptions {
  /** http(s), without trailing slash, with or without `/v1`. */
  readonly url: string;
  readonly apiKey?: Secret;
  readonly bearerToken?: Secret;
  /** Where paths begin; without it `/v1` below `url`. */
  readonly base?: string;
  /** What to do when nothing answers, after "cannot be reached"; without it: check that it runs, and the url. */
  readonly unreachableRemedy?: string;
}

export interface UpstreamRequest {
  /** Below the base, such as `/chat/completions`. */
  readonly path: string;
  /** JSON; without it the request is a GET. */
  readonly body?: string;
  readonly accept: 'application/json' | 'text/event-stream' | 'application/x-ndjson';
  /** Until the response's headers are there. */
  readonly deadlineMs: number;
}

export class Upstream {
  readonly #base: string;
  readonly #secrets: readonly Secret[];
  readonly #authorization: Record<string, string>;
  readonly #fetch: typeof fetch;
  readonly #clock: Clock;
  readonly #unreachableRemedy: string;

  constructor(
    { url, apiKey, bearerToken, base, unreachableRemedy }: UpstreamOptions,
    request: typeof fetch,
    clock: Clock,
  ) {
    this.#base = base ?? (url.endsWith('/v1') ? url : `${url}/v1`);
    this.#unreachableRemedy =
      unreachableRemedy ?? 'check that it runs and that url in model_backend.yaml is right';
    this.#secrets = [apiKey, bearerToken].filter((secret) => secret !== undefined);
    const bearer = bearerToken ?? apiKey;
    this.#authorization = {
      ...(apiKey !== undefined && { 'x-api-key': apiKey.reveal() }),
      ...(bearer !== undefined && { authorization: `Bearer ${bearer.reveal()}` }),
    };
    this.#fetch = request;
    this.#clock = clock;
  }

  /**
   * Redirects are not followed: they would carry the keys to an address that nobody configured.
   *
   * @param signal ends the request and its body
   * @throws BACKEND_FAILED, DEADLINE_EXCEEDED, ABORTED
   */
  async request(
    { path, body, accept, deadlineMs }: UpstreamRequest,
    signal: AbortSignal,
  ): Promise<UpstreamAnswer> {
    const own = new AbortController();
    const ended = AbortSignal.any([signal, own.signal]);
    const responding = this.#fetch(`${this.#base}${path}`, {
      method: body === undefined ? 'GET' : 'POST',
      headers: {
        ...this.#authorization,
        ...(body !== undefined && { 'content-type': 'application/json' }),
        accept,
      },
      ...(body !== undefined && { body }),
      redirect: 'manual',
      signal: ended,
    });
    try {
      const response = await unlessSilent(responding, this.#clock, deadlineMs);
      if (response === 'silent') throw this.#silent(deadlineMs);
      const answer = new UpstreamAnswer(response, this.#clock, own, (thrown) =>
        this.#failure(thrown, signal),
      );
      if (response.status >= 300 && response.status < 400) {
        answer.discard();
        throw this.failed(
          `answered with a redirect (${response.status}), which is not followed; set url to the final address`,
        );
      }
      return answer;
    } catch (thrown) {
      responding.catch(() => {});
      own.abort();
      throw this.#failure(thrown, signal);
    }
  }

  failed(what: string, cause?: unknown): ShoalError {
    return new ShoalError('BACKEND_FAILED', this.redact(`the backend at ${this.#origin} ${what}`), { cause });
  }

  /** What the backend wrote, without this node's keys, should it repeat them. */
  redact(text: string): string {
    return this.#secrets.reduce((kept, secret) => secret.redact(kept), text);
  }

  get #origin(): string {
    return new URL(this.#base).origin;
  }

  #silent(waitedMs: number): ShoalError {
    return new ShoalError(
      'DEADLINE_EXCEEDED',
      `the backend at ${this.#origin} was silent for ${waitedMs / 1000} s; look at its log`,
    );
  }

  /** `fetch` says "fetch failed" and hides the reason in its cause; of that only the code is repeated. */
  #failure(thrown: unknown, signal: AbortSignal): ShoalError {
    if (signal.aborted)
      return ShoalError.from(
        signal.reason instanceof ShoalError ? signal.reason : new ShoalError('ABORTED', 'the client hung up'),
      );
    if (thrown instanceof ShoalError) return thrown;
    if (thrown instanceof Silent) return this.#silent(thrown.waitedMs);
    const code = errorCode(thrown);
    return this.failed(
      `cannot be reached or broke off${code === '' ? '' : ` (${code})`}; ${this.#unreachableRemedy}`,
      thrown,
    );
  }
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

/** A response whose headers have come. Read the body once, or discard it: the connection is held until then. */
export class UpstreamAnswer {
  readonly response: Response;
  readonly #clock: Clock;
  readonly #own: AbortController;
  readonly #failure: (thrown: unknown) => ShoalError;

  constructor(
    response: Response,
    clock: Clock,
    own: AbortController,
    failure: (thrown: unknown) => ShoalError,
  ) {
    this.response = response;
    this.#clock = clock;
    this.#own = own;
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
    this.#own.abort();
  }

  /**
   * The body as it comes, read only on demand: a slow client slows the backend down.
   *
   * @throws BACKEND_FAILED, DEADLINE_EXCEEDED after UPSTREAM_IDLE_MS of silence, ABORTED
   */
  async *chunks(): AsyncGenerator<Uint8Array> {
    const reader = this.response.body?.getReader();
    if (reader === undefined) return;
    try {
      for (;;) {
        const result = await unlessSilent(reader.read(), this.#clock, UPSTREAM_IDLE_MS);
        if (result === 'silent') throw new Silent(UPSTREAM_IDLE_MS);
        if (result.done) return;
        yield result.value;
      }
    } catch (thrown) {
      throw this.#failure(thrown);
    } finally {
      this.discard();
      reader.cancel().catch(() => {});
    }
  }

  /** @returns the whole body, or undefined when it is longer than `maxBytes` (the rest is then not read) */
  async text(maxBytes: number): Promise<string | undefined> {
    const decoder = new TextDecoder();
    let text = '';
    let bytes = 0;
    for await (const chunk of this.chunks()) {
      bytes += chunk.byteLength;
      if (bytes > maxBytes) return undefined;
      text += decoder.decode(chunk, { stream: true });
    }
    return text + decoder.decode();
  }
}
