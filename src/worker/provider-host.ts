/** Lends a whole-model backend to a server over `/provide`. Runs in Node (`shoal worker`) and in a page (custom mode). */

import type { AnswerReport, Backend, ModelInfo, RequestContext } from '../backend/backend.ts';
import { plainModels } from '../backend/pool/plain-models.ts';
import { ShoalError } from '../config/errors.ts';
import {
  MAX_PROVIDED_MODELS,
  MAX_SHOWN_PARAMETER_CHARS,
  MAX_TOLD_PARAMETERS,
  PROVIDE_REFRESH_MS,
  PROVIDE_RETRY_MS,
  RETRY_AFTER_SECONDS,
} from '../config/limits.ts';
import type { AnswerEnd, Offer, ProvideRequest } from '../mesh/protocol/provide.ts';
import { ProvideClient, type ProvideClientOptions, type ServerRequest } from '../mesh/provide-client.ts';
import type { ConnectionState } from '../mesh/server-connection.ts';
import { Credit, sendBody } from './provided-answer.ts';

/** What is lent. */
export interface Lent {
  /** Closed by the host, when nothing it answers is left. */
  readonly backend: Backend;
  readonly maxConcurrent: number;
  /** It answers whatever model is asked for (an alias is set). */
  readonly anyModel: boolean;
  /** Addresses that the server need not know: replaced in errors. */
  readonly hidden: readonly string[];
}

export interface ProviderHostOptions extends Omit<ProvideClientOptions, 'url' | 'onRequest'> {
  /** Origin of the server, e.g. `http://localhost:8787`. */
  readonly serverUrl: string;
  /** The models that the server was told, or why nothing can be lent now; after every change. */
  readonly onOffer: (offer: { readonly models: readonly string[] } | { readonly error: ShoalError }) => void;
  /** After every request's begin and end. */
  readonly onRequests?: (counts: { readonly inFlight: number; readonly answered: number }) => void;
}

interface Running {
  readonly abort: AbortController;
  readonly credit: Credit;
  readonly lent: Lent;
}

export class ProviderHost {
  readonly #options: ProviderHostOptions;
  readonly #client: ProvideClient;
  readonly #running = new Map<number, Running>();
  readonly #closing = new AbortController();
  #lent: Lent;
  #answered = 0;
  #models: readonly ModelInfo[] | null = null;
  /** What the server was told last, as JSON; '' for nothing. */
  #told = '';
  #lastError = '';
  #listing = false;
  #cancelRefresh: () => void = () => {};
  #idle: () => void = () => {};
  #isDraining = false;

  constructor(lent: Lent, options: ProviderHostOptions) {
    this.#lent = lent;
    this.#options = options;
    const url = new URL('/provide', options.serverUrl);
    url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
    this.#client = new ProvideClient({
      ...options,
      url: url.href,
      onState: (state) => this.#stateChanged(state),
      onRequest: (message, bodyText) => this.#received(message, bodyText),
    });
  }

  start(): void {
    this.#client.connect();
    void this.#refresh();
  }

  get state(): ConnectionState {
    return this.#client.state;
  }

  get inFlight(): number {
    return this.#running.size;
  }

  /** Lends something else from now on; what runs is answered by what it was begun with. */
  replace(lent: Lent): void {
    const old = this.#lent;
    this.#lent = lent;
    this.#models = null;
    this.#closeIfUnused(old);
    void this.#refresh();
  }

  /** Takes no new requests and resolves when those that run have ended, or `signal` aborts. Then `close` it. */
  async drain(signal: AbortSignal): Promise<void> {
    this.#isDraining = true;
    this.#tell(null, 'leaving');
    if (this.#running.size === 0) return;
    await new Promise<void>((resolve) => {
      this.#idle = resolve;
      signal.addEventListener('abort', () => resolve(), { once: true });
    });
  }

  /** Ends what runs, the connection and the backend. Idempotent. */
  async close(): Promise<void> {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort();
    this.#cancelRefresh();
    this.#abortAll('the provider was closed');
    this.#client.close();
    await this.#lent.backend.close();
  }

  #stateChanged(state: ConnectionState): void {
    if (state !== 'ready') {
      this.#told = '';
      this.#abortAll('the server is gone');
    }
    this.#options.onState(state);
    if (state === 'ready') this.#offer();
  }

  #received(message: ServerRequest, bodyText: string | undefined): void {
    const running = this.#running.get(message.request);
    switch (message.type) {
      case 'request':
        void this.#answer(message, bodyText);
        return;
      case 'credit':
        running?.credit.add(message.bytes);
        return;
      case 'cancel':
        running?.abort.abort(new ShoalError('ABORTED', 'the client hung up'));
        return;
      default:
        message satisfies never;
    }
  }

  // — requests ——————————————————————————————————————————————————————————————————————————————————

  async #answer(message: ProvideRequest, bodyText: string | undefined): Promise<void> {
    const { request, credit } = message;
    const lent = this.#lent;
    if (this.#running.size >= lent.maxConcurrent || this.#isDraining) {
      const reason = this.#isDraining
        ? 'this provider is leaving; ask another'
        : `this provider answers ${lent.maxConcurrent} requests at once; try again later`;
      this.#failed(
        request,
        new ShoalError('OVERLOADED', reason, { retryAfterSeconds: RETRY_AFTER_SECONDS }),
        lent,
      );
      return;
    }
    const abort = new AbortController();
    const running: Running = { abort, credit: new Credit(credit, abort.signal), lent };
    this.#running.set(request, running);
    this.#counted();
    try {
      await this.#send(message, bodyText, running);
    } catch (thrown) {
      if (!abort.signal.aborted) {
        const error = ShoalError.from(thrown, 'BACKEND_FAILED');
        this.#failed(request, error, lent);
        if (error.httpStatus >= 500) void this.#refresh();
      }
    } finally {
      this.#running.delete(request);
      this.#answered += 1;
      this.#counted();
      if (lent !== this.#lent) this.#closeIfUnused(lent);
      if (this.#running.size === 0) this.#idle();
    }
  }

  async #send(
    { request, path, body }: ProvideRequest,
    text: string | undefined,
    running: Running,
  ): Promise<void> {
    const { abort, credit, lent } = running;
    let report: AnswerReport | undefined;
    // The server tells the client, or refuses the request: it is strict or not.
    const unknown: string[] = [];
    const context: RequestContext = {
      signal: abort.signal,
      ...(text !== undefined && { text }),
      onUnknown: ({ path: parameter }) => {
        if (unknown.length < MAX_TOLD_PARAMETERS) unknown.push(onOneLine(parameter));
      },
      onAnswered: (answered: AnswerReport) => {
        report = answered;
      },
    };
    const { backend } = lent;
    const response = await (path === 'chat'
      ? backend.chatCompletions(body, context)
      : backend.completions(body, context));
    if (abort.signal.aborted) {
      await response.body?.cancel();
      return;
    }
    const retryAfter = response.headers.get('retry-after');
    this.#client.send({
      type: 'head',
      request,
      status: response.status,
      contentType: response.headers.get('content-type') ?? 'application/json',
      ...(retryAfter !== null && { retryAfter }),
      ...(unknown.length > 0 && { unknown }),
    });
    if (response.body !== null) {
      await sendBody(
        response.body,
        credit,
        abort.signal,
        (text) => withoutAddresses(text, response.ok, lent),
        (data) => this.#client.send({ type: 'chunk', request, data }),
      );
    }
    this.#client.send({ type: 'end', request, ...(report !== undefined && { report }) });
  }

  #failed(request: number, error: ShoalError, lent: Lent): void {
    const { code, param, retryAfterSeconds } = error;
    const told: AnswerEnd['error'] = {
      code,
      message: hide(error.toWire().message, lent),
      ...(param !== undefined && { param }),
      ...(retryAfterSeconds !== undefined && { retryAfterSeconds }),
    };
    this.#client.send({ type: 'end', request, error: told });
  }

  #abortAll(why: string): void {
    for (const { abort } of this.#running.values()) abort.abort(new ShoalError('ABORTED', why));
  }

  #counted(): void {
    this.#options.onRequests?.({ inFlight: this.#running.size, answered: this.#answered });
  }

  #closeIfUnused(lent: Lent): void {
    for (const running of this.#running.values()) if (running.lent === lent) return;
    lent.backend.close().catch((thrown) => this.#options.onError(ShoalError.from(thrown)));
  }

  // — offers ————————————————————————————————————————————————————————————————————————————————————

  /** Lists the models and tells the server what changed; then again after a while. */
  async #refresh(): Promise<void> {
    if (this.#listing || this.#closing.signal.aborted) return;
    this.#listing = true;
    this.#cancelRefresh();
    const lent = this.#lent;
    let error: ShoalError | null = null;
    try {
      const { signal } = this.#closing;
      // A router remembers the models of a node that is down, and says so here.
      const { ready, detail } = await lent.backend.readiness(signal);
      if (!ready) throw new ShoalError('BACKEND_UNAVAILABLE', detail);
      const models = await lent.backend.models(signal);
      if (lent === this.#lent) this.#models = models;
    } catch (thrown) {
      error = ShoalError.from(thrown, 'BACKEND_FAILED');
      if (lent === this.#lent) this.#models = null;
    }
    this.#listing = false;
    if (this.#closing.signal.aborted) return;
    if (lent !== this.#lent) return this.#refresh();
    this.#offer();
    if (error !== null && error.message !== this.#lastError) this.#options.onOffer({ error });
    this.#lastError = error?.message ?? '';
    const waitMs = error === null ? PROVIDE_REFRESH_MS : PROVIDE_RETRY_MS;
    this.#cancelRefresh = this.#options.timers.after(waitMs, () => void this.#refresh());
  }

  #offer(): void {
    if (this.#models === null) {
      this.#tell(null, 'the backend does not list its models');
      return;
    }
    const { backend, maxConcurrent, anyModel } = this.#lent;
    const models = plainModels(this.#models).slice(0, MAX_PROVIDED_MODELS);
    this.#tell({ provider: backend.provider, models, anyModel, maxConcurrent }, '');
  }

  /** @param offer null: nothing, for `reason` */
  #tell(offer: Offer | null, reason: string): void {
    if (this.#client.state !== 'ready' || (this.#isDraining && offer !== null)) return;
    const told = offer === null ? '' : JSON.stringify(offer);
    if (told === this.#told) return;
    this.#told = told;
    if (offer === null) {
      this.#client.send({ type: 'withdraw', reason });
      return;
    }
    try {
      this.#client.send({ type: 'offer', ...offer });
    } catch (thrown) {
      this.#options.onError(ShoalError.from(thrown));
      return;
    }
    this.#options.onOffer({ models: offer.models.map(({ id }) => id) });
  }
}

function hide(text: string, { hidden }: Lent): string {
  return hidden.reduce((kept, address) => kept.replaceAll(address, 'its address'), text);
}

/** Errors name the backend's address; generated text, which may speak of any address, is left alone. */
function withoutAddresses(text: string, isOk: boolean, lent: Lent): string {
  return !isOk || /^data: \{"error":/m.test(text) ? hide(text, lent) : text;
}

const onOneLine = (text: string) => text.slice(0, MAX_SHOWN_PARAMETER_CHARS).replaceAll(/\p{Cc}/gu, '?');
