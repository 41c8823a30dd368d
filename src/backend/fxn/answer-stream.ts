/** Pieces of one or more choices as an answer: whole, or as server-sent events. */
import { ShoalError } from '../../config/errors.ts';
import { STREAM_COMMIT_MS } from '../../config/limits.ts';
import type { ChoicePiece } from '../choices.ts';
import type { Clock } from '../clock.ts';
import { openAiErrorBody } from '../openai/error.ts';
import type { ChatRequest } from '../openai/request-schema.ts';
import { SSE_DONE, SSE_HEADERS, sseBody, sseData, unlessSilent } from '../openai/sse.ts';
import type { AnswerTally } from './answer-report.ts';
import type { FinishReason, GenerationPiece } from './generation.ts';
import { type AnswerShape, shoalOf, usageOf } from './openai-answer.ts';
import type { TextToken } from './token-alignment.ts';

/**
 * Where a stream tells the usage. At its end: every chunk has the field, null on all but the last (OpenAI). Always: every
 * chunk tells what was used so far (vLLM).
 */
export type UsageWanted = 'none' | 'end' | 'always';

export function usageWanted(options: ChatRequest['stream_options']): UsageWanted {
  if (!options?.include_usage) return 'none';
  return options.continuous_usage_stats ? 'always' : 'end';
}

export async function wholeAnswer(
  pieces: AsyncIterable<ChoicePiece<GenerationPiece>>,
  shape: AnswerShape,
  tally: AnswerTally,
  options: { readonly choices: number; readonly withLogprobs: boolean },
): Promise<Response> {
  const texts = Array.from({ length: options.choices }, () => ({
    text: '',
    tokens: options.withLogprobs ? ([] as TextToken[]) : null,
    reason: null as FinishReason | null,
  }));
  for await (const { index, piece } of pieces) {
    const choice = texts[index]!;
    if (piece.type === 'text') {
      choice.text += piece.text;
      for (const token of piece.tokens ?? []) choice.tokens?.push(token);
    } else if (piece.type === 'finished') choice.reason = piece.reason;
  }
  const choices = texts.map(({ reason, ...text }) => {
    if (reason === null) throw new ShoalError('INTERNAL', 'a generation ended without a finish reason');
    return { ...text, reason };
  });
  const usage = usageOf(tally.usage());
  return Response.json({ ...shape.whole(choices), usage, shoal: shoalOf(tally.combined()) });
}

/** @throws what fails within STREAM_COMMIT_MS, so that a client without a pipeline sees a status, not a stream */
export async function streamedAnswer(
  pieces: AsyncGenerator<ChoicePiece<GenerationPiece>>,
  shape: AnswerShape,
  tally: AnswerTally,
  options: { readonly usage: UsageWanted; readonly clock: Clock; readonly hangUp: () => void },
): Promise<Response> {
  const first = pieces.next();
  // Whoever awaits it later sees the rejection too; unobserved in between, it would end the process.
  first.catch(() => {});
  await unlessSilent(first, options.clock, STREAM_COMMIT_MS);
  const events = chunks(resume(first, pieces), shape, tally, options.usage);
  return new Response(sseBody(events, options.clock, options.hangUp), { headers: SSE_HEADERS });
}

/** `rest` with its first `next()` already under way. */
async function* resume<T>(first: Promise<IteratorResult<T>>, rest: AsyncGenerator<T>): AsyncGenerator<T> {
  try {
    const result = await first;
    if (result.done) return;
    yield result.value;
    yield* rest;
  } finally {
    await rest.return(undefined);
  }
}

async function* chunks(
  pieces: AsyncIterable<ChoicePiece<GenerationPiece>>,
  shape: AnswerShape,
  tally: AnswerTally,
  wanted: UsageWanted,
): AsyncGenerator<Uint8Array> {
  const chunk = (value: Record<string, unknown>) => {
    if (wanted === 'none') return sseData(value);
    return sseData({ ...value, usage: wanted === 'always' ? usageOf(tally.usageSoFar()) : null });
  };
  try {
    for await (const { index, piece } of pieces) {
      switch (piece.type) {
        case 'started': {
          const first = shape.first(index);
          if (first !== null) yield chunk(first);
          break;
        }
        case 'text':
          yield chunk(shape.delta(index, piece));
          break;
        case 'finished':
          yield chunk({ ...shape.last(index, piece.reason), shoal: shoalOf(piece.report) });
          break;
        default:
          piece satisfies never;
      }
    }
    if (wanted !== 'none') yield sseData({ ...shape.bare(), usage: usageOf(tally.usage()) });
    yield SSE_DONE;
  } catch (thrown) {
    yield sseData(openAiErrorBody(ShoalError.from(thrown)));
  }
}
