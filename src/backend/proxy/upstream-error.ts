/** The errors of other people's servers, in whatever form they write them, as this API's own. */
import type { ShoalError } from '../../config/errors.ts';
import { MAX_UPSTREAM_ERROR_CHARS, MAX_UPSTREAM_EVENT_BYTES } from '../../config/limits.ts';
import { ToldByBackend } from '../told-by-backend.ts';
import { isObject } from './answer-progress.ts';
import { renameInMessage } from './model-name.ts';
import type { Upstream, UpstreamAnswer } from './upstream.ts';

/** What a backend said went wrong; OpenAI's fields. */
export interface TheirError {
  readonly message: string;
  readonly type: string | null;
  readonly param: string | null;
  readonly code: string | number | null;
}

/** The names under which the model is known there and here; without an alias they do not differ. */
export interface Names {
  readonly theirs: string;
  readonly ours: string;
}

/**
 * OpenAI's `{error: {message}}`, also llama.cpp's and vLLM's of today; `{error: "text"}` (vLLM on a wrong key, TGI);
 * `{object: "error", message}` (vLLM before 0.10); `{detail}` (FastAPI, with a list of faults on 422); `{message}` (gateways).
 *
 * @returns null where `value` is none of them
 */
export function readError(value: unknown): TheirError | null {
  if (!isObject(value)) return null;
  const { error, detail, message } = value;
  if (isObject(error) && typeof error.message === 'string') return fields(error, error.message);
  if (typeof error === 'string') return fields(value, error);
  if (typeof detail === 'string') return fields(value, detail);
  if (Array.isArray(detail)) return readFaults(detail);
  if (typeof message === 'string' && !('choices' in value)) return fields(value, message);
  return null;
}

function fields(from: Record<string, unknown>, message: string): TheirError {
  const text = (value: unknown) => (typeof value === 'string' ? value.slice(0, 256) : null);
  return {
    message,
    type: text(from.type),
    param: text(from.param),
    code: typeof from.code === 'number' ? from.code : text(from.code),
  };
}

/** FastAPI's list: `[{loc: ["body", "n"], msg: "Input should be a valid integer"}]`. */
function readFaults(faults: readonly unknown[]): TheirError | null {
  const told = faults.flatMap((fault) => {
    if (!isObject(fault) || typeof fault.msg !== 'string') return [];
    const path = Array.isArray(fault.loc) ? fault.loc.filter((part) => part !== 'body').join('.') : '';
    return [{ path, text: path === '' ? fault.msg : `${path}: ${fault.msg}` }];
  });
  if (told[0] === undefined) return null;
  return {
    message: told.map(({ text }) => text).join('; '),
    type: null,
    param: told[0].path === '' ? null : told[0].path.slice(0, 256),
    code: null,
  };
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
  return refusal(upstream, answer.status, error, said, names, headers);
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

/** A failure that an event or an answer with status 200 tells of: llama.cpp puts the status that it means into `code`. */
export function statusOf({ code }: TheirError): number {
  const status = Number(code);
  return Number.isInteger(status) && status >= 400 && status <= 599 ? status : 500;
}

export function asError(upstream: Upstream, error: TheirError, names: Names): ShoalError {
  const said = bounded(upstream, error.message, names);
  return upstream.failed(`failed: ${said}`, { cause: new ToldByBackend(statusOf(error)), said });
}

export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
