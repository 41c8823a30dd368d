/** What all WebSocket servers here share: the check before the handshake (CORS does not cover WebSockets), and the goodbye. */
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { WebSocketServer } from 'ws';
import type { Timers } from '../../mesh/timers.ts';
import type { HostGuard } from './host-guard.ts';

/** WebSocket close codes (RFC 6455 §7.4.1). */
const GOING_AWAY = 1001;
export const POLICY_VIOLATION = 1008;
export const TRY_AGAIN_LATER = 1013;

/** Who does not answer the close by then is cut off. */
const GOODBYE_MS = 500;

/** @returns the HTTP status line to refuse with, or null */
export function upgradeRefusal(
  { url, headers }: IncomingMessage,
  path: string,
  guard: HostGuard,
): string | null {
  if (url?.split('?')[0] !== path) return '404 Not Found';
  if (!guard.allowsHost(headers.host)) return '403 Forbidden';
  if (!guard.allowsOrigin(headers.origin, headers.host)) return '403 Forbidden';
  return null;
}

/** Closes the socket too: Node's time limits do not count for it any more, and a client might keep its end for ever. */
export function refuseUpgrade(socket: Duplex, status: string): void {
  socket.once('finish', () => socket.destroy());
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
}

/** Says goodbye to everyone; resolves when all sockets are closed. */
export async function closeWebSockets(sockets: WebSocketServer, timers: Timers): Promise<void> {
  const closed = new Promise<void>((resolve) => sockets.close(() => resolve()));
  for (const socket of sockets.clients) socket.close(GOING_AWAY, 'the server is shutting down');
  const cancel = timers.after(GOODBYE_MS, () => {
    for (const socket of sockets.clients) socket.terminate();
  });
  await closed;
  cancel();
}
