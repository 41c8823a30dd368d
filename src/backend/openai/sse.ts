/** Server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html) as OpenAI's API uses them. */
import { SSE_KEEPALIVE_MS } from '../../config/limits.ts';
import type { Clock } from '../clock.ts';
import { Watchdog } from '../watchdog.ts';

const encoder = new TextEncoder();

/** JSON never holds a raw line break, so one `data:` line carries it whole. */
export const sseData = (value: unknown): Uint8Array => sseText(JSON.stringify(value));
/** Text of several lines is several `data:` lines. @param name of the event, where it has one; one line */
export const sseText = (data: string, name: string | null = null): Uint8Array =>
  encoder.encode(`${name === null ? '' : `event: ${name}\n`}data: ${data.replaceAll('\n', '\ndata: ')}\n\n`);
export const SSE_DONE = encoder.encode('data: [DONE]\n\n');
/** Clients skip comments; proxies see that the connection lives. */
const KEEPALIVE = encoder.encode(': waiting\n\n');
/**
 * The same in a stream whose events have ids. Without a blank line: OpenAI's client for Python takes one, behind any event that
 * had an id, for an event without data, and fails to read that as JSON.
 */
export const KEEPALIVE_WITH_IDS = encoder.encode(': waiting\n');

/** `no-transform` keeps proxies from compressing, and so from buffering; nginx buffers unless told by its own header. */
export const SSE_HEADERS = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-cache, no-transform',
  'x-accel-buffering': 'no',
} as const;

/**
 * A body that takes the next event only when the client wants one, and sends a comment while there is none.
 *
 * @param events must not throw: errors are events too by then
 * @param hangUp called once when the client cancels
 */
export function sseBody(
  events: AsyncGenerator<Uint8Array>,
  clock: Clock,
  hangUp: (reason: unknown) => void,
  keepalive: Uint8Array = KEEPALIVE,
): ReadableStream<Uint8Array> {
  let pending: Promise<IteratorResult<Uint8Array>> | undefined;
  let onSilent = () => {};
  const watchdog = new Watchdog(clock, () => onSilent());
  return new ReadableStream({
    async pull(controller) {
      pending ??= events.next();
      const silent = new Promise<'silent'>((resolve) => {
        onSilent = () => resolve('silent');
      });
      watchdog.arm(SSE_KEEPALIVE_MS);
      const result = await Promise.race([pending, silent]);
      if (result === 'silent') return controller.enqueue(keepalive);
      watchdog.rest();
      pending = undefined;
      if (!result.done) return controller.enqueue(result.value);
      watchdog.stop();
      controller.close();
    },
    async cancel(reason) {
      watchdog.stop();
      hangUp(reason);
      await events.return(undefined);
    },
  });
}

/** What `pending` gives, or `silent` when it takes longer than `ms`. */
export async function unlessSilent<T>(pending: Promise<T>, clock: Clock, ms: number): Promise<T | 'silent'> {
  const settled = new AbortController();
  try {
    return await Promise.race([pending, clock.sleep(ms, settled.signal).then(() => 'silent' as const)]);
  } finally {
    settled.abort('settled');
  }
}
