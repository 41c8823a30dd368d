/** What a failed try says: about the node, about other nodes, and to the client. */
import { type ErrorCode, ShoalError } from '../../config/errors.ts';
import type { AnswerReport } from '../backend.ts';
import { ToldByBackend } from '../told-by-backend.ts';

export interface RouteFailure {
  /**
   * Of the node. `failed`: it is not well; `unready`: it says itself that it cannot serve now; `busy`: well, and has
   * no room; `answered`: it refused this request, and is well; `none`: nothing was learnt, as
   * nothing was sent to it.
   */
  readonly verdict: 'failed' | 'unready' | 'busy' | 'answered' | 'none';
  /** Whether another node may do better. */
  readonly tryAnother: boolean;
  /** Of several failures the client is given one with the highest; among equals the first. */
  readonly telling: number;
  /** For the node's status. */
  readonly message: string;
  /** A failure that the node told of itself: it runs, and the request may be at fault. */
  readonly isTold: boolean;
  /** The node does not have the model that it listed. */
  readonly lacksModel: boolean;
  /** When the node has room again, as far as it said so. */
  readonly retryAfterSeconds: number | null;
  /** What the client would see: a thrown error, or an answer in OpenAI's shape. */
  readonly outcome: ShoalError | Response;
  /** The backend's own, of an answer that is an error. */
  readonly report?: AnswerReport;
}

const ABOUT_THE_REQUEST = 3;
const ABOUT_LOAD = 2;
const ABOUT_THE_NODE = 1;

const NODE_FAILED: ReadonlySet<ErrorCode> = new Set([
  'BACKEND_FAILED',
  'DEADLINE_EXCEEDED',
  'ADDRESS_REFUSED',
  'BACKEND_UNAVAILABLE',
  'PIPELINE_LOST',
  'LINK_FAILED',
  'INTERNAL',
]);
const NODE_UNREADY: ReadonlySet<ErrorCode> = new Set(['NO_PIPELINE', 'SHUTTING_DOWN']);
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
  const { code, toOthers: message, retryAfterSeconds } = error;
  const lacksModel = code === 'MODEL_NOT_FOUND';
  const isTold = error.cause instanceof ToldByBackend;
  const about = { message, lacksModel, isTold, retryAfterSeconds: retryAfterSeconds ?? null, outcome: error };
  // A 503 that names a time is a full queue; taking it for a failure would shut out a node for being in demand.
  if (NODE_BUSY.has(code) || (code === 'BACKEND_UNAVAILABLE' && retryAfterSeconds !== undefined))
    return { ...about, verdict: 'busy', tryAnother: true, telling: ABOUT_LOAD };
  if (NODE_FAILED.has(code))
    return { ...about, verdict: 'failed', tryAnother: true, telling: ABOUT_THE_NODE };
  if (NODE_UNREADY.has(code))
    return { ...about, verdict: 'unready', tryAnother: true, telling: ABOUT_THE_NODE };
  return { ...about, verdict: 'none', tryAnother: ELSEWHERE.has(code), telling: ABOUT_THE_REQUEST };
}

/** A Response that is not 2xx. A 401 is about the node's own key, which no client has a part in. */
export function responseFailure(response: Response): RouteFailure {
  const { status } = response;
  const retryAfterSeconds = secondsOf(response.headers.get('retry-after'));
  const message = `answered with status ${status}`;
  const isTold = status === 500;
  const about = { message, lacksModel: status === 404, isTold, retryAfterSeconds, outcome: response };
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

/** @param failures in the order of the tries, at least one */
export const mostTelling = (failures: readonly RouteFailure[]): RouteFailure =>
  failures.toSorted((a, b) => b.telling - a.telling)[0]!;

/**
 * What the client is given for `failure`, with the number of nodes that were tried where it is more than one.
 * @throws the failure, where it was thrown
 */
export async function clientsAnswer({ outcome }: RouteFailure, triedNodes: number): Promise<Response> {
  const note = triedNodes === 1 ? '' : ` (${triedNodes} nodes were tried)`;
  if (outcome instanceof Response) return note === '' ? outcome : withNote(outcome, note);
  if (note === '') throw outcome;
  const { code, message, param, retryAfterSeconds, toOthers } = outcome;
  throw new ShoalError(code, `${message}${note}`, {
    ...(param !== undefined && { param }),
    ...(retryAfterSeconds !== undefined && { retryAfterSeconds }),
    cause: outcome,
    toOthers,
  });
}

async function withNote(response: Response, note: string): Promise<Response> {
  if (!response.headers.get('content-type')?.startsWith('application/json')) return response;
  const { status, headers } = response;
  const text = await response.text();
  const kept = new Headers(headers);
  kept.delete('content-length');
  return new Response(noted(text, note), { status, headers: kept });
}

function noted(text: string, note: string): string {
  try {
    const body = JSON.parse(text);
    if (typeof body?.error?.message !== 'string') return text;
    return JSON.stringify({ ...body, error: { ...body.error, message: `${body.error.message}${note}` } });
  } catch {
    return text;
  }
}
