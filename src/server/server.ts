/** The server as a whole: HTTP or HTTPS, signaling, mesh and backend, from start to an end that leaves nothing running. */
import type { Server } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { createAdaptorServer } from '@hono/node-server';
import type { Logger } from 'pino';
import type { Backend } from '../backend/backend.ts';
import { createFxnBackend } from '../backend/fxn.ts';
import { loadServedModel } from '../backend/load-served-model.ts';
import { ShoalError } from '../config/errors.ts';
import type { WireDtype } from '../gpu/stage-engine.ts';
import type { Status } from '../mesh/protocol/status.ts';
import type { ModelDirectory } from '../model/directory.ts';
import type { Quantization } from '../model/shard.ts';
import { modelCosts } from '../schedule/costs.ts';
import { type App, createApp } from './app.ts';
import { defaultWire } from './default-wire.ts';
import { createHostGuard, isLoopback } from './host-guard.ts';
import { Mesh } from './mesh.ts';
import { readPageFiles } from './page-files.ts';
import { type IceServers, Signaling } from './signaling.ts';
import { systemTimers, type Timers } from './timers.ts';
import { type Certificate, lanAddresses, loadCertificate, type TlsOptions } from './tls.ts';

/** The native engine: workers join, and the model runs on them. */
export interface MeshNode {
  readonly kind: 'mesh';
  readonly model: ModelDirectory;
  /** Default `native`. */
  readonly quantization?: Quantization;
  /** Default: `defaultWire`. */
  readonly wire?: WireDtype;
  /** Stages at most; without it all workers up to the model's layers. */
  readonly pipelineSize?: number;
  /** The first placement waits for so many workers, EXPECT_WORKERS_MS at most. */
  readonly expectWorkers?: number;
  /** For the tabs' connections to each other; none: only addresses that reach each other directly. */
  readonly iceServers?: IceServers;
}

/** Requests are forwarded; there is no mesh. */
export interface ProxyNode {
  readonly kind: 'proxy';
  readonly backend: Backend;
}

export interface ServerOptions {
  readonly node: MeshNode | ProxyNode;
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
  readonly log: Logger;
  readonly timers?: Timers;
}

export interface RunningServer {
  /** For this machine, e.g. `http://127.0.0.1:8787`. */
  readonly url: string;
  /** `url` first, then those for other machines. */
  readonly urls: readonly string[];
  readonly port: number;
  /** Whether workers have to join before anything is answered. */
  readonly needsWorkers: boolean;
  /** PEM of a self-signed certificate, else null. */
  readonly selfSignedCertificate: string | null;
  /** What the operator should know: WebGPU will not work over these URLs, and the way out. */
  readonly warning: string | null;
  /** The server's answer to a request, without a socket: no certificate stands in the way. */
  readonly fetch: (input: string | URL | Request, init?: RequestInit) => Promise<Response>;
  status(signal?: AbortSignal): Promise<Status>;
  /** Calls `listener` with every pipeline that goes live from now on. */
  onPipelineLive(listener: (pipeline: NonNullable<Status['pipeline']>) => void): void;
  /** Ends requests, sockets and timers; resolves when nothing is left. Idempotent. */
  close(): Promise<void>;
}

/** @throws PORT_IN_USE, CONFIG_INVALID (TLS files, address), TOKENIZER_INVALID, MODEL_CONFIG_INVALID */
export async function startServer(options: ServerOptions): Promise<RunningServer> {
  const { node, log, host = '127.0.0.1', timers = systemTimers } = options;
  const guard = createHostGuard({
    boundHost: host,
    allowedHosts: options.allowedHosts ?? [],
    allowedOrigins: options.allowedOrigins ?? [],
  });
  const page = await readPageFiles(options.pageDirectory);
  if (page.size === 0) log.warn(`no page in ${options.pageDirectory}; npm run build makes it`);
  const certificate = options.tls ? await loadCertificate(options.tls, host) : null;
  const { backend, mesh } = await openNode(node, timers, log);
  const app = createApp({
    backend,
    ...(mesh && node.kind === 'mesh' && { served: { mesh, files: node.model } }),
    page,
    guard,
    log,
  });
  const server = createHttpServer(app, certificate);
  const iceServers = node.kind === 'mesh' ? (node.iceServers ?? []) : [];
  const signaling = mesh && new Signaling({ mesh, guard, iceServers, timers, log });
  server.on('upgrade', (request, socket, head) => {
    if (signaling) signaling.upgrade(request, socket, head);
    else socket.end('HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
  });

  let closing: Promise<void> | null = null;
  const close = async () => {
    mesh?.close();
    await backend.close();
    await signaling?.close();
    await new Promise<void>((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  };
  try {
    await listen(server, options.port, host);
  } catch (error) {
    mesh?.close();
    await backend.close();
    throw error;
  }
  const { port } = server.address() as AddressInfo;
  const urls = urlsOf(host, port, certificate !== null);
  return {
    url: urls[0]!,
    urls,
    port,
    needsWorkers: mesh !== null,
    selfSignedCertificate: options.tls?.kind === 'self-signed' ? (certificate?.cert ?? null) : null,
    warning: certificate === null && !isLoopback(host) ? insecureWarning(port) : null,
    fetch: async (input, init) => app.fetch(new Request(input, init)),
    status: (signal = new AbortController().signal) => app.status(signal),
    onPipelineLive(listener) {
      mesh?.pipelines.onLive((pipeline) => listener({ epoch: pipeline.epoch, stages: pipeline.infos() }));
    },
    close: () => {
      closing ??= close();
      return closing;
    },
  };
}

async function openNode(
  node: MeshNode | ProxyNode,
  timers: Timers,
  log: Logger,
): Promise<{ backend: Backend; mesh: Mesh | null }> {
  if (node.kind === 'proxy') return { backend: node.backend, mesh: null };
  const { model, quantization = 'native', wire = defaultWire(node.model.spec.hidden) } = node;
  const { pipelineSize, expectWorkers } = node;
  const served = await loadServedModel(model);
  const mesh = new Mesh({
    model: model.model,
    costs: modelCosts(model.spec, model.dtype, quantization),
    quantization,
    wire,
    ...(pipelineSize !== undefined && { pipelineSize }),
    ...(expectWorkers !== undefined && { expectWorkers }),
    timers,
    log,
  });
  const backend = createFxnBackend({
    generator: mesh.coordinator,
    model: served,
    readiness: () => mesh.readiness(),
  });
  return { backend, mesh };
}

function createHttpServer(app: App, certificate: Certificate | null): Server {
  const server = certificate
    ? createAdaptorServer({
        fetch: app.fetch,
        createServer: createHttpsServer,
        serverOptions: { ...certificate },
      })
    : createAdaptorServer({ fetch: app.fetch });
  return server as Server;
}

/** @throws PORT_IN_USE; CONFIG_INVALID for an address or port that cannot be bound */
async function listen(server: Server, port: number, host: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      reject(
        error.code === 'EADDRINUSE'
          ? new ShoalError(
              'PORT_IN_USE',
              `port ${port} on ${host} is taken by another program; stop it, or choose another port with --port`,
              { cause: error },
            )
          : new ShoalError('CONFIG_INVALID', `cannot listen on ${host}, port ${port}: ${error.message}`, {
              cause: error,
            }),
      );
    });
    server.listen(port, host, resolve);
  });
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
