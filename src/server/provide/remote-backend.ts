/** A provider's backend as this server calls it: each call is a request over the provider's connection. */
import type { AnswerReport, Backend, RequestContext } from '../../backend/backend.ts';
import type { Clock } from '../../backend/clock.ts';
import { openAiErrorBody } from '../../backend/openai/error.ts';
import { SSE_HEADERS, sseBody, sseData } from '../../backend/openai/sse.ts';
import { ShoalError } from '../../config/errors.ts';
import type { Offer, ProvideRequest } from '../../mesh/protocol/provide.ts';
import type { RemoteAnswer } from './remote-answer.ts';

export interface RemoteBackendOptions {
  readonly name: string;
  readonly offer: Offer;
  /** Sends the request. @throws BACKEND_FAILED where the provider has gone; BODY_TOO_LARGE */
  readonly open: (path: ProvideRequest['path'], body: unknown, text: string | undefined) => RemoteAnswer;
  readonly clock: Clock;
}

export function createRemoteBackend({ name, offer, open, clock }: RemoteBackendOptions): Backend {
  const inFlight = new Set<RemoteAnswer>();

  async function call(
    path: ProvideRequest['path'],
    body: unknown,
    { signal, text, onAnswered, onUnknown }: RequestContext,
  ): Promise<Response> {
    const gone = () => new ShoalError('ABORTED', 'the client hung up');
    if (signal.aborted) throw gone();
    const answer = open(path, body, text);
    const startedMs = clock.now();
    let firstMs: number | null = null;
    inFlight.add(answer);
    let settled = false;
    const settle = (error: ShoalError | null) => {
      if (settled) return;
      settled = true;
      signal.removeEventListener('abort', hangUp);
      inFlight.delete(answer);
      onAnswered?.(reportOf(answer, body, error, firstMs, clock.now() - startedMs));
    };
    const hangUp = () => {
      answer.cancel(gone());
      settle(gone());
    };
    signal.addEventListener('abort', hangUp, { once: true });

    async function* events(first: Uint8Array | null): AsyncGenerator<Uint8Array> {
      try {
        for (let piece = first; piece !== null; piece = await answer.next()) yield piece;
        settle(null);
      } catch (thrown) {
        const error = ShoalError.from(thrown, 'BACKEND_FAILED');
        answer.cancel(error);
        settle(error);
        yield sseData(openAiErrorBody(error));
      } finally {
        hangUp();
      }
    }

    try {
      const head = await answer.head();
      for (const parameter of head.unknown ?? []) onUnknown?.({ path: parameter, known: NO_NAMES });
      if (head.status === 401)
        throw new ShoalError('BACKEND_FAILED', `the provider "${name}" answered ${head.status}`);
      const retryAfter = head.retryAfter !== undefined && { 'retry-after': head.retryAfter };
      if (!answer.isStream) {
        const whole = await answer.whole();
        settle(head.status < 400 ? null : new ShoalError('BACKEND_FAILED', `answered ${head.status}`));
        return new Response(whole, {
          status: head.status,
          headers: { 'content-type': 'application/json', ...retryAfter },
        });
      }
      const first = await answer.next();
      firstMs = clock.now() - startedMs;
      const headers = { ...SSE_HEADERS, ...retryAfter };
      return new Response(sseBody(events(first), clock, hangUp), { status: head.status, headers });
    } catch (thrown) {
      const error = notOfKeys(ShoalError.from(thrown, 'BACKEND_FAILED'), name);
      answer.cancel(error);
      settle(error);
      throw error;
    }
  }

  return {
    provider: offer.provider,
    models: async () => offer.models,
    readiness: async () => ({
      ready: true,
      detail: `${name} lends ${
        offer.models
          .map(({ id }) => id)
          .slice(0, 3)
          .join(', ') || 'no model'
      }`,
    }),
    chatCompletions: (body, context) => call('chat', body, context),
    completions: (body, context) => call('completions', body, context),
    async close() {
      const error = new ShoalError('ABORTED', 'the server is shutting down; send the request again');
      for (const answer of [...inFlight]) answer.cancel(error);
    },
  };
}

/** Only the provider has the list of what its backend knows. */
const NO_NAMES: ReadonlySet<string> = new Set();

/** No client may take its own key for refused: a provider never sees it, and what it says of keys is about its own. */
function notOfKeys(error: ShoalError, name: string): ShoalError {
  if (error.code !== 'UNAUTHORIZED') return error;
  return new ShoalError('BACKEND_FAILED', `the provider "${name}" has no access to its backend`, {
    cause: error,
  });
}

/** Tokens are the provider's count; times are measured here, where the client's are. */
function reportOf(
  answer: RemoteAnswer,
  body: unknown,
  error: ShoalError | null,
  firstMs: number | null,
  durationMs: number,
): AnswerReport {
  const { report } = answer;
  const failed = error?.code === 'ABORTED' ? 'aborted' : 'error';
  return {
    model: report?.model ?? modelOf(body),
    outcome: error === null ? (report?.outcome ?? 'other') : failed,
    promptTokens: report?.promptTokens ?? null,
    completionTokens: report?.completionTokens ?? null,
    timeToFirstTokenMs: firstMs ?? report?.timeToFirstTokenMs ?? null,
    durationMs,
  };
}

function modelOf(body: unknown): string {
  return typeof body === 'object' && body !== null && 'model' in body ? String(body.model) : '';
}
