/** The control WebSockets at `/signal`: who may connect. */
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { WebSocketServer } from 'ws';
import { MAX_CONTROL_BYTES, MAX_WORKERS } from '../../config/limits.ts';
import type { HostGuard } from '../http/host-guard.ts';
import { closeWebSockets, refuseUpgrade, upgradeRefusal } from '../http/web-sockets.ts';
import { ControlConnection, type ControlOptions } from './control-connection.ts';
import { controlSocketOf } from './control-socket.ts';

export type { IceServers } from './control-connection.ts';

export const SIGNAL_PATH = '/signal';

export interface SignalingOptions extends ControlOptions {
  readonly guard: HostGuard;
}

export class Signaling {
  readonly #options: SignalingOptions;
  readonly #sockets = new WebSocketServer({
    noServer: true,
    maxPayload: MAX_CONTROL_BYTES,
    perMessageDeflate: false,
  });

  constructor(options: SignalingOptions) {
    this.#options = options;
  }

  /** For the HTTP server's `upgrade` event. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    // Without a listener, a reset during the handshake would end the process.
    socket.on('error', () => socket.destroy());
    const refusal = this.#refusal(request);
    if (refusal !== null) {
      this.#options.log.warn({ status: refusal, origin: request.headers.origin }, 'WebSocket refused');
      refuseUpgrade(socket, refusal);
      return;
    }
    this.#sockets.handleUpgrade(request, socket, head, (webSocket) => {
      const address = request.socket.remoteAddress ?? null;
      new ControlConnection(controlSocketOf(webSocket), address, this.#options);
    });
  }

  /** Says goodbye to everyone; resolves when all sockets are closed. */
  close(): Promise<void> {
    return closeWebSockets(this.#sockets, this.#options.timers);
  }

  #refusal(request: IncomingMessage): string | null {
    // Spectators count too; the registry refuses at MAX_WORKERS with a sentence, this bounds those before hello.
    const isFull = this.#sockets.clients.size >= 2 * MAX_WORKERS;
    return (
      upgradeRefusal(request, SIGNAL_PATH, this.#options.guard) ?? (isFull ? '503 Service Unavailable' : null)
    );
  }
}
