/** How connections end while the server drains: each after its answer, so that clients find another server. */
import type { Server, ServerResponse } from 'node:http';
import type { MiddlewareHandler } from 'hono';
import type { RequestsInFlight } from './requests-in-flight.ts';

/** Answers that begin while the server drains say that their connection ends. */
export function closeWhileDraining(requests: RequestsInFlight): MiddlewareHandler {
  return async (c, next) => {
    await next();
    if (!requests.isTaking) c.res.headers.set('connection', 'close');
  };
}

/**
 * Answers that began before it said keep-alive; their connections end with them all the same.
 * @returns resolves when everything that was answered has left. `server.close` does not wait for that: to Node a
 *   connection is idle once its answer is complete, however much of it waits for a slow client.
 */
export function endAfterAnswers(server: Server, requests: RequestsInFlight): () => Promise<void> {
  const open = new Set<ServerResponse>();
  const waiting = new Set<() => void>();
  function finished(this: ServerResponse): void {
    if (!requests.isTaking) this.req.socket.end();
  }
  function closed(this: ServerResponse): void {
    open.delete(this);
    if (open.size > 0) return;
    for (const resolve of waiting) resolve();
    waiting.clear();
  }
  server.prependListener('request', (_request, response: ServerResponse) => {
    open.add(response);
    response.once('finish', finished).once('close', closed);
  });
  return () =>
    new Promise((resolve) => {
      if (open.size === 0) resolve();
      else waiting.add(resolve);
    });
}
