/** Node's HTTP or HTTPS server with every bound set, and the way it ends. */
import type { Server } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { createAdaptorServer } from '@hono/node-server';
import { ShoalError } from '../../config/errors.ts';
import {
  HTTP_CHECK_MS,
  HTTP_HEADERS_MS,
  HTTP_KEEP_ALIVE_MS,
  HTTP_REQUEST_MS,
  MAX_CONNECTIONS,
  MAX_HEADER_BYTES,
} from '../../config/limits.ts';
import type { App } from '../app.ts';
import { OfferingMessage } from './offered-upgrades.ts';
import type { Certificate } from './self-signed.ts';
import { unbuffered } from './unbuffered.ts';

/** Milliseconds. They bound what a client sends; an answer may take as long as it takes. */
export interface HttpTimes {
  readonly headers: number;
  /** Headers and body. */
  readonly request: number;
  readonly keepAlive: number;
  /** How often connections are looked at. */
  readonly check: number;
}

const TIMES: HttpTimes = {
  headers: HTTP_HEADERS_MS,
  request: HTTP_REQUEST_MS,
  keepAlive: HTTP_KEEP_ALIVE_MS,
  check: HTTP_CHECK_MS,
};

/** A client too slow with its headers or its body gets 408 and is cut off, by Node itself. */
export function createHttpServer(
  app: Pick<App, 'fetch'>,
  certificate: Certificate | null,
  times: HttpTimes = TIMES,
): Server {
  const limits = {
    headersTimeout: times.headers,
    requestTimeout: times.request,
    keepAliveTimeout: times.keepAlive,
    connectionsCheckingInterval: times.check,
    maxHeaderSize: MAX_HEADER_BYTES,
    IncomingMessage: OfferingMessage,
  };
  const fetch = unbuffered(app.fetch);
  const server = createAdaptorServer(
    certificate
      ? {
          fetch,
          createServer: createHttpsServer,
          serverOptions: { ...certificate, ...limits },
        }
      : { fetch, serverOptions: limits },
  ) as Server;
  server.maxConnections = MAX_CONNECTIONS;
  return server;
}

/** @throws PORT_IN_USE; CONFIG_INVALID for an address or port that cannot be bound */
export async function listen(server: Server, port: number, host: string): Promise<void> {
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
