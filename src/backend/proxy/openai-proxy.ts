/** Any OpenAI-compatible server behind this node's API: requests and streams go through, names and keys are exchanged. */
import { z } from 'zod';
import type { NodeConfig, Provider, Timeouts } from '../../config/backend-config.ts';
import { ShoalError } from '../../config/errors.ts';
import { isObject } from '../../config/json-object.ts';
import { memberText, withMembers } from '../../config/json-text.ts';
import {
  MAX_MODEL_NAME_CHARS,
  MAX_UPSTREAM_BODY_BYTES,
  MAX_UPSTREAM_EVENT_BYTES,
  UPSTREAM_ANSWER_MS,
  UPSTREAM_PROBE_MS,
} from '../../config/limits.ts';
import type { Backend, ModelInfo, Readiness, RequestContext } from '../backend.ts';
import { type Clock, systemClock } from '../clock.ts';
import { SSE_HEADERS, sseBody } from '../openai/sse.ts';
import { AnswerProgress, askedOf } from './answer-progress.ts';
import { readModelList } from './model-list.ts';
import { renameModel } from './model-name.ts';
import { checkOneReading } from './one-reading.ts';
import { ErrorEvent, relayEvents, toldToTheEnd } from './relay-stream.ts';
import { readError, statusOf } from './their-error.ts';
import { Upstream, type UpstreamAnswer } from './upstream.ts';
import { asError, type Names, parseJson, refusal, refused, withoutMark } from './upstream-error.ts';
import type { UpstreamFetch } from './upstream-fetch.ts';

export type OpenAiProxyConfig = Omit<NodeConfig, 'maxConcurrent'> & {
  /** With an alias: the name in the list of models. */
  readonly fxnId?: string;
  readonly timeouts: Timeouts;
};

export interface ProxyOptions {
  /** Default: the platform's. On a server the guarded one, which refuses private addresses. */
  readonly fetch?: UpstreamFetch;
  readonly clock?: Clock;
}

/** What a kind of server differs in. */
export interface ProxyKind {
  readonly provider: Provider;
  /** What to do when nothing answers. */
  readonly unreachableRemedy?: string;
  /** It tells the usage of a stream that asks for it, so it is always asked; a client that did not ask is not told. */
  readonly countsStreams?: boolean;
  /** @throws UNSUPPORTED_PARAMETER for what this kind of server is known to ignore without a word */
  checkRequest?(body: Readonly<Record<string, unknown>>): void;
  readiness(proxy: ProbedProxy, signal: AbortSignal): Promise<Readiness>;
}

/** What `readiness` may ask. */
export interface ProbedProxy {
  readonly config: OpenAiProxyConfig;
  readonly upstream: Upstream;
  /** All that the backend serves, under its own names; null where it has no such list. @throws as `Upstream.request` */
  served(signal: AbortSignal): Promise<readonly ModelInfo[] | null>;
}

const requestSchema = z.looseObject({
  model: z.string().min(1).max(MAX_MODEL_NAME_CHARS),
  stream: z.boolean().nullish(),
});

/** After "the backend at …". */
export const NO_MODEL_LIST =
  'has no list of models (/v1/models); check url in model_backend.yaml, or name its model with model_name_alias';

/** All that an answer's headers may carry on; cookies, server names and hop-by-hop headers stay behind. */
const FORWARDED_HEADERS = ['retry-after', 'x-request-id', 'openai-processing-ms'];

/**
 * `onAnswered` is called for what was answered: a 2xx, or an error that is the client's to read. Where the call throws, another
 * node may be tried, and its report is the one that counts.
 */
export function createOpenAiProxy(
  kind: ProxyKind,
  config: OpenAiProxyConfig,
  { fetch: request = fetch, clock = systemClock }: ProxyOptions = {},
): Backend {
  const { unreachableRemedy } = kind;
  const upstream = new Upstream(
    { ...config, ...(unreachableRemedy !== undefined && { unreachableRemedy }) },
    request,
    clock,
  );
  const alias = config.modelNameAlias;

  async function forward(path: string, body: unknown, context: RequestContext): Promise<Response> {
    const asked = requestSchema.safeParse(body);
    if (!asked.success || !isObject(body)) {
      const issue = asked.error?.issues[0];
      const param = issue?.path.join('.') ?? '';
      throw new ShoalError('INVALID_REQUEST', `${param || 'the request body'}: ${issue?.message}`, { param });
    }
    checkOneReading(body, context.text);
    kind.checkRequest?.(body);
    const names: Names = { theirs: alias ?? asked.data.model, ours: asked.data.model };
    const reported = alias === undefined ? names.ours : (config.fxnId ?? alias);
    const progress = new AnswerProgress(askedOf(body, path, reported), clock, context.onAnswered);
    const isStream = asked.data.stream === true;
    const given = context.text ?? JSON.stringify(body);
    const usage = isStream && kind.countsStreams ? askingForUsage(body, given) : null;
    const changes = {
      ...(alias !== undefined && { model: JSON.stringify(alias) }),
      ...(usage !== null && { stream_options: usage }),
    };
    const answer = await upstream.request(
      {
        path,
        body: Object.keys(changes).length === 0 ? given : withMembers(given, changes),
        accept: isStream ? 'text/event-stream' : 'application/json',
        // A whole answer's headers come after the last token.
        deadlineMs: isStream
          ? config.timeouts.firstByte
          : Math.max(config.timeouts.firstByte, UPSTREAM_ANSWER_MS),
      },
      context.signal,
    );
    if (!answer.response.ok) {
      const response = await refused(upstream, answer, names, kept(upstream, answer));
      progress.report('error');
      return response;
    }
    if (isStream && answer.contentType === 'text/event-stream')
      return streamed(answer, progress, names, usage !== null);
    return whole(answer, progress, names, isStream);
  }

  async function streamed(
    answer: UpstreamAnswer,
    progress: AnswerProgress,
    names: Names,
    hidesUsage: boolean,
  ): Promise<Response> {
    const events = relayEvents(upstream, answer, progress, names, hidesUsage);
    let first: IteratorResult<Uint8Array>;
    try {
      first = await events.next();
    } catch (thrown) {
      if (!(thrown instanceof ErrorEvent)) throw thrown;
      return failedInAnswer(thrown.theirs, answer, progress, names);
    }
    if (first.done) throw upstream.failed('ended its stream before the first event; look at its log');
    const told = toldToTheEnd(upstream, first.value, events, progress, names);
    return new Response(
      sseBody(told, clock, () => {
        // Cancelled before the first read, `told` never starts and reports nothing.
        progress.report(progress.isFinished ? undefined : 'aborted');
        answer.discard();
      }),
      {
        headers: { ...kept(upstream, answer), ...SSE_HEADERS },
      },
    );
  }

  async function whole(
    answer: UpstreamAnswer,
    progress: AnswerProgress,
    names: Names,
    isStream: boolean,
  ): Promise<Response> {
    const sent = await answer.text(MAX_UPSTREAM_BODY_BYTES);
    if (sent === undefined)
      throw upstream.failed(`sent an answer of more than ${MAX_UPSTREAM_BODY_BYTES} bytes`);
    const text = withoutMark(sent);
    const value = parseJson(text);
    const isAnswer = isObject(value) && Array.isArray(value.choices) && !('error' in value);
    const error = isAnswer ? null : readError(parseJson(upstream.redact(text)));
    if (error !== null) return failedInAnswer(error, answer, progress, names);
    if (isStream) {
      throw upstream.failed(
        `answered a stream request with ${answer.contentType || 'no content type'}; it must speak server-sent events`,
      );
    }
    if (!isObject(value)) throw upstream.failed('sent an answer that is not a JSON object; look at its log');
    if (!Array.isArray(value.choices)) {
      throw upstream.failed(
        'sent an answer without choices; check that url in model_backend.yaml is an OpenAI-compatible API',
      );
    }
    progress.take(value);
    progress.checkChoices();
    progress.withoutFirstToken();
    progress.report();
    const mapped = names.theirs === names.ours ? text : renameModel(text, names.ours);
    return new Response(upstream.redact(mapped), {
      headers: { ...kept(upstream, answer), 'content-type': 'application/json' },
    });
  }

  /** Status 200, and then an error: llama.cpp tells of a prompt that is too long in this way. */
  function failedInAnswer(
    error: Parameters<typeof asError>[1],
    answer: UpstreamAnswer,
    progress: AnswerProgress,
    names: Names,
  ): Response {
    const status = statusOf(error);
    if (status === 500) throw asError(upstream, error, names);
    const response = refusal(upstream, status, error, error.message, names, kept(upstream, answer));
    progress.report('error');
    return response;
  }

  const served = async (signal: AbortSignal): Promise<readonly ModelInfo[] | null> => {
    const answer = await upstream.request(
      { path: '/models', accept: 'application/json', deadlineMs: UPSTREAM_PROBE_MS },
      signal,
    );
    if (answer.status === 404 || answer.status === 405 || answer.status === 501) {
      answer.discard();
      return null;
    }
    if (!answer.response.ok) {
      await refused(upstream, answer, { theirs: '', ours: '' }, {});
      throw upstream.failed(
        `answered its model list with ${answer.status}; check url and keys in model_backend.yaml`,
      );
    }
    const text = upstream.redact((await answer.text(MAX_UPSTREAM_EVENT_BYTES)) ?? '');
    const list = readModelList(parseJson(text));
    if (list === null) {
      throw upstream.failed(
        'sent no model list in OpenAI’s form; check that url is an OpenAI-compatible API',
      );
    }
    return list;
  };

  return {
    provider: kind.provider,
    async models(signal) {
      const all = await served(signal);
      if (alias === undefined) {
        if (all === null) throw upstream.failed(NO_MODEL_LIST);
        return all;
      }
      const own = all?.find(({ id }) => id === alias);
      const { provider } = kind;
      return [{ created: 0, ownedBy: provider, ...own, id: config.fxnId ?? alias }];
    },
    readiness: (signal) => kind.readiness({ config, upstream, served }, signal),
    chatCompletions: (body, context) => forward('/chat/completions', body, context),
    completions: (body, context) => forward('/completions', body, context),
    async close() {
      upstream.close(new ShoalError('ABORTED', 'the server is shutting down; send the request again'));
    },
  };
}

/**
 * @param json the request's own text
 * @returns its `stream_options` with usage asked for; null where the client does so itself, or asks for something that the
 *   backend should refuse
 */
function askingForUsage(body: Readonly<Record<string, unknown>>, json: string): string | null {
  const options = body.stream_options ?? {};
  if (!isObject(options) || (options.include_usage ?? false) !== false) return null;
  const given = isObject(body.stream_options) ? memberText(json, 'stream_options')! : '{}';
  // vLLM's `continuous_usage_stats` means nothing without include_usage, and would now.
  const isContinuous = 'continuous_usage_stats' in options;
  return withMembers(given, {
    include_usage: 'true',
    ...(isContinuous && { continuous_usage_stats: 'false' }),
  });
}

function kept(upstream: Upstream, { response }: UpstreamAnswer): Record<string, string> {
  return Object.fromEntries(
    FORWARDED_HEADERS.flatMap((name) => {
      const value = response.headers.get(name);
      return value === null ? [] : [[name, upstream.redact(value)]];
    }),
  );
}
