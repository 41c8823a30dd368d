/** `GET /openapi.json`: the HTTP API in OpenAPI 3.1 (https://spec.openapis.org/oas/v3.1.0), made from the schemas that requests are read with. */
import { z } from 'zod';
import {
  chatChunkSchema,
  chatCompletionSchema,
  completionAnswerSchema,
  completionChunkSchema,
  errorBodySchema,
  modelListSchema,
  modelSchema,
} from '../../backend/openai/answer-schema.ts';
import { publishedRequests } from '../../backend/openai/request-schema.ts';
import { WARNING_HEADER } from '../../backend/openai/unknown-parameters.ts';
import { LENDERS_HEADER, SERVED_BY_HEADER } from '../../backend/served-by.ts';
import type { Provider } from '../../config/backend-config.ts';
import { MAX_IDEMPOTENCY_KEY_CHARS } from '../../config/limits.ts';
import { statusSchema } from '../../mesh/protocol/status.ts';
import { ANSWER_HEADER, REPLAYED_HEADER } from '../answers/read-answer.ts';

type Json = Record<string, unknown>;

/** What is refused, and where clients learn what to do. 500 is not among them: it is a bug. */
const ERRORS: Record<number, string> = {
  400: 'The request is malformed (`invalid_request`), asks for what this backend cannot do (`unsupported_parameter`), does not fit the context (`context_length_exceeded`), or takes too long to read (`prompt_too_costly`). `param` names the parameter.',
  401: 'The server asks for a key, and none or a wrong one came.',
  403: 'The Host or Origin header is not allowed.',
  404: 'No such model, or no such path.',
  410: 'What is to be read on is not kept (`answer_lost`).',
  413: 'The body is too large.',
  422: 'Another request came with this Idempotency-Key (`idempotency_key_reused`).',
  429: 'Too many requests, of this client or of all. `Retry-After` says when to come again.',
  502: 'The backend failed, or answered what cannot be passed on.',
  503: 'Nothing can answer now: no pipeline, no healthy backend, or the server is ending.',
  504: 'The backend did not answer in time.',
};

const retryAfter = {
  'Retry-After': { description: 'Seconds to wait.', schema: { type: 'integer', minimum: 0 } },
};

const ref = (name: string) => ({ $ref: `#/components/schemas/${name}` });
const json = (name: string, description: string, example?: Json) => ({
  description,
  content: { 'application/json': { schema: ref(name), ...(example && { example }) } },
});

function errors(...statuses: readonly number[]): Json {
  return Object.fromEntries(
    statuses.map((status) => [
      status,
      { ...json('Error', ERRORS[status]!), ...([429, 503].includes(status) && { headers: retryAfter }) },
    ]),
  );
}

const ASKING = [400, 401, 403, 404, 410, 413, 422, 429, 502, 503, 504];
const READING = [401, 403, 429, 502, 503, 504];

const input = (schema: z.ZodType) => jsonSchema(schema, 'input');
const output = (schema: z.ZodType) => jsonSchema(schema, 'output');

function jsonSchema(schema: z.ZodType, io: 'input' | 'output'): Json {
  const { $schema: _, ...published } = z.toJSONSchema(schema, {
    io,
    override({ jsonSchema: node }) {
      // Tools that began with older drafts misread `prefixItems`; a tuple of one type needs none.
      const [first, ...rest] = node.prefixItems ?? [];
      if (first === undefined || rest.some((item) => JSON.stringify(item) !== JSON.stringify(first))) return;
      delete node.prefixItems;
      node.items = first;
    },
  });
  return published;
}

const open = (description: string, required: readonly string[]): Json => ({
  type: 'object',
  description,
  required,
  properties: { model: { type: 'string' }, stream: { type: 'boolean' } },
});

const made = new Map<Provider, Record<string, Json>>();

/** Made once: it takes tens of milliseconds, in which the server does nothing else. */
function schemas(provider: Provider): Record<string, Json> {
  const known = made.get(provider) ?? makeSchemas(provider);
  made.set(provider, known);
  return known;
}

function makeSchemas(provider: Provider): Record<string, Json> {
  const shared = {
    Error: output(errorBodySchema),
    Model: output(modelSchema),
    ModelList: output(modelListSchema),
    Readiness: output(z.object({ ready: z.boolean(), detail: z.string() })),
    Liveness: output(z.object({ live: z.literal(true) })),
    Health: output(z.object({ status: z.literal('ok') })),
    Unhealthy: output(
      z.object({
        error: z.object({ code: z.literal(503), message: z.string(), type: z.literal('unavailable_error') }),
      }),
    ),
    Ended: output(z.object({ ended: z.literal(true) })),
    Version: output(z.object({ version: z.string() })),
    Status: output(statusSchema),
  };
  if (provider !== 'fxn') {
    const takes = `What the ${provider} backend takes: OpenAI's parameters and its own extensions.`;
    const gives = { type: 'object', description: 'As the backend answers.' };
    return {
      ...shared,
      ChatRequest: open(takes, ['model', 'messages']),
      ChatCompletion: gives,
      ChatCompletionChunk: gives,
      CompletionRequest: open(takes, ['model', 'prompt']),
      Completion: gives,
      CompletionChunk: gives,
    };
  }
  return {
    ...shared,
    ChatRequest: input(publishedRequests.chat),
    ChatCompletion: output(chatCompletionSchema),
    ChatCompletionChunk: output(chatChunkSchema),
    CompletionRequest: input(publishedRequests.completion),
    Completion: output(completionAnswerSchema),
    CompletionChunk: output(completionChunkSchema),
  };
}

function answering(options: {
  readonly summary: string;
  readonly request: string;
  readonly answer: string;
  readonly chunk: string;
  readonly example: Json;
}): Json {
  const { summary, request, answer, chunk, example } = options;
  return {
    summary,
    operationId: request.replace(/Request$/, ''),
    security: KEY_IF_ASKED,
    parameters: [
      {
        name: LENDERS_HEADER,
        in: 'header',
        description:
          'Ids of the lenders that may read the request, with commas between; empty: none. Without it, any.',
        schema: { type: 'string' },
      },
      KEY_PARAMETER,
      {
        name: 'Last-Event-ID',
        in: 'header',
        description:
          'With an Idempotency-Key: the `id` of the last event that was read of the same request’s answer, which goes on behind it.',
        schema: { type: 'string', maxLength: 41 },
      },
    ],
    requestBody: {
      required: true,
      content: { 'application/json': { schema: ref(request), example } },
    },
    responses: {
      200: {
        description: 'The answer; with `stream: true` as server-sent events.',
        headers: {
          [WARNING_HEADER]: {
            description: 'Parameters that were ignored, as nothing here knows them.',
            schema: { type: 'string' },
          },
          [SERVED_BY_HEADER]: {
            description: 'The node that gave the answer, and who lends it: `name=…&lender=ID&by=NAME`.',
            schema: { type: 'string' },
          },
          [ANSWER_HEADER]: {
            description:
              'Of a stream with an Idempotency-Key: its n-th event has the id `THIS.n`, where lines cannot say so, too.',
            schema: { type: 'string' },
          },
          [REPLAYED_HEADER]: {
            description:
              '`true` where the answer was computed for an earlier request with this Idempotency-Key.',
            schema: { type: 'string' },
          },
        },
        content: {
          'application/json': { schema: ref(answer) },
          'text/event-stream': { schema: eventOf(chunk) },
        },
      },
      ...errors(...ASKING),
    },
  };
}

const KEY_PARAMETER = {
  name: 'Idempotency-Key',
  in: 'header',
  description:
    'Requests with one key are one request: its answer is computed once, goes on for a while when the client hangs up, and can be read on.',
  schema: { type: 'string', minLength: 1, maxLength: MAX_IDEMPOTENCY_KEY_CHARS },
};

function ending(operationId: string): Json {
  return {
    summary: 'End an answer that was asked for with an Idempotency-Key',
    operationId,
    security: KEY_IF_ASKED,
    parameters: [{ ...KEY_PARAMETER, required: true }],
    responses: {
      200: json('Ended', 'It has ended and is forgotten.'),
      ...errors(400, 401, 403, 410, 429),
    },
  };
}

/** Before OpenAPI 3.2, which has `itemSchema` for it, a stream's schema describes each of its events. */
function eventOf(chunk: string): Json {
  const inJson = (name: string) => ({
    type: 'string',
    contentMediaType: 'application/json',
    contentSchema: ref(name),
  });
  return {
    type: 'object',
    description: `Server-sent events, each with a ${chunk} as its data; the last is \`[DONE]\`. A failure after the stream has begun is an event with an Error, and the stream ends without \`[DONE]\`. Comments (\`: waiting\`) keep the connection alive.`,
    required: ['data'],
    properties: { data: { anyOf: [{ const: '[DONE]' }, inJson(chunk), inJson('Error')] } },
  };
}

const KEY_IF_ASKED = [{ bearer: [] }, {}];

function reading(summary: string, operationId: string, ok: Json, more: Json = {}): Json {
  return { summary, operationId, responses: { 200: ok, ...errors(403), ...more } };
}

const health = (summary: string, operationId: string) =>
  reading(summary, operationId, json('Health', 'It would.'), { 503: json('Unhealthy', 'It would not.') });

/** @param model an id for the examples */
export function openApiDocument(provider: Provider, model: string): Json {
  const say = (content: string) => [{ role: 'user', content }];
  return {
    openapi: '3.1.0',
    info: {
      title: 'Shoal',
      version: '1',
      description:
        'A language model that runs across browser tabs, behind OpenAI’s API. A parameter that the backend cannot act on is refused with its name; one that nobody knows is ignored and named in `x-shoal-warning`, or refused where the server is strict. The same server speaks Ollama’s API below /api.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    paths: {
      '/v1/chat/completions': {
        post: answering({
          summary: 'Answer a conversation',
          request: 'ChatRequest',
          answer: 'ChatCompletion',
          chunk: 'ChatCompletionChunk',
          example: { model, messages: say('Say hello.'), max_tokens: 16, temperature: 0 },
        }),
        delete: ending('EndChat'),
      },
      '/v1/completions': {
        post: answering({
          summary: 'Go on with a raw text',
          request: 'CompletionRequest',
          answer: 'Completion',
          chunk: 'CompletionChunk',
          example: { model, prompt: 'Once upon a time', max_tokens: 16, seed: 1 },
        }),
        delete: ending('EndCompletion'),
      },
      '/v1/models': {
        get: {
          summary: 'What is served',
          operationId: 'Models',
          security: KEY_IF_ASKED,
          responses: { 200: json('ModelList', 'The models.'), ...errors(...READING) },
        },
      },
      '/v1/models/{id}': {
        get: {
          summary: 'One of them',
          operationId: 'Model',
          security: KEY_IF_ASKED,
          parameters: [
            {
              name: 'id',
              in: 'path',
              required: true,
              description: 'May hold slashes (`org/name`), escaped or not.',
              schema: { type: 'string', minLength: 1 },
              example: model,
            },
          ],
          responses: { 200: json('Model', 'The model.'), ...errors(400, 404, ...READING) },
        },
      },
      '/health': {
        get: health('Whether a request would be answered, as llama.cpp and vLLM say it', 'Health'),
      },
      '/v1/health': { get: health('The same, where some llama.cpp clients ask', 'HealthV1') },
      '/ping': { get: health('The same, where SageMaker asks', 'Ping') },
      '/version': { get: reading('Shoal’s version', 'Version', json('Version', 'This server’s.')) },
      '/health/live': { get: reading('The process runs', 'Live', json('Liveness', 'It does.')) },
      '/health/ready': {
        get: reading('Whether a request would be answered', 'Ready', json('Readiness', 'It would.'), {
          503: json('Readiness', 'It would not; `detail` says why.'),
        }),
      },
      '/metrics': {
        get: {
          summary: 'Prometheus metrics',
          operationId: 'Metrics',
          security: KEY_IF_ASKED,
          responses: {
            200: {
              description: 'Text exposition format 0.0.4.',
              content: { 'text/plain': { schema: { type: 'string' } } },
            },
            ...errors(401, 403),
          },
        },
      },
      '/api/status': {
        get: reading('The mesh: pipeline, workers, load', 'Status', json('Status', 'What the page shows.')),
      },
    },
    components: {
      schemas: schemas(provider),
      securitySchemes: {
        bearer: {
          type: 'http',
          scheme: 'bearer',
          description: 'Where the operator has set keys.',
        },
      },
    },
  };
}
