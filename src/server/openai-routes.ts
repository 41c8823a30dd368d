/** The OpenAI-compatible API, whatever backend stands behind it. */
import { type Context, Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import type { AnswerReport, Backend, ModelInfo, RequestContext } from '../backend/backend.ts';
import { ShoalError } from '../config/errors.ts';
import { MAX_BODY_BYTES } from '../config/limits.ts';
import type { RequestsInFlight } from './requests-in-flight.ts';

/** Routes below `/v1`. The request's signal aborts when the client hangs up, and when the server ends the request. */
export function openAiRoutes(backend: Backend, requests: RequestsInFlight): Hono {
  const app = new Hono();
  const limit = bodyLimit({
    maxSize: MAX_BODY_BYTES,
    onError: () => {
      throw new ShoalError('BODY_TOO_LARGE', `a request body has at most ${MAX_BODY_BYTES} B; send less`);
    },
  });
  const answer = async (c: Context, call: (body: unknown, context: RequestContext) => Promise<Response>) => {
    // Before the body is read, so that nobody uploads in vain; `begin` asks again.
    requests.checkTaking();
    const body = await jsonBody(c);
    const request = requests.begin(c.req.raw.signal);
    const exchange = c.get('exchange');
    const release = exchange.hold();
    const ended = () => {
      request.end();
      release();
    };
    const onAnswered = (report: AnswerReport) => {
      exchange.report = report;
    };
    try {
      return untilRead(await call(body, { signal: request.signal, onAnswered }), ended);
    } catch (error) {
      ended();
      throw error;
    }
  };

  app.post('/chat/completions', limit, (c) => answer(c, (...call) => backend.chatCompletions(...call)));
  app.post('/completions', limit, (c) => answer(c, (...call) => backend.completions(...call)));
  app.get('/models', async (c) => {
    const models = await backend.models(c.req.raw.signal);
    return c.json({ object: 'list', data: models.map(modelObject) });
  });
  // A model's id may hold slashes (`org/name`).
  app.get('/models/:id{.+}', async (c) => {
    const id = c.req.param('id');
    const models = await backend.models(c.req.raw.signal);
    const model = models.find((candidate) => candidate.id === id);
    if (model === undefined) {
      const known = models.map((candidate) => candidate.id).join(', ');
      throw new ShoalError('MODEL_NOT_FOUND', `no model "${id.slice(0, 80)}" here; there is: ${known}`, {
        param: 'model',
      });
    }
    return c.json(modelObject(model));
  });
  return app;
}

/** @throws INVALID_REQUEST */
async function jsonBody(c: Context): Promise<unknown> {
  const text = await c.req.text();
  try {
    return JSON.parse(text);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new ShoalError('INVALID_REQUEST', `the request body is not JSON: ${reason}`, { cause });
  }
}

const modelObject = ({ id, created, ownedBy }: ModelInfo) => ({
  id,
  object: 'model',
  created,
  owned_by: ownedBy,
});

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
      ended();
      return reader.cancel(reason);
    },
  });
  return new Response(body, response);
}
