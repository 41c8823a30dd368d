/** The choices of one answer, whole or as a stream of server-sent events. */
import { ShoalError } from '../../config/errors.ts';
import { MAX_UPSTREAM_BODY_BYTES } from '../../config/limits.ts';
import type { ChoicePiece } from '../choices.ts';
import type { Clock } from '../clock.ts';
import { openAiErrorBody } from '../openai/error.ts';
import { SSE_DONE, SSE_HEADERS, sseBody, sseData } from '../openai/sse.ts';
import type { AnswerProgress } from '../proxy/answer-progress.ts';
import type { Upstream } from '../proxy/upstream.ts';
import type { AnswerForm, FinishReason, Json } from './answer-form.ts';
import type { Piece, PieceEnd } from './api.ts';
import { shoalOf, Tally } from './tally.ts';

export interface AnswerParts {
  readonly pieces: AsyncGenerator<ChoicePiece<Piece>>;
  readonly form: AnswerForm;
  readonly choices: number;
  readonly choicesPerPrompt: number;
  /** Told of every chunk, so that it knows how the answer went; reports once. */
  readonly progress: AnswerProgress;
  readonly clock: Clock;
  readonly upstream: Upstream;
  readonly includeUsage: boolean;
  /** Ends the requests to Ollama. */
  readonly hangUp: () => void;
}

type Step =
  | { readonly type: 'chunk'; readonly chunk: Json }
  | { readonly type: 'choice'; readonly index: number; readonly whole: () => Json; readonly shoal: Json };

/** @throws what the pieces throw */
export async function wholeAnswer(parts: AnswerParts): Promise<Response> {
  const { form, progress, upstream } = parts;
  const tally = new Tally(parts.choices, parts.choicesPerPrompt);
  const choices: Json[] = [];
  let shoal: Json = {};
  let chars = 0;
  for await (const step of steps(parts, tally)) {
    if (step.type === 'choice') {
      choices[step.index] = step.whole();
      shoal = step.shoal;
    } else {
      chars += JSON.stringify(step.chunk.choices).length;
      if (chars > MAX_UPSTREAM_BODY_BYTES)
        throw upstream.failed(
          `sent an answer of more than ${MAX_UPSTREAM_BODY_BYTES} bytes; ask for a stream`,
        );
    }
  }
  const usage = tally.usage();
  progress.take({ usage });
  progress.report();
  return Response.json({
    ...form.answer(choices, false),
    usage,
    // The speed of one choice is not the speed of several.
    ...(choices.length === 1 && { shoal }),
  });
}

/** @throws what the pieces throw before the first event */
export async function streamedAnswer(parts: AnswerParts): Promise<Response> {
  const tally = new Tally(parts.choices, parts.choicesPerPrompt);
  const events = eventsOf(parts, tally);
  const first = await events.next();
  if (first.done) throw new ShoalError('INTERNAL', 'an answer ended without an event');
  const told = toldToTheEnd(parts, first.value, events);
  return new Response(sseBody(told, parts.clock, parts.hangUp), { headers: SSE_HEADERS });
}

async function* eventsOf(parts: AnswerParts, tally: Tally): AsyncGenerator<Uint8Array> {
  // With include_usage every chunk has the field, null on all but the last (OpenAI).
  const event = (chunk: Json) => sseData(parts.includeUsage ? { ...chunk, usage: null } : chunk);
  for await (const step of steps(parts, tally)) if (step.type === 'chunk') yield event(step.chunk);
  const usage = tally.usage();
  parts.progress.take({ usage });
  if (parts.includeUsage) yield sseData({ ...parts.form.answer([], true), usage });
  yield SSE_DONE;
}

/** From now on, what goes wrong is an event. */
async function* toldToTheEnd(
  { progress }: AnswerParts,
  first: Uint8Array,
  events: AsyncGenerator<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  let outcome: 'error' | 'aborted' | undefined = 'aborted';
  try {
    yield first;
    for await (const event of events) {
      // The reader may stop at [DONE], without asking for the end.
      if (event === SSE_DONE) outcome = undefined;
      yield event;
    }
    outcome = undefined;
  } catch (thrown) {
    const error = ShoalError.from(thrown, 'BACKEND_FAILED');
    outcome = error.code === 'ABORTED' ? 'aborted' : 'error';
    yield sseData(openAiErrorBody(error));
  } finally {
    await events.return(undefined);
    progress.report(outcome);
  }
}

async function* steps(
  { pieces, form, choices, progress, clock }: AnswerParts,
  tally: Tally,
): AsyncGenerator<Step> {
  const startMs = clock.now();
  const open = Array.from({ length: choices }, (_, index) => ({
    form: form.choice(index),
    firstMs: null as number | null,
  }));
  for await (const { index, piece } of pieces) {
    const choice = open[index]!;
    if (choice.firstMs === null && (piece.text !== '' || piece.thinking !== '' || piece.toolCalls.length > 0))
      choice.firstMs = clock.now() - startMs;
    for (const chunk of choice.form.take(piece)) {
      progress.take(chunk);
      yield { type: 'chunk', chunk };
    }
    if (piece.end === null) continue;
    tally.ended(index, piece.end);
    const reason = finishReason(piece.end, choice.form.hasToolCalls);
    const shoal = shoalOf(piece.end, choice.firstMs);
    const last = { ...choice.form.last(reason), shoal };
    progress.take(last);
    yield { type: 'chunk', chunk: last };
    yield { type: 'choice', index, whole: () => choice.form.whole(reason), shoal };
  }
}

/** Ollama's own /v1 passes `load`, `unload` and others on, which no client of OpenAI's knows. */
function finishReason({ done_reason: reason }: PieceEnd, hasToolCalls: boolean): FinishReason {
  if (reason === 'length') return 'length';
  return hasToolCalls ? 'tool_calls' : 'stop';
}
