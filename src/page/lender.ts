import type { ProxyConfig } from '../config/backend-config.ts';
import type { ShoalError, WireError } from '../config/errors.ts';
import { SHUTDOWN_MS } from '../config/limits.ts';
import { Secret } from '../config/secret.ts';
import { ProviderHost } from '../worker/provider-host.ts';
import type { ContributorEnvironment } from './contributor-environment.ts';
import { openEndpoint } from './endpoint-check.ts';

export type LenderPhase = 'idle' | 'connecting' | 'lending' | 'leaving' | 'failed';

export interface LenderState {
  readonly phase: LenderPhase;
  /** That the server was told; empty before. */
  readonly models: readonly string[];
  readonly inFlight: number;
  readonly answered: number;
  /** Why it failed, or what is in the way for now. */
  readonly error?: WireError;
}

export const NOT_LENDING: LenderState = { phase: 'idle', models: [], inFlight: 0, answered: 0 };

export interface LenderOptions {
  readonly serverUrl: string;
  /** Shown to people. */
  readonly name: string;
  readonly environment: Pick<
    ContributorEnvironment,
    'openSocket' | 'timers' | 'random' | 'onPageHide' | 'holdAwake'
  >;
  readonly fetch: typeof fetch;
  readonly onState: (state: LenderState) => void;
}

/**
 * Lends one endpoint from this page. It runs on the main thread: an answer moves by messages and reads, which hidden tabs
 * get without delay; only its timers (listing models, noticing a silent server) come late there, once a minute at worst. A
 * Web Lock keeps the browser from freezing the page.
 */
export class Lender {
  readonly #options: LenderOptions;
  #state = NOT_LENDING;
  #host: ProviderHost | null = null;
  #release: (() => void)[] = [];

  constructor(options: LenderOptions) {
    this.#options = options;
  }

  /** @param key an API key of the server, where it wants one */
  lend(config: ProxyConfig, key: string): void {
    if (this.#host !== null) return;
    const { environment, fetch, serverUrl, name } = this.#options;
    this.#release = [environment.onPageHide(() => this.close()), environment.holdAwake()];
    const { url, modelNameAlias, maxConcurrent } = config.nodes[0];
    const { origin, host: address } = new URL(url);
    const host = new ProviderHost(
      {
        backend: openEndpoint(config, fetch),
        maxConcurrent,
        anyModel: modelNameAlias !== undefined,
        hidden: [url, origin, address],
      },
      {
        serverUrl,
        name,
        ...(key !== '' && { key: new Secret(key) }),
        openSocket: environment.openSocket,
        timers: environment.timers,
        random: environment.random,
        onState: (state) => {
          if (this.#host !== host || this.#state.phase === 'leaving') return;
          if (state === 'waiting') this.#set({ phase: 'connecting', models: [] });
        },
        onOffer: (offer) => {
          if (this.#host !== host || this.#state.phase === 'leaving') return;
          if ('error' in offer) this.#set({ phase: 'connecting', models: [] }, offer.error);
          else this.#set({ phase: 'lending', models: offer.models }, null);
        },
        onError: (error) => {
          if (this.#host !== host) return;
          if (host.state === 'refused') this.#end({ phase: 'failed' }, error);
          else this.#set({}, error);
        },
        onRequests: (counts) => {
          if (this.#host === host) this.#set(counts);
        },
      },
    );
    this.#host = host;
    this.#state = NOT_LENDING;
    this.#set({ phase: 'connecting' }, null);
    host.start();
  }

  /** Takes the offer back, finishes what runs (SHUTDOWN_MS at most), and ends. */
  async stop(): Promise<void> {
    const host = this.#host;
    if (host === null || this.#state.phase === 'leaving') return;
    this.#set({ phase: 'leaving' }, null);
    await host.drain(AbortSignal.timeout(SHUTDOWN_MS));
    if (this.#host === host) this.close();
  }

  /** At once: for `pagehide` and unmounting. */
  close(): void {
    if (this.#host !== null) this.#end(NOT_LENDING, null);
  }

  #end(state: Partial<LenderState>, error: ShoalError | null): void {
    const host = this.#host;
    this.#host = null;
    for (const release of this.#release.splice(0)) release();
    // Its backend's connections end with it; there is nobody to tell of a failure to close.
    void host?.close().catch(() => {});
    this.#set({ inFlight: 0, models: [], ...state }, error);
  }

  /** @param error null: none any more; absent: as before */
  #set(change: Partial<LenderState>, error?: ShoalError | null): void {
    const { error: before, ...rest } = this.#state;
    const now = error === undefined ? before : error?.toWire();
    this.#state = { ...rest, ...change, ...(now !== undefined && { error: now }) };
    this.#options.onState(this.#state);
  }
}
