/** The WebSockets at `/provide`: who may connect as a whole-model provider. */
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Logger } from 'pino';
import { WebSocket, WebSocketServer } from 'ws';
import { type Clock, systemClock } from '../../backend/clock.ts';
import type { NodePool } from '../../backend/pool/node-pool.ts';
import { MAX_PROVIDER_MESSAGE_BYTES, MAX_PROVIDERS } from '../../config/limits.ts';
import { PROVIDE_PATH } from '../../mesh/protocol/provide.ts';
import type { Timers } from '../../mesh/timers.ts';
import type { HostGuard } from '../http/host-guard.ts';
import { closeWebSockets, refuseUpgrade, upgradeRefusal } from '../http/web-sockets.ts';
import { ProviderSession, type SessionOptions } from './session.ts';

export interface ProvideSocketsOptions {
  /** Where the joined providers become nodes. */
  readonly pool: NodePool;
  readonly guard: HostGuard;
  /** Default: everyone who reaches the server may lend a model, as everyone may lend a GPU. */
  readonly authorize?: SessionOptions['authorize'];
  readonly isTaking?: SessionOptions['isTaking'];
  readonly timers: Timers;
  readonly clock?: Clock;
  readonly log: Logger;
}

export class ProvideSockets {
  readonly #options: ProvideSocketsOptions;
  readonly #sockets = new WebSocketServer({
    noServer: true,
    maxPayload: MAX_PROVIDER_MESSAGE_BYTES,
    perMessageDeflate: false,
  });
  readonly #admitted = new Set<WebSocket>();
  #sessions = 0;

  constructor(options: ProvideSocketsOptions) {
    this.#options = options;
  }

  /** For the HTTP server's `upgrade` event. @returns false for another path */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): boolean {
    const { guard, log } = this.#options;
    if (request.url?.split('?')[0] !== PROVIDE_PATH) return false;
    // Without a listener, a reset during the handshake would end the process.
    socket.on('error', () => socket.destroy());
    // Bounds those that have not said hello; MAX_PROVIDERS is refused with a sentence.
    const isFull = this.#sockets.clients.size >= 2 * MAX_PROVIDERS;
    const refusal =
      upgradeRefusal(request, PROVIDE_PATH, guard) ?? (isFull ? '503 Service Unavailable' : null);
    if (refusal !== null) {
      log.warn({ status: refusal, origin: request.headers.origin }, 'provider refused');
      refuseUpgrade(socket, refusal);
      return true;
    }
    this.#sockets.handleUpgrade(request, socket, head, (webSocket) => this.#opened(webSocket));
    return true;
  }

  /** Says goodbye to everyone; resolves when all sockets are closed. */
  close(): Promise<void> {
    return closeWebSockets(this.#sockets, this.#options.timers);
  }

  #opened(socket: WebSocket): void {
    const { pool, authorize = () => true, isTaking = true, timers, clock = systemClock, log } = this.#options;
    const session = new ProviderSession(
      {
        get isOpen() {
          return socket.readyState === WebSocket.OPEN;
        },
        get bufferedAmount() {
          return socket.bufferedAmount;
        },
        send: (text) => socket.send(text),
        close: (code, reason) => socket.close(code, reason),
        terminate: () => socket.terminate(),
      },
      {
        // Clients allow lenders by it, and remember it when this server starts again.
        id: `provider-${++this.#sessions}-${crypto.randomUUID().slice(0, 8)}`,
        pool,
        authorize,
        isTaking,
        admit: () => {
          if (this.#admitted.size >= MAX_PROVIDERS) return false;
          this.#admitted.add(socket);
          return true;
        },
        timers,
        clock,
        log,
      },
    );
    let closeReason = 'the connection was closed';
    socket.on('message', (data, isBinary) => session.received(isBinary ? null : String(data)));
    // ws itself closes with 1009 above maxPayload, before the message is in memory.
    socket.on('error', (error) => {
      closeReason = error.message;
    });
    socket.on('close', () => {
      this.#admitted.delete(socket);
      session.closed(closeReason);
    });
  }
}
