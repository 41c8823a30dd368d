import { hostname } from 'node:os';
import type { Logger } from 'pino';
import { WebSocket } from 'ws';
import { NodePool } from '../backend/pool/node-pool.ts';
import { createRoutedBackend } from '../backend/pool/routed.ts';
import { openProxyNodes } from '../backend/proxy-nodes.ts';
import type { ModelBackendConfig, ProxyConfig } from '../config/backend-config.ts';
import { ShoalError } from '../config/errors.ts';
import {
  DRAIN_TIMEOUT_SECONDS,
  MAX_NODE_CONCURRENT,
  MAX_PROVIDE_REQUEST_BYTES,
  REMIND_MS,
  SHUTDOWN_MS,
} from '../config/limits.ts';
import { Secret } from '../config/secret.ts';
import type { WebSocketLike } from '../mesh/reconnecting-socket.ts';
import { systemTimers } from '../mesh/timers.ts';
import { leadsBack } from '../worker/leads-back.ts';
import { type Lent, ProviderHost } from '../worker/provider-host.ts';
import { followConfig } from './follow-config.ts';
import type { WorkerFlags } from './program.ts';
import type { Scope } from './scope.ts';
import { agentWith, isUntrusted, type TrustFlags, untrustedHint } from './server-trust.ts';

/** `shoal worker` with a proxy in its model_backend.yaml: lends whole models to the server, without a browser. */
export async function provide(
  flags: WorkerFlags,
  file: string,
  config: ProxyConfig,
  log: Logger,
  scope: Scope,
): Promise<void> {
  const { server } = flags;
  const key = flags.key ?? process.env.SHOAL_API_KEY;
  let end: (error?: ShoalError) => void = () => {};
  const ended = new Promise<void>((resolve, reject) => {
    end = (error) => (error === undefined ? resolve() : reject(error));
  });
  let toldMs = Number.NEGATIVE_INFINITY;
  const isNews = () => {
    const now = performance.now();
    if (now - toldMs < REMIND_MS) return false;
    toldMs = now;
    return true;
  };
  const onRefused = (error: NodeJS.ErrnoException) => {
    if (error instanceof ShoalError) return end(error);
    if (!isUntrusted(error.code ?? '') || !isNews()) return;
    void untrustedHint(server, error.code!).then((hint) => log.warn(`${server}: ${hint}`));
  };
  const host = new ProviderHost(lentOf(config, server), {
    serverUrl: server,
    name: (flags.name ?? hostname()).slice(0, 64),
    ...(key !== undefined && { key: new Secret(key) }),
    openSocket: (url) => openSocket(url, server, flags, onRefused),
    timers: systemTimers,
    random: Math.random,
    onState: (state) => {
      if (state !== 'ready') return;
      toldMs = Number.NEGATIVE_INFINITY;
      log.info(`connected to ${server}`);
    },
    onOffer: (offer) => {
      if ('error' in offer) log.warn(`nothing to lend: ${offer.error.message}`);
      else log.info(`lending ${offer.models.join(', ') || 'no model'} to ${server}`);
    },
    onError: (error) => {
      if (host.state === 'refused') return end(error);
      // A server that stays away is told of now and then.
      if (error.code !== 'LINK_FAILED' || isNews()) log.warn(`${server}: ${error.message}`);
    },
  });
  scope.defer(
    async () => {
      if (host.inFlight > 0)
        log.info(`finishing ${host.inFlight} ${host.inFlight === 1 ? 'request' : 'requests'}`);
      await host.drain(AbortSignal.timeout(DRAIN_TIMEOUT_SECONDS * 1_000));
      await host.close();
    },
    DRAIN_TIMEOUT_SECONDS * 1_000 + SHUTDOWN_MS,
  );
  host.start();
  const apply = async (next: ModelBackendConfig) => host.replace(lentOf(proxyOf(next), server));
  followConfig({ file, config, apply, log }, scope);
  scope.signal.addEventListener('abort', () => end(), { once: true });
  await ended;
}

function proxyOf(config: ModelBackendConfig): ProxyConfig {
  if (config.provider !== 'fxn') return config;
  const remedy = 'start shoal worker again for tabs that lend a GPU';
  throw new ShoalError('CONFIG_INVALID', `a worker that lends a proxy cannot become a browser; ${remedy}`);
}

/** @throws CONFIG_INVALID where a node is the server itself */
function lentOf(config: ProxyConfig, server: string): Lent {
  const loop = config.nodes.find(({ url }) => leadsBack(url, server));
  if (loop !== undefined) {
    throw new ShoalError(
      'CONFIG_INVALID',
      `url: ${loop.url} is the server that this is lent to, so each request would come back to it; name the backend's own address`,
    );
  }
  const nodes = openProxyNodes(config);
  const pool = new NodePool();
  for (const node of nodes) pool.add(node);
  const total = nodes.reduce((sum, { maxConcurrent }) => sum + maxConcurrent, 0);
  return {
    backend: createRoutedBackend({ pool, provider: config.provider }),
    maxConcurrent: Math.min(total, MAX_NODE_CONCURRENT),
    anyModel: nodes.some(({ anyModel }) => anyModel),
    hidden: config.nodes.flatMap(({ url }) => [url, new URL(url).origin, new URL(url).host]),
  };
}

/** @param onRefused gets what stands in the way of a connection, which the browser's interface does not tell */
function openSocket(
  url: string,
  server: string,
  trust: TrustFlags,
  onRefused: (error: NodeJS.ErrnoException) => void,
): WebSocketLike {
  const agent = agentWith(server, trust);
  const socket = new WebSocket(url, {
    maxPayload: MAX_PROVIDE_REQUEST_BYTES,
    perMessageDeflate: false,
    ...(agent !== undefined && { agent }),
  });
  socket.on('error', onRefused);
  // The type fits; ws declares its handlers with more of the event than is used.
  return socket as unknown as WebSocketLike;
}
