/** What signaling needs of a WebSocket: the network's and the simulator's look the same to it. */
import { type RawData, WebSocket } from 'ws';

export interface ControlSocketEvents {
  /** `null`: it was binary. */
  message(text: string | null, bytes: number): void;
  /** Why it is about to close. */
  failed(error: Error): void;
  closed(): void;
}

export interface ControlSocket {
  readonly isOpen: boolean;
  /** Sent, and not yet taken by the network. */
  readonly bufferedAmount: number;
  /** Called once, before anything comes. */
  listen(events: ControlSocketEvents): void;
  send(text: string): void;
  /** So that what lies between (NAT, proxies) keeps the connection; the answer says nothing about the page. */
  ping(): void;
  close(code: number, reason: string): void;
  /** Without goodbye. */
  terminate(): void;
}

export function controlSocketOf(socket: WebSocket): ControlSocket {
  return {
    get isOpen() {
      return socket.readyState === WebSocket.OPEN;
    },
    get bufferedAmount() {
      return socket.bufferedAmount;
    },
    listen(events) {
      socket.on('message', (data, isBinary) => {
        events.message(isBinary ? null : String(data), bytesOf(data));
      });
      socket.on('error', (error) => events.failed(error));
      socket.on('close', () => events.closed());
    },
    send: (text) => socket.send(text),
    ping: () => socket.ping(),
    close: (code, reason) => socket.close(code, reason),
    terminate: () => socket.terminate(),
  };
}

function bytesOf(data: RawData): number {
  return Array.isArray(data) ? data.reduce((sum, part) => sum + part.byteLength, 0) : data.byteLength;
}
