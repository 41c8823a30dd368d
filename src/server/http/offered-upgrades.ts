/**
 * An offer to change the protocol (`Upgrade: h2c`, of every JDK client and of `curl --http2`) is answered as if it were not
 * there (RFC 9110 §7.8), unless it is a WebSocket handshake. Node ends HTTP for every offer as soon as a server listens for
 * `upgrade`, but it asks the message first, whose class a server may choose.
 */
import { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { readOn } from './read-on.ts';

/** A request whose offer counts only where it is a WebSocket handshake. */
export class OfferingMessage extends IncomingMessage {
  #isOffered: boolean | null = null;
  #isRead = false;

  constructor(socket: Socket) {
    super(socket);
    // Node's constructor sets a property of its own, which would hide accessors of the class.
    Object.defineProperty(this, 'upgrade', {
      enumerable: true,
      get: () => this.#isTaken(),
      set: (isOffered: boolean | null) => {
        this.#isOffered = isOffered;
      },
    });
  }

  /** Node asks once method and headers are there. */
  #isTaken(): boolean | null {
    if (!this.#isOffered || this.method === 'CONNECT' || isWebSocketHandshake(this)) return this.#isOffered;
    if (!this.#isRead) readOn(this);
    this.#isRead = true;
    return false;
  }
}

/** `h2c, websocket` is none: `ws` takes no list. */
function isWebSocketHandshake({ method, headers }: IncomingMessage): boolean {
  return method === 'GET' && headers.upgrade?.trim().toLowerCase() === 'websocket';
}
