import type { HttpBindings } from '@hono/node-server';
import type { App } from '../app.ts';

const STREAM = /^(text\/event-stream|application\/x-ndjson)\b/;

/**
 * Streams leave with their first event. @hono/node-server otherwise holds the first part of every body for a turn of the
 * timers (a millisecond and more), to see whether it is the whole and a Content-Length can be told; a body that is said to
 * be chunked it sends as it comes. HTTP/1.0 knows no chunks and waits.
 */
export function unbuffered(fetch: App['fetch']): App['fetch'] {
  return async (request, env) => {
    const response = await fetch(request, env);
    const { incoming, outgoing } = env as HttpBindings;
    if (incoming.httpVersion === '1.1' && STREAM.test(response.headers.get('content-type') ?? '')) {
      response.headers.set('transfer-encoding', 'chunked');
      // Headers and first event in one packet, where the event is there already.
      const { socket } = outgoing;
      socket?.cork();
      process.nextTick(() => socket?.uncork());
    }
    return response;
  };
}
