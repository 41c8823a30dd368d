/** One request to Ollama, and what comes of it line by line. */
import type { z } from 'zod';
import { ShoalError } from '../../config/errors.ts';
import { exactJson, parseExactly } from '../../config/exact-json.ts';
import { MAX_UPSTREAM_EVENT_BYTES } from '../../config/limits.ts';
import type { Upstream } from '../proxy/upstream.ts';
import { type Piece, saidIn } from './api.ts';
import { type Asked, refusedBy, saidError } from './errors.ts';
import { Lines } from './lines.ts';

export interface PiecesRequest extends Asked {
  readonly path: '/api/chat' | '/api/generate';
  readonly body: object;
  readonly line: z.ZodType<Piece>;
  readonly logprobs: boolean;
  /** Until the first line. */
  readonly deadlineMs: number;
}

/**
 * Always asked for as a stream, also for an answer that is wanted whole: so silence is told from work, and a client that
 * hangs up frees the model.
 *
 * @throws MODEL_NOT_FOUND, UNSUPPORTED_PARAMETER, INVALID_REQUEST, CONTEXT_LENGTH_EXCEEDED, OVERLOADED, BACKEND_FAILED,
 *   DEADLINE_EXCEEDED, ABORTED; the last piece has an `end`, or it throws
 */
export async function* piecesOf(
  upstream: Upstream,
  request: PiecesRequest,
  signal: AbortSignal,
): AsyncGenerator<Piece> {
  const answer = await upstream.request(
    {
      path: request.path,
      body: exactJson({ ...request.body, stream: true }),
      accept: 'application/x-ndjson',
      deadlineMs: request.deadlineMs,
    },
    signal,
  );
  if (!answer.response.ok) throw await refusedBy(upstream, answer, request);
  const lines = new Lines(MAX_UPSTREAM_EVENT_BYTES);
  const read = (line: string) => readPiece(upstream, line, request);
  try {
    for await (const chunk of answer.chunks('told')) {
      for (const line of lines.push(chunk)) {
        const piece = read(line);
        if (piece.end !== null) answer.complete();
        answer.progress();
        yield piece;
        if (piece.end !== null) return;
      }
    }
  } catch (thrown) {
    if (thrown instanceof RangeError)
      throw upstream.failed(`sent a line of more than ${MAX_UPSTREAM_EVENT_BYTES} bytes`);
    throw thrown;
  }
  const last = lines.end();
  const piece = last === '' ? undefined : read(last);
  if (piece?.end == null)
    throw upstream.failed('ended its stream in the middle of the answer; look at its log');
  yield piece;
}

function readPiece(upstream: Upstream, line: string, request: PiecesRequest): Piece {
  const value = readLine(upstream.redact(line));
  const error = saidIn(value);
  if (error !== null) throw saidError(upstream, 500, error, request);
  const piece = request.line.safeParse(value);
  if (!piece.success)
    throw upstream.failed(
      'sent a line that is none of Ollama’s; check that url in model_backend.yaml is an Ollama',
    );
  const { text, logprobs, end } = piece.data;
  if (request.logprobs && text !== '' && logprobs.length === 0 && end === null)
    throw new ShoalError(
      'UNSUPPORTED_PARAMETER',
      'logprobs is not supported here: Ollama answered without them; they need Ollama 0.12.11 or later and a model that it runs itself',
      { param: 'logprobs' },
    );
  return piece.data;
}

/** The arguments of a call keep their digits. @returns undefined for what is no JSON */
function readLine(line: string): unknown {
  try {
    return parseExactly(line);
  } catch {
    return undefined;
  }
}
