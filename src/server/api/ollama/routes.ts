/** Ollama's API in front of the same backend, for the programs that speak nothing else. */
import { type Context, Hono } from 'hono';
import type { Backend, ModelInfo, RequestContext } from '../../../backend/backend.ts';
import { type Clock, systemClock } from '../../../backend/clock.ts';
import { SSE_HEADERS } from '../../../backend/openai/sse.ts';
import type { Provider } from '../../../config/backend-config.ts';
import { ShoalError } from '../../../config/errors.ts';
import { VERSION } from '../../../config/version.ts';
import type { Answering } from '../answering.ts';
import { type Endpoint, OllamaAnswer } from './answer.ts';
import { type AskedOf, fromOllamaChat, fromOllamaGenerate } from './request.ts';

/** What manages Ollama's own store of models; here models come with the server. */
const STORE_PATHS = [
  '/pull',
  '/push',
  '/create',
  '/copy',
  '/delete',
  '/blobs/:digest',
  '/embed',
  '/embeddings',
];

/** Routes below `/api`; errors thrown are to be answered in Ollama's shape (`ollamaErrorResponse`). */
export function ollamaRoutes(backend: Backend, answering: Answering, clock: Clock = systemClock): Hono {
  const app = new Hono();
  const endpoint = (name: Endpoint, read: (body: unknown, provider: Provider) => AskedOf) => (c: Context) =>
    answering(c, (body, context) => answer(backend, name, read(body, backend.provider), context, clock));
  app.post('/chat', endpoint('chat', fromOllamaChat));
  app.post('/generate', endpoint('generate', fromOllamaGenerate));
  app.get('/version', (c) => c.json({ version: VERSION }));
  app.get('/tags', async (c) => {
    const models = await backend.models(c.req.raw.signal);
    return c.json({ models: models.map(listed) });
  });
  app.get('/ps', async (c) => {
    const models = await backend.models(c.req.raw.signal);
    return c.json({ models: models.map((model) => ({ ...listed(model), expires_at: NEVER, size_vram: 0 })) });
  });
  app.post('/show', (c) =>
    answering(c, async (body, { signal }) => {
      const name = modelName(body);
      const model = await listedModel(backend, name, signal);
      return Response.json({
        details: DETAILS,
        model_info: {},
        capabilities: ['completion'],
        modified_at: listed(model).modified_at,
      });
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
  const body = { ...asked.body, model: await backendsName(backend, asked.model, context.signal) };
  const response =
    asked.endpoint === 'chat'
      ? await backend.chatCompletions(body, context)
      : await backend.completions(body, context);
  if (!response.ok) return ollamaErrorResponse(response, await messageOf(response));
  if (!asked.stream) return Response.json(shape.whole(await response.text()));
  // The same against proxies that buffer as for event streams.
  const headers = { ...SSE_HEADERS, 'content-type': 'application/x-ndjson' };
  return new Response(ndjson(shape, response), { headers });
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
      else controller.enqueue(encoder.encode(`${JSON.stringify(value)}\n`));
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

const LATEST = ':latest';

/** @throws MODEL_NOT_FOUND in Ollama's words, which its own client looks for */
async function listedModel(backend: Backend, name: string, signal: AbortSignal): Promise<ModelInfo> {
  const models = await backend.models(signal);
  const model = models.find(({ id }) => id === name) ?? models.find(({ id }) => isSame(id, name));
  if (model !== undefined) return model;
  throw new ShoalError('MODEL_NOT_FOUND', `model '${name}' not found`, { param: 'model' });
}

/** Ollama's clients write out the tag that Ollama's names mean without one: `name:latest`, which no other engine lists. */
async function backendsName(backend: Backend, name: string, signal: AbortSignal): Promise<string> {
  if (!name.endsWith(LATEST)) return name;
  const short = name.slice(0, -LATEST.length);
  const models = await backend.models(signal).catch(() => []);
  const isListed = (id: string) => models.some((model) => model.id === id);
  return !isListed(name) && isListed(short) ? short : name;
}

const isSame = (id: string, name: string) => id === `${name}${LATEST}` || `${id}${LATEST}` === name;

function modelName(body: unknown): string {
  const { model, name } = (body ?? {}) as { model?: unknown; name?: unknown };
  const given = model ?? name;
  if (typeof given === 'string' && given !== '') return given.slice(0, 256);
  throw new ShoalError('INVALID_REQUEST', 'model: name the model to show', { param: 'model' });
}

/** Unknown here, and clients want the keys to be there. */
const DETAILS = {
  parent_model: '',
  format: '',
  family: '',
  families: [],
  parameter_size: '',
  quantization_level: '',
};
const NEVER = '9999-12-31T00:00:00Z';

const listed = ({ id, created }: ModelInfo) => ({
  name: id,
  model: id,
  modified_at: new Date(created * 1000).toISOString(),
  size: 0,
  digest: '',
  details: DETAILS,
});
