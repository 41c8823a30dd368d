/** The server as a whole: HTTP or HTTPS, signaling, mesh and backend, from start to an end that leaves nothing running. */
import { randomBytes } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import type { Logger } from 'pino';
import { ShoalError } from '../config/errors.ts';
import { MISSING_PAGE_REMEDY } from '../config/installation.ts';
import { LAST_WORDS_MS, UPSTREAM_PROBE_MS } from '../config/limits.ts';
import type { Secret } from '../config/secret.ts';
import type { Status } from '../mesh/protocol/status.ts';
import { systemTimers, type Timers } from '../mesh/timers.ts';
import { IN_PROCESS } from './access/access.ts';
import { type AccessSettings, openAccess } from './access/open-access.ts';
import { AnswerKeeper } from './answers/answer-keeper.ts';
import { DirectoryStore } from './answers/directory-store.ts';
import { KeptAnswers } from './answers/kept-answers.ts';
import { restoreAnswers } from './answers/restore.ts';
import { lockState, type StateLock } from './answers/state-lock.ts';
import { createApp } from './app.ts';
import { endAfterAnswers } from './draining.ts';
import { readPageFiles } from './files/page-files.ts';
import { createHostGuard, isLoopback } from './http/host-guard.ts';
import { createHttpServer, listen } from './http/http-server.ts';
import { lanAddresses } from './http/lan-addresses.ts';
import { fingerprintOf, loadCertificate, type TlsOptions } from './http/tls.ts';
import { refuseUpgrade } from './http/web-sockets.ts';
import type { ReceiptKey } from './mesh/holdings/receipts.ts';
import type { Shortage } from './mesh/placing/placing.ts';
import { Metrics } from './metrics/metrics.ts';
import type { ServedNode } from './node.ts';
import { ProvideSockets } from './provide/provide-sockets.ts';
import { RequestsInFlight } from './requests-in-flight.ts';
import { type Replaced, Serving } from './serving.ts';

export interface StateSettings {
  readonly directory: string;
  /** From which the key of stored answers is made; null: one is made and kept in the directory. */
  readonly key: Secret | null;
}

export interface ServerOptions {
  readonly node: ServedNode;
  /** Default 127.0.0.1. */
  readonly host?: string;
  /** 0: a free one. */
  readonly port: number;
  readonly tls?: TlsOptions;
  /** The built page (`dist`); its `shaders/` too. */
  readonly pageDirectory: string;
  /** Names that the server answers to besides localhost and, on the network, addresses and this machine's name. */
  readonly allowedHosts?: readonly string[];
  /** Origins whose pages may use the server besides its own. */
  readonly allowedOrigins?: readonly string[];
  /** Default: no keys, and limits for clients that are not on this machine. */
  readonly access?: AccessSettings;
  /** Whether whole-model backends may be lent to it (`/provide`). Default true. */
  readonly takesProviders?: boolean;
  /** Whether a parameter that nobody here knows refuses its request. Default false. */
  readonly isStrict?: boolean;
  /** Where answers with an Idempotency-Key are kept beyond this process; absent: in memory. */
  readonly state?: StateSettings;
  readonly log: Logger;
  readonly timers?: Timers;
}

export interface RunningServer {
  /** For this machine, e.g. `http://127.0.0.1:8787`. */
  readonly url: string;
  /** `url` first, then those for other machines. */
  readonly urls: readonly string[];
  readonly port: number;
  /** Whether workers have to join before anything is answered; changes with `replace`. */
  readonly needsWorkers: boolean;
  /** The workers that are there cannot hold the model; null while they can, where it is not known, and with a proxy. */
  readonly shortage: Shortage | null;
  /** Of a self-signed certificate, else null. */
  readonly selfSigned: { readonly pem: string; readonly fingerprint: string } | null;
  /** What the operator should know: WebGPU will not work over these URLs, and the way out. */
  readonly warning: string | null;
  /** The server's answer to a request, without a socket: no certificate stands in the way. */
  readonly fetch: (input: string | URL | Request, init?: RequestInit) => Promise<Response>;
  status(signal?: AbortSignal): Promise<Status>;
  /** Calls `listener` with every pipeline that goes live from now on. */
  onPipelineLive(listener: (pipeline: NonNullable<Status['pipeline']>) => void): void;
  /**
   * Serves another node from now on; answers on their way finish on the old one (`Serving.replace`).
   * @throws what is wrong with `next`, which leaves everything as it was
   */
  replace(next: ServedNode): Promise<Replaced>;
  /** Reads the API keys' file now; a broken one leaves them as they are and is logged. */
  reloadKeys(): void;
  /**
   * Takes no new API requests and is no longer ready. Resolves when the last answer has ended; what is still on its way
   * after `timeoutMs` is ended with SHUTTING_DOWN. Tabs notice nothing before `close`.
   */
  drain(timeoutMs: number): Promise<void>;
  /** Ends requests, sockets and timers; resolves when nothing is left. Idempotent. */
  close(): Promise<void>;
}

/** @throws PORT_IN_USE, STATE_IN_USE, CONFIG_INVALID (TLS files, address), TOKENIZER_INVALID, MODEL_CONFIG_INVALID */
export async function startServer(options: ServerOptions): Promise<RunningServer> {
  const lock = options.state ? await lockState(options.state.directory, options.log) : null;
  try {
    return await openServer(options, lock);
  } catch (error) {
    await lock?.release();
    throw error;
  }
}

async function openServer(options: ServerOptions, lock: StateLock | null): Promise<RunningServer> {
  const { log, host = '127.0.0.1', timers = systemTimers } = options;
  const guard = createHostGuard({
    boundHost: host,
    allowedHosts: options.allowedHosts ?? [],
    allowedOrigins: options.allowedOrigins ?? [],
  });
  const page = await readPageFiles(options.pageDirectory);
  if (page.size === 0) log.warn(`there is no page in ${options.pageDirectory}; ${MISSING_PAGE_REMEDY}`);
  const certificate = options.tls ? await loadCertificate(options.tls, host, log) : null;
  const store = options.state ? await DirectoryStore.open({ ...options.state, now: Date.now, log }) : null;
  const answers = new KeptAnswers({
    timers,
    onCount: (what) => metrics.answerKept(what),
    ...(store && { keeper: new AnswerKeeper(store, Date.now) }),
  });
  const metrics: Metrics = new Metrics({
    models: async () => {
      const models = await serving.backend.models(AbortSignal.timeout(UPSTREAM_PROBE_MS));
      return models.map(({ id }) => id);
    },
    provider: () => serving.backend.provider,
    now: () => performance.now(),
    kept: () => answers,
  });
  const access = openAccess(options.access ?? {}, {
    host,
    now: () => timers.now(),
    log,
    onRefused: (reason) => metrics.refused(reason),
  });
  const requests = new RequestsInFlight();
  const { trustedProxies = 0 } = options.access ?? {};
  const receiptKey: ReceiptKey = {
    bytes: store?.keyFor('shoal shard receipts') ?? randomBytes(32),
    isKept: store !== null,
  };
  const serving = await Serving.open(options.node, { guard, trustedProxies, receiptKey, timers, log });
  const nodes = () => serving.pool.statuses();
  const app = createApp({
    serving,
    requests,
    page,
    guard,
    access,
    metrics,
    answers,
    nodes,
    isStrict: options.isStrict ?? false,
    log,
  });
  if (store !== null) await restoreAnswers({ store, answers, fetch: app.fetch, now: Date.now, log });
  const server = createHttpServer(app, certificate);
  const allSent = endAfterAnswers(server, requests);
  const providers = new ProvideSockets({
    pool: serving.pool,
    guard,
    authorize: (key = '') => access.mayLend(key),
    isTaking: options.takesProviders ?? true,
    timers,
    log,
  });
  server.on('upgrade', (request, socket, head) => {
    // Node has taken its own listener away: without one, a client's reset would end the process.
    socket.on('error', () => socket.destroy());
    if (providers.upgrade(request, socket, head) || serving.upgrade(request, socket, head)) return;
    refuseUpgrade(socket, '404 Not Found');
  });

  const within = (ms: number, event: Promise<unknown>) =>
    new Promise<boolean>((resolve) => {
      const cancel = timers.after(ms, () => resolve(false));
      void event.then(() => {
        cancel();
        resolve(true);
      });
    });
  const drain = async (timeoutMs: number) => {
    requests.stopTaking();
    answers.endUnread(
      new ShoalError('SHUTTING_DOWN', 'the server is shutting down, and nobody read the answer'),
    );
    const batch = requests.now();
    if (batch.count > 0) {
      // A warning, so that who just stopped a quiet `shoal up` knows why it is still there.
      log.warn({ requests: batch.count }, `finishing what is on its way, ${timeoutMs / 1_000} s at most`);
    }
    if (await within(timeoutMs, batch.ended)) return;
    log.warn({ requests: requests.count }, `not finished after ${timeoutMs / 1_000} s; ending it`);
    answers.breakOff();
    batch.abort(
      new ShoalError(
        'SHUTTING_DOWN',
        'the server is shutting down, and the answer took too long; send the request again',
      ),
    );
    await within(LAST_WORDS_MS, batch.ended);
  };
  let closing: Promise<void> | null = null;
  const close = async () => {
    answers.close();
    await serving.close();
    await store?.settled();
    await providers.close();
    // After a drain what was written last may still be on its way to a slow client.
    if (!requests.isTaking) await within(LAST_WORDS_MS, allSent());
    await new Promise<void>((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
    await lock?.release();
  };
  try {
    await listen(server, options.port, host);
  } catch (error) {
    await serving.close();
    throw error;
  }
  const { port } = server.address() as AddressInfo;
  const urls = urlsOf(host, port, certificate !== null);
  return {
    url: urls[0]!,
    urls,
    port,
    get needsWorkers() {
      return serving.mesh !== null;
    },
    get shortage() {
      return serving.mesh?.shortage ?? null;
    },
    selfSigned:
      certificate !== null && options.tls?.kind === 'self-signed'
        ? { pem: certificate.cert, fingerprint: fingerprintOf(certificate.cert) }
        : null,
    warning: certificate === null && !isLoopback(host) ? insecureWarning(port) : null,
    fetch: async (input, init) => app.fetch(new Request(input, init), IN_PROCESS),
    status: (signal = new AbortController().signal) => app.status(signal),
    onPipelineLive(listener) {
      serving.onPipelineLive(listener);
    },
    replace: (next) => serving.replace(next),
    reloadKeys: () => access.reload(),
    drain,
    close: () => {
      closing ??= close();
      return closing;
    },
  };
}

function urlsOf(host: string, port: number, isTls: boolean): string[] {
  const url = (name: string) =>
    `${isTls ? 'https' : 'http'}://${name.includes(':') ? `[${name}]` : name}:${port}`;
  if (host === '0.0.0.0' || host === '::') {
    const reachable = lanAddresses().filter((address) => host === '::' || !address.includes(':'));
    return ['127.0.0.1', ...reachable].map(url);
  }
  return [url(host)];
}

function insecureWarning(port: number): string {
  return [
    'WebGPU exists only in a secure context: over http, browsers on other machines can chat but not contribute.',
    'Ways out: --tls-self-signed (browsers warn once), --tls-cert with --tls-key, a reverse proxy with TLS,',
    `or a tunnel: ssh -L ${port}:127.0.0.1:${port} this-machine, then http://127.0.0.1:${port} over there.`,
  ].join(' ');
}
