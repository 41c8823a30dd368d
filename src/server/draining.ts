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

/** Answers that began before it said keep-alive; their connections end with them all the same. */
export function endAfterAnswers(server: Server, requests: RequestsInFlight): void {
  function finished(this: ServerResponse): void {
    if (!requests.isTaking) this.req.socket.end();
  }
  server.prependListener('request', (_request, response: ServerResponse) => {
    response.once('finish', finished);
  });
}
