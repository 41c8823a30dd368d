/** The control WebSockets at `/signal`: who may connect. */
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { WebSocketServer } from 'ws';
import { MAX_CONTROL_BYTES, MAX_SPECTATORS, MAX_WORKERS } from '../../../config/limits.ts';
import { addressGroup, clientAddress } from '../../access/client-address.ts';
import type { HostGuard } from '../../http/host-guard.ts';
import { closeWebSockets, refuseUpgrade, upgradeRefusal } from '../../http/web-sockets.ts';
import { ControlConnection, type ControlOptions } from './control-connection.ts';
import { type ControlSocket, controlSocketOf } from './control-socket.ts';
import { Lobby } from './lobby.ts';

export const SIGNAL_PATH = '/signal';

export interface SignalingOptions extends ControlOptions {
  readonly guard: HostGuard;
  /** Reverse proxies before this server, whose X-Forwarded-For tells the peer's address; default 0. */
  readonly trustedProxies?: number;
}

export class Signaling {
  readonly #options: SignalingOptions;
  readonly #lobby = new Lobby();
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
      this.accept(controlSocketOf(webSocket), this.#addressOf(request));
    });
  }

  /**
   * A connection, whatever carries it.
   * @param address of one machine, or one household; null: not known
   */
  accept(socket: ControlSocket, address: string | null): void {
    new ControlConnection(socket, address, this.#lobby, this.#options);
  }

  /** Says goodbye to everyone; resolves when all sockets are closed. */
  close(): Promise<void> {
    return closeWebSockets(this.#sockets, this.#options.timers);
  }

  #refusal(request: IncomingMessage): string | null {
    // Workers and spectators are bounded apart, and refused with a sentence; these are sockets that take their time to close.
    const isFull = this.#sockets.clients.size >= MAX_WORKERS + 2 * MAX_SPECTATORS;
    return (
      upgradeRefusal(request, SIGNAL_PATH, this.#options.guard) ?? (isFull ? '503 Service Unavailable' : null)
    );
  }

  #addressOf({ socket, headers }: IncomingMessage): string | null {
    if (socket.remoteAddress === undefined) return null;
    const forwardedFor = headers['x-forwarded-for'];
    const path = Array.isArray(forwardedFor) ? forwardedFor.join(',') : forwardedFor;
    return addressGroup(clientAddress(socket.remoteAddress, path, this.#options.trustedProxies ?? 0));
  }
}
