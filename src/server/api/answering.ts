/** What every request for an answer goes through, whichever API it speaks: body, count, report, release. */
import type { Context } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import type { AnswerReport, Backend, RequestContext } from '../../backend/backend.ts';
import { ShoalError } from '../../config/errors.ts';
import { MAX_BODY_BYTES, MAX_PROXY_BODY_BYTES } from '../../config/limits.ts';
import { generationOf } from '../access/generation.ts';
import type { RequestsInFlight } from '../requests-in-flight.ts';
import { checkJsonBounds } from './json-bounds.ts';

export type Answering = (
  c: Context,
  call: (body: unknown, context: RequestContext) => Promise<Response>,
) => Promise<Response>;

/** The context's signal aborts when the client hangs up, and when the server ends the request. */
export function createAnswering(backend: Backend, requests: RequestsInFlight): Answering {
  const native = limitTo(MAX_BODY_BYTES);
  // Images go to a proxy within the JSON.
  const proxy = limitTo(MAX_PROXY_BODY_BYTES);
  return async (c, call) => {
    // Before the body is read, so that nobody uploads in vain; `begin` asks again.
    requests.checkTaking();
    await (backend.provider === 'fxn' ? native : proxy)(c, async () => {});
    const body = await jsonBody(c);
    const request = requests.begin(c.req.raw.signal);
    const exchange = c.get('exchange');
    const release = exchange.hold();
    const ended = () => {
      request.end();
      release();
    };
    exchange.generation = generationOf(c.req.path, body);
    const onAnswered = (report: AnswerReport) => exchange.answered(report);
    try {
      return untilRead(await call(body, { signal: request.signal, onAnswered }), ended);
    } catch (error) {
      ended();
      throw error;
    }
  };
}

function limitTo(bytes: number) {
  return bodyLimit({
    maxSize: bytes,
    onError: () => {
      throw new ShoalError('BODY_TOO_LARGE', `a request body has at most ${bytes} B; send less`);
    },
  });
}

/** @throws INVALID_REQUEST */
async function jsonBody(c: Context): Promise<unknown> {
  const text = await c.req.text();
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new ShoalError('INVALID_REQUEST', `the request body is not JSON: ${reason}`, { cause });
  }
  checkJsonBounds(body);
  return body;
}

/** Calls `ended` once, when the body was read to its end, broke, or was cancelled. */
function untilRead(response: Response, ended: () => void): Response {
  if (response.body === null) {
    ended();
    // A copy: the headers of a response that fetch gave are immutable, and ours are still to be added.
    return new Response(null, response);
  }
  const reader = response.body.getReader();
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      try {
        const { done, value } = await reader.read();
        if (!done) return controller.enqueue(value);
        controller.close();
        ended();
      } catch (error) {
        ended();
        controller.error(error);
      }
    },
    cancel(reason) {
      // Afterwards: the backend then has said what became of it.
      return reader.cancel(reason).finally(ended);
    },
  });
  return new Response(body, response);
}
