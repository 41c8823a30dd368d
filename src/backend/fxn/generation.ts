/** Text as it is generated: tokens become characters, stop strings cut, times are taken. */

import type { StopStrings } from '../../model/text/stop-strings.ts';
import type { StreamDecoder } from '../../model/text/stream-decoder.ts';
import type { Clock } from '../clock.ts';
import type { GenerateRequest, ServingLoss, ServingStage, TokenGenerator } from './generator.ts';
import { type TokenBytes, textOf } from './openai-logprobs.ts';
import { type TextToken, TokenAlignment } from './token-alignment.ts';

export type FinishReason = 'stop' | 'length';

/** What is told about a generation besides its text. */
export interface GenerationReport {
  readonly promptTokens: number;
  /** Every token the model produced, the end-of-sequence token and those behind a stop string's start included. */
  readonly completionTokens: number;
  /** The pipeline that finished the sequence. */
  readonly stages: readonly ServingStage[];
  readonly restarts: number;
  /** What the newest of them were for. */
  readonly losses: readonly ServingLoss[];
  /** Restarts after which other adapters computed, that may give other bits: the text may differ from an undisturbed one. */
  readonly crossings: number;
  readonly timeToFirstTokenMs: number | null;
  /** Decode speed, the first token's wait left out; null below two tokens. */
  readonly tokensPerSecond: number | null;
}

export type GenerationPiece =
  | { readonly type: 'started' }
  /** `tokens`: with log probabilities, whose text begins here; null where the request asks for none. */
  | { readonly type: 'text'; readonly text: string; readonly tokens: readonly TextToken[] | null }
  | { readonly type: 'finished'; readonly reason: FinishReason; readonly report: GenerationReport };

/** What was done so far for all choices of an answer; the only account of one that breaks off. */
export interface GenerationCounts {
  /** Generations that a pipeline took. */
  started: number;
  tokens: number;
  restarts: number;
}

export interface GenerationParts {
  readonly generator: TokenGenerator;
  readonly request: GenerateRequest;
  readonly decoder: Pick<StreamDecoder, 'push' | 'flush'>;
  readonly stop: StopStrings;
  readonly tokenBytes: TokenBytes;
  readonly clock: Clock;
  /** Counted up. */
  readonly counts: GenerationCounts;
  /** Called when its sequence has a number on the mesh. */
  readonly onSequence?: (sequence: number) => void;
}

/**
 * `started` once a pipeline is there, then text, then `finished`. Ending the iteration early frees the sequence, but
 * only after the pending token: abort `signal` too, because an async generator's `return()` waits behind its `next()`.
 *
 * @throws what the generator throws
 */
export async function* generateText(
  parts: GenerationParts,
  signal: AbortSignal,
): AsyncGenerator<GenerationPiece> {
  const { generator, request, decoder, stop, clock, counts } = parts;
  const times = new TokenTimes(clock);
  const aligned = request.topLogprobs === undefined ? null : alignmentBy(parts.tokenBytes);
  let stages: readonly ServingStage[] = [];
  let restarts = 0;
  let losses: readonly ServingLoss[] = [];
  let crossings = 0;
  let reason: FinishReason | undefined;
  let started = false;

  for await (const event of generator.generate(request, signal)) {
    if (!started) {
      started = true;
      counts.started++;
      yield { type: 'started' };
    }
    if (event.type === 'pipeline') {
      counts.restarts += event.restarts - restarts;
      ({ stages, restarts, losses = [], crossings = 0 } = event);
      if (event.sequence !== undefined) parts.onSequence?.(event.sequence);
    } else if (event.type === 'token') {
      times.token();
      counts.tokens++;
      if (request.eosTokenIds.includes(event.id)) continue;
      const decoded = decoder.push(event.id);
      if (event.logprobs !== undefined) aligned?.decoded(event.id, event.logprobs, decoded);
      const { text, stopped } = stop.push(decoded);
      if (text !== '') yield { type: 'text', text, tokens: aligned?.sent(text) ?? null };
      if (stopped) {
        reason = 'stop';
        break;
      }
    } else {
      reason = event.reason;
      const decoded = decoder.flush();
      aligned?.flushed(decoded);
      const last = stop.push(decoded);
      const text = last.stopped ? last.text : last.text + stop.flush();
      if (last.stopped) reason = 'stop';
      const tokens = aligned === null ? null : [...aligned.sent(text), ...aligned.rest()];
      if (text !== '' || (tokens !== null && tokens.length > 0)) yield { type: 'text', text, tokens };
      break;
    }
  }
  if (reason === undefined) throw new Error('the generator ended without saying why');
  const report = {
    promptTokens: request.prompt.length,
    stages,
    restarts,
    losses,
    crossings,
    ...times.report(),
  };
  yield { type: 'finished', reason, report };
}

function alignmentBy(tokenBytes: TokenBytes): TokenAlignment {
  return new TokenAlignment((id) => {
    const bytes = tokenBytes(id);
    return bytes === null ? null : textOf(bytes);
  });
}

class TokenTimes {
  readonly #clock: Clock;
  readonly #startMs: number;
  #firstMs = 0;
  #lastMs = 0;
  #count = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#startMs = clock.now();
  }

  token(): void {
    this.#lastMs = this.#clock.now();
    if (this.#count++ === 0) this.#firstMs = this.#lastMs;
  }

  report() {
    const decodeMs = this.#lastMs - this.#firstMs;
    return {
      completionTokens: this.#count,
      timeToFirstTokenMs: this.#count === 0 ? null : this.#firstMs - this.#startMs,
      tokensPerSecond: this.#count < 2 || decodeMs === 0 ? null : ((this.#count - 1) * 1000) / decodeMs,
    };
  }
}
