/** The errors of other people's servers, in whatever form they write them, as this API's own. */
import type { ShoalError } from '../../config/errors.ts';
import { MAX_UPSTREAM_ERROR_CHARS, MAX_UPSTREAM_EVENT_BYTES } from '../../config/limits.ts';
import { ToldByBackend } from '../told-by-backend.ts';
import { renameInMessage } from './model-name.ts';
import { readError, statusMeant, statusOf, type TheirError } from './their-error.ts';
import type { Upstream, UpstreamAnswer } from './upstream.ts';

/** The names under which the model is known there and here; without an alias they do not differ. */
export interface Names {
  readonly theirs: string;
  readonly ours: string;
}

/** An answer with an error's status: the client's to read where the fault is the client's, else thrown. */
export async function refused(
  upstream: Upstream,
  answer: UpstreamAnswer,
  names: Names,
  headers: Readonly<Record<string, string>>,
): Promise<Response> {
  // Before anything is cut from it: a broken server may put the headers that it got anywhere.
  const text = upstream.redact((await answer.text(MAX_UPSTREAM_EVENT_BYTES)) ?? '');
  const error = readError(parseJson(text));
  const said = error === null ? pageTitle(text) : error.message;
  return refusal(upstream, statusMeant(answer.status, error), error, said, names, headers);
}

/**
 * @param error null where the answer had no form that is known; `said` is then what a person can read of it
 * @throws BACKEND_FAILED, BACKEND_UNAVAILABLE, DEADLINE_EXCEEDED, BODY_TOO_LARGE, RATE_LIMITED
 */
export function refusal(
  upstream: Upstream,
  status: number,
  error: TheirError | null,
  said: string,
  names: Names,
  headers: Readonly<Record<string, string>>,
): Response {
  const message = bounded(upstream, said, names);
  const quoted = message === '' ? '' : `: ${message}`;
  const retryAfterSeconds = seconds(headers['retry-after']);
  if (status === 401 || status === 403) {
    throw upstream.failed(
      upstream.hasKey
        ? `refused this node's key (${status})${quoted}; correct api_key or bearer_token in model_backend.yaml`
        : `asks for a key (${status})${quoted}; set api_key or bearer_token in model_backend.yaml`,
      { said: message },
    );
  }
  if (status === 503 || status === 529) {
    throw upstream.failed(`is not available (${status})${quoted}`, {
      code: 'BACKEND_UNAVAILABLE',
      said: message,
      retryAfterSeconds,
    });
  }
  if (status === 504 || status === 408) {
    throw upstream.failed(`ran out of time (${status})${quoted}`, {
      code: 'DEADLINE_EXCEEDED',
      said: message,
    });
  }
  if (status >= 500) {
    // A 502 comes from what stands before the backend.
    const cause = status === 502 ? undefined : new ToldByBackend(status);
    throw upstream.failed(`answered ${status}${quoted}; look at its log`, { cause, said: message });
  }
  if (status === 429 && error === null) {
    throw upstream.failed(`has too many requests (429)${quoted}`, {
      code: 'RATE_LIMITED',
      said: message,
      retryAfterSeconds,
    });
  }
  if (status === 413 && error === null) {
    throw upstream.failed(`takes no request of this size (413)${quoted}`, {
      code: 'BODY_TOO_LARGE',
      said: message,
    });
  }
  // FastAPI says this of a path that it does not have; a model that is not there is told of by name.
  if (error === null || (status === 404 && /^not found\.?$/i.test(error.message)) || status === 405) {
    throw upstream.failed(
      `answered ${status}${quoted}; check that url in model_backend.yaml is an OpenAI-compatible API`,
      { said: message },
    );
  }
  const { type, param, code } = error;
  return Response.json(
    {
      error: {
        message: message || `the backend answered ${status} without a reason`,
        type: type ?? (status === 429 ? 'rate_limit_error' : 'invalid_request_error'),
        param,
        code,
      },
    },
    { status, headers },
  );
}

/** What a backend said, for a client: without keys, with the client's name for the model, and no longer than a sentence or two. */
export function bounded(upstream: Upstream, said: string, names: Names): string {
  const text = upstream.redact(said).replaceAll(/\s+/g, ' ').trim();
  const renamed = names.theirs === names.ours ? text : renameInMessage(text, names.theirs, names.ours);
  return renamed.length <= MAX_UPSTREAM_ERROR_CHARS
    ? renamed
    : `${renamed.slice(0, MAX_UPSTREAM_ERROR_CHARS)} …`;
}

/** The title of an HTML page, or the first words of a plain text. */
function pageTitle(text: string): string {
  if (!text.trimStart().startsWith('<')) return text.trim().slice(0, 200);
  return /<title[^>]*>([^<]{1,200})/i.exec(text)?.[1]?.trim() ?? '';
}

/** Retry-After may be a date too; that is left to the client's own back-off. */
function seconds(header: string | undefined): number | undefined {
  const value = Number(header);
  return header !== undefined && Number.isFinite(value) && value >= 0 ? value : undefined;
}

export function asError(upstream: Upstream, error: TheirError, names: Names): ShoalError {
  const said = bounded(upstream, error.message, names);
  const what = said === '' ? 'failed, and gave no reason; look at its log' : `failed: ${said}`;
  return upstream.failed(what, { cause: new ToldByBackend(statusOf(error)), said });
}

export function parseJson(text: string): unknown {
  try {
    return JSON.parse(withoutMark(text));
  } catch {
    return undefined;
  }
}

/** Byte order marks belong to no text, and no client expects them. A decoder takes one away; joined texts have more. */
export const withoutMark = (text: string) => text.replace(/^\uFEFF+/, '');
