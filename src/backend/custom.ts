/** Any OpenAI-compatible server behind this node's API: requests and streams go through, names and keys are exchanged. */
import { z } from 'zod';
import { ShoalError } from '../config/errors.ts';
import {
  MAX_MODEL_NAME_CHARS,
  MAX_UPSTREAM_BODY_BYTES,
  MAX_UPSTREAM_EVENT_BYTES,
  UPSTREAM_ANSWER_MS,
  UPSTREAM_HEADERS_MS,
  UPSTREAM_PROBE_MS,
} from '../config/limits.ts';
import type { Secret } from '../config/secret.ts';
import type { Backend, ModelInfo } from './backend.ts';
import { type Clock, systemClock } from './clock.ts';
import { relayEvents } from './relay-stream.ts';
import { SSE_HEADERS, sseBody } from './sse.ts';
import { Upstream, type UpstreamAnswer } from './upstream.ts';

/** The part of ModelBackendConfig that this backend reads. */
export interface CustomBackendConfig {
  readonly url: string;
  readonly apiKey?: Secret;
  readonly bearerToken?: Secret;
  /** With it every request goes to this model, whatever name the client gave; answers carry the client's name. */
  readonly modelNameAlias?: string;
  /** With an alias: the name in the list of models. */
  readonly fxnId?: string;
}

export interface CustomBackendOptions {
  readonly fetch?: typeof fetch;
  readonly clock?: Clock;
}

const requestSchema = z.looseObject({
  model: z.string().min(1).max(MAX_MODEL_NAME_CHARS),
  stream: z.boolean().nullish(),
});

const modelListSchema = z.object({
  data: z.array(
    z.object({
      id: z.string().max(MAX_MODEL_NAME_CHARS),
      created: z.number().catch(0),
      owned_by: z.string().max(MAX_MODEL_NAME_CHARS).catch('custom'),
    }),
  ),
});

const errorSchema = z.object({ error: z.object({ message: z.string() }).loose() });

/** All that an answer's headers may carry on; cookies, server names and hop-by-hop headers stay behind. */
const FORWARDED_HEADERS = ['retry-after', 'x-request-id', 'openai-processing-ms'];

export function createCustomBackend(
  config: CustomBackendConfig,
  { fetch: request = fetch, clock = systemClock }: CustomBackendOptions = {},
): Backend {
  const upstream = new Upstream(config, request, clock);
  const closing = new AbortController();
  const alias = config.modelNameAlias;

  async function forward(path: string, body: unknown, signal: AbortSignal): Promise<Response> {
    const parsed = requestSchema.safeParse(body);
    if (!parsed.success) {
      const issue = parsed.error.issues[0]!;
      const param = issue.path.join('.');
      throw new ShoalError('INVALID_REQUEST', `${param || 'the request body'}: ${issue.message}`, { param });
    }
    const stream = parsed.data.stream === true;
    const clientName = parsed.data.model;
    const hangUp = new AbortController();
    const ended = AbortSignal.any([signal, closing.signal, hangUp.signal]);
    const answer = await upstream.request(
      {
        path,
        body: JSON.stringify({ ...parsed.data, model: alias ?? clientName }),
        accept: stream ? 'text/event-stream' : 'application/json',
        deadlineMs: stream ? UPSTREAM_HEADERS_MS : UPSTREAM_ANSWER_MS,
      },
      ended,
    );
    if (!answer.response.ok) return refused(upstream, answer);
    const rename = alias === undefined ? (json: string) => json : (json: string) => renamed(json, clientName);
    if (!stream) return whole(upstream, answer, rename);
    if (answer.contentType !== 'text/event-stream') {
      answer.discard();
      throw upstream.failed(
        `answered a stream request with ${answer.contentType || 'no content type'}; it must speak server-sent events`,
      );
    }
    const events = sseBody(relayEvents(upstream, answer, rename), clock, () => hangUp.abort());
    return new Response(events, { headers: { ...kept(answer), ...SSE_HEADERS } });
  }

  async function models(signal: AbortSignal): Promise<readonly ModelInfo[]> {
    const probe = AbortSignal.any([signal, closing.signal]);
    const answer = await upstream.request(
      { path: '/models', accept: 'application/json', deadlineMs: UPSTREAM_PROBE_MS },
      probe,
    );
    const text = await answer.text(MAX_UPSTREAM_EVENT_BYTES);
    if (!answer.response.ok)
      throw upstream.failed(
        `answered its model list with ${answer.status}; check url and keys in model_backend.yaml`,
      );
    const list = modelListSchema.safeParse(parseJson(text));
    if (!list.success)
      throw upstream.failed(
        'sent no model list in OpenAI’s form; check that url is an OpenAI-compatible API',
      );
    const all = list.data.data.map(({ id, created, owned_by }) => ({ id, created, ownedBy: owned_by }));
    if (alias === undefined) return all;
    const own = all.find(({ id }) => id === alias);
    return [{ id: config.fxnId ?? alias, created: own?.created ?? 0, ownedBy: own?.ownedBy ?? 'custom' }];
  }

  return {
    provider: 'custom',
    models,
    async readiness(signal) {
      try {
        const names = (await models(signal)).map(({ id }) => id);
        return {
          ready: true,
          detail: `forwarding to a custom backend that serves ${names.slice(0, 3).join(', ') || 'no model'}`,
        };
      } catch (thrown) {
        return { ready: false, detail: ShoalError.from(thrown, 'BACKEND_FAILED').message };
      }
    },
    chatCompletions: (body, { signal }) => forward('/chat/completions', body, signal),
    completions: (body, { signal }) => forward('/completions', body, signal),
    async close() {
      closing.abort(new ShoalError('ABORTED', 'the server is shutting down; send the request again'));
    },
  };
}

async function whole(
  upstream: Upstream,
  answer: UpstreamAnswer,
  rename: (json: string) => string,
): Promise<Response> {
  const text = await answer.text(MAX_UPSTREAM_BODY_BYTES);
  if (text === undefined)
    throw upstream.failed(`sent an answer of more than ${MAX_UPSTREAM_BODY_BYTES} bytes`);
  if (!isObject(parseJson(text))) throw upstream.failed('sent an answer that is not a JSON object');
  return new Response(rename(upstream.redact(text)), {
    headers: { ...kept(answer), 'content-type': 'application/json' },
  });
}

/** An error in OpenAI's shape is the client's to read; anything else (a proxy's HTML page) says only that the backend failed. */
async function refused(upstream: Upstream, answer: UpstreamAnswer): Promise<Response> {
  const text = await answer.text(MAX_UPSTREAM_EVENT_BYTES);
  const parsed = errorSchema.safeParse(parseJson(text && upstream.redact(text)));
  if (!parsed.success)
    throw upstream.failed(
      `answered ${answer.status} without an OpenAI error; check that url in model_backend.yaml is its API`,
    );
  return Response.json(parsed.data, { status: answer.status, headers: kept(answer) });
}

function kept({ response }: UpstreamAnswer): Record<string, string> {
  return Object.fromEntries(
    FORWARDED_HEADERS.flatMap((name) => {
      const value = response.headers.get(name);
      return value === null ? [] : [[name, value]];
    }),
  );
}

/** `json` with its model's name replaced, if it is an object that has one; else as it is. */
function renamed(json: string, model: string): string {
  const value = parseJson(json);
  return isObject(value) && 'model' in value ? JSON.stringify({ ...value, model }) : json;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function parseJson(text: string | undefined): unknown {
  try {
    return JSON.parse(text ?? '');
  } catch {
    return undefined;
  }
}
