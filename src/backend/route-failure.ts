/** What a failed try says: about the node, about other nodes, and to the client. */
import { type ErrorCode, ShoalError } from '../config/errors.ts';

export interface RouteFailure {
  /**
   * Of the node. `failed`: it is not well; `unready`: it says itself that it cannot serve now, which costs nobody time;
   * `busy`: well, and has no room; `answered`: it refused this request, and is well; `none`: nothing was learnt, as
   * nothing was sent to it.
   */
  readonly verdict: 'failed' | 'unready' | 'busy' | 'answered' | 'none';
  /** Whether another node may do better. */
  readonly tryAnother: boolean;
  /** Of several failures the client is given one with the highest; among equals the first. */
  readonly telling: number;
  /** For the node's status. */
  readonly message: string;
  /** When the node has room again, as far as it said so. */
  readonly retryAfterSeconds: number | null;
  /** What the client would see: a thrown error, or an answer in OpenAI's shape. */
  readonly outcome: ShoalError | Response;
}

const ABOUT_THE_REQUEST = 3;
const ABOUT_LOAD = 2;
const ABOUT_THE_NODE = 1;

const NODE_FAILED: ReadonlySet<ErrorCode> = new Set([
  'BACKEND_FAILED',
  'DEADLINE_EXCEEDED',
  'ADDRESS_REFUSED',
  'PIPELINE_LOST',
  'LINK_FAILED',
  'INTERNAL',
]);
const NODE_UNREADY: ReadonlySet<ErrorCode> = new Set(['NO_PIPELINE', 'SHUTTING_DOWN', 'BACKEND_UNAVAILABLE']);
const NODE_BUSY: ReadonlySet<ErrorCode> = new Set([
  'OVERLOADED',
  'RATE_LIMITED',
  'KV_EXHAUSTED',
  'SEQUENCE_LIMIT',
]);
/** Refused for what this node is; a node with another engine may take it. */
const ELSEWHERE: ReadonlySet<ErrorCode> = new Set([
  'MODEL_NOT_FOUND',
  'UNSUPPORTED_PARAMETER',
  'CONTEXT_LENGTH_EXCEEDED',
  'CHAT_TEMPLATE_MISSING',
]);

export function thrownFailure(thrown: unknown): RouteFailure {
  const error = ShoalError.from(thrown, 'INTERNAL');
  const { code, message, retryAfterSeconds } = error;
  const about = { message, retryAfterSeconds: retryAfterSeconds ?? null, outcome: error };
  if (NODE_FAILED.has(code))
    return { ...about, verdict: 'failed', tryAnother: true, telling: ABOUT_THE_NODE };
  if (NODE_UNREADY.has(code))
    return { ...about, verdict: 'unready', tryAnother: true, telling: ABOUT_THE_NODE };
  if (NODE_BUSY.has(code)) return { ...about, verdict: 'busy', tryAnother: true, telling: ABOUT_LOAD };
  return { ...about, verdict: 'none', tryAnother: ELSEWHERE.has(code), telling: ABOUT_THE_REQUEST };
}

/**
 * A Response that is not 2xx. A 401 is about the node's own key, which no client has a part in. A 503 that names a time
 * is a full queue (SGLang, vLLM behind a proxy), and taking it for a failure would shut out a node for being in demand.
 */
export function responseFailure(response: Response): RouteFailure {
  const { status } = response;
  const retryAfterSeconds = secondsOf(response.headers.get('retry-after'));
  const about = { message: `answered with status ${status}`, retryAfterSeconds, outcome: response };
  if (status === 429 || (status === 503 && retryAfterSeconds !== null))
    return { ...about, verdict: 'busy', tryAnother: true, telling: ABOUT_LOAD };
  if (status >= 500 || status === 401 || status === 408)
    return { ...about, verdict: 'failed', tryAnother: true, telling: ABOUT_THE_NODE };
  const tryAnother = status === 402 || status === 403 || status === 404;
  return { ...about, verdict: 'answered', tryAnother, telling: ABOUT_THE_REQUEST };
}

/** Of Retry-After only the seconds; a date would need the backend's clock to be right. */
function secondsOf(header: string | null): number | null {
  return header !== null && /^\d{1,9}$/.test(header.trim()) ? Number(header) : null;
}

/** The most telling of them, with the number of nodes that were tried where it is more than one. */
export async function lastWord(failures: readonly RouteFailure[]): Promise<Response> {
  const [best, ...others] = failures.toSorted((a, b) => b.telling - a.telling);
  if (best === undefined) throw new ShoalError('INTERNAL', 'a request failed on no node');
  for (const { outcome } of others) if (outcome instanceof Response) void outcome.body?.cancel();
  const { outcome } = best;
  const note = failures.length === 1 ? '' : ` (${failures.length} nodes were tried)`;
  if (outcome instanceof Response) return note === '' ? outcome : withNote(outcome, note);
  if (note === '') throw outcome;
  const { code, message, param, retryAfterSeconds } = outcome;
  throw new ShoalError(code, `${message}${note}`, {
    ...(param !== undefined && { param }),
    ...(retryAfterSeconds !== undefined && { retryAfterSeconds }),
    cause: outcome,
  });
}

async function withNote(response: Response, note: string): Promise<Response> {
  const body: unknown = await response.json();
  const error = isObject(body) && isObject(body.error) ? body.error : null;
  const noted =
    typeof error?.message === 'string'
      ? { ...(body as object), error: { ...error, message: `${error.message}${note}` } }
      : body;
  const headers = new Headers(response.headers);
  headers.delete('content-length');
  return Response.json(noted, { status: response.status, headers });
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null;
