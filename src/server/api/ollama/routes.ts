/** Ollama's API in front of the same backend, for the programs that speak nothing else. */
import { type Context, Hono } from 'hono';
import type { Backend, RequestContext } from '../../../backend/backend.ts';
import { type Clock, systemClock } from '../../../backend/clock.ts';
import { SSE_HEADERS } from '../../../backend/openai/sse.ts';
import type { Provider } from '../../../config/backend-config.ts';
import { ShoalError } from '../../../config/errors.ts';
import { exactJson, unmarked, withExact } from '../../../config/exact-json.ts';
import type { Answering } from '../answering.ts';
import { type Endpoint, OllamaAnswer } from './answer.ts';
import { backendsName, listed, listedModel, loaded, modelName, PULLED, shown } from './models.ts';
import { type AskedOf, fromOllamaChat, fromOllamaGenerate } from './request.ts';
import { inOllamasWords } from './wording.ts';

/**
 * The Ollama whose API this is: clients ask for a least version of what they use. 0.12.11 brought log probabilities, the
 * newest part that is spoken here. `GET /version` says Shoal's own.
 */
const OLLAMA_API_VERSION = '0.12.11';

/** What manages Ollama's own store of models; here models come with the server. */
const STORE_PATHS = ['/push', '/create', '/copy', '/delete', '/blobs/:digest', '/embed', '/embeddings'];

type Read = (body: unknown, provider: Provider, onUnknown: RequestContext['onUnknown']) => AskedOf;

/** Where numbers may stand that mean something to the client alone, and seeds. */
const EXACT = ['format', 'messages', 'options', 'tools'];

/** Routes below `/api`; errors thrown are to be answered in Ollama's shape (`ollamaErrorResponse`). */
export function ollamaRoutes(backend: Backend, answering: Answering, clock: Clock = systemClock): Hono {
  const app = new Hono();
  const endpoint = (name: Endpoint, read: Read) => (c: Context) =>
    answering(c, (body, context) => {
      const exact = withExact(body, context.text, EXACT);
      return answer(backend, name, read(exact, backend.provider, context.onUnknown), context, clock);
    });
  app.post('/chat', endpoint('chat', fromOllamaChat));
  app.post('/generate', endpoint('generate', fromOllamaGenerate));
  app.get('/version', (c) => c.json({ version: OLLAMA_API_VERSION }));
  app.get('/tags', async (c) => {
    const models = await backend.models(c.req.raw.signal);
    return c.json({ models: models.map(listed) });
  });
  app.get('/ps', async (c) => {
    const models = await backend.models(c.req.raw.signal);
    return c.json({ models: models.map(loaded) });
  });
  app.post('/show', (c) =>
    answering(c, async (body, { signal }) =>
      Response.json(shown(await listedModel(backend, modelName(body), signal))),
    ),
  );
  app.post('/pull', (c) =>
    answering(c, async (body, { signal }) => {
      await listedModel(backend, modelName(body), signal);
      if ((body as { stream?: unknown }).stream === false) return Response.json(PULLED.at(-1));
      const lines = PULLED.map((status) => `${JSON.stringify(status)}\n`).join('');
      return new Response(lines, { headers: { 'content-type': 'application/x-ndjson' } });
    }),
  );
  for (const path of STORE_PATHS) {
    app.all(path, (c) =>
      c.json(
        { error: `${c.req.method} ${c.req.path} is not offered: this server answers with the models it has` },
        501,
      ),
    );
  }
  return app;
}

/** `{"error": "…"}` with the same status, as Ollama's clients read it. */
export function ollamaErrorResponse(openAi: Response, message: string): Response {
  const headers = Object.fromEntries(
    ['retry-after', 'www-authenticate', 'allow'].flatMap((name) => {
      const value = openAi.headers.get(name);
      return value === null ? [] : [[name, value]];
    }),
  );
  return Response.json({ error: message }, { status: openAi.status, headers });
}

async function answer(
  backend: Backend,
  endpoint: Endpoint,
  asked: AskedOf,
  context: RequestContext,
  clock: Clock,
): Promise<Response> {
  const shape = new OllamaAnswer(endpoint, asked.model, clock);
  if (asked.endpoint === 'nothing') {
    await listedModel(backend, asked.model, context.signal);
    return Response.json(shape.idle(asked.unload ? 'unload' : 'load'));
  }
  const model = await backendsName(backend, asked.model, context.signal);
  const { value: body, text } = unmarked({ ...asked.body, model });
  const asking = { ...context, text };
  let response: Response;
  try {
    response =
      asked.endpoint === 'chat'
        ? await backend.chatCompletions(body, asking)
        : await backend.completions(body, asking);
  } catch (thrown) {
    throw thrown instanceof ShoalError ? inTheirWords(thrown, endpoint) : thrown;
  }
  if (!response.ok) return ollamaErrorResponse(response, inOllamasWords(await messageOf(response), endpoint));
  if (!asked.stream) {
    const whole = exactJson(shape.whole(await response.text()));
    return new Response(whole, { headers: { 'content-type': 'application/json' } });
  }
  // The same against proxies that buffer as for event streams.
  const headers = { ...SSE_HEADERS, 'content-type': 'application/x-ndjson' };
  return new Response(ndjson(shape, response), { headers });
}

function inTheirWords(error: ShoalError, endpoint: Endpoint): ShoalError {
  const { code, param, retryAfterSeconds, toOthers, message } = error;
  return new ShoalError(code, inOllamasWords(message, endpoint), {
    cause: error,
    toOthers,
    ...(param !== undefined && { param: inOllamasWords(param, endpoint) }),
    ...(retryAfterSeconds !== undefined && { retryAfterSeconds }),
  });
}

function ndjson(shape: OllamaAnswer, response: Response): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  const body = response.body;
  if (body === null) throw new ShoalError('BACKEND_FAILED', 'the backend answered a stream without a body');
  const reader = body.getReader();
  const lines = shape.lines(bytesOf(reader));
  return new ReadableStream({
    async pull(controller) {
      const { done, value } = await lines.next();
      if (done) controller.close();
      else controller.enqueue(encoder.encode(`${exactJson(value)}\n`));
    },
    // Not through the generator, whose return() would wait for the read that is under way.
    cancel: (reason) => reader.cancel(reason),
  });
}

async function* bytesOf(reader: ReadableStreamDefaultReader<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    // An error ends the lines before the body has ended.
    await reader.cancel().catch(() => {});
  }
}

async function messageOf(response: Response): Promise<string> {
  const body = (await response.json().catch(() => null)) as { error?: { message?: unknown } } | null;
  const message = body?.error?.message;
  return typeof message === 'string' ? message : `the backend answered ${response.status}`;
}
