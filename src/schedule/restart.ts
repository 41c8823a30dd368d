/** What becomes of an answer whose sequence failed: pure, so that every case is a line of a table. */
import type { ErrorCode } from '../config/errors.ts';
import { MAX_RESTARTS, MAX_STRIKES, RESTART_PAUSE_MS } from '../config/limits.ts';

export interface SequenceFailure {
  readonly code: ErrorCode;
  /** The route is gone, as a worker or a link of it is. */
  readonly isRouteLost: boolean;
  /** Failures without a token between, this one included. */
  readonly failures: number;
  /** Of them, those for values that are no numbers; and whether all were told by one worker. */
  readonly nonFinite: number;
  readonly isNonFiniteOfOne: boolean;
}

export type Restart =
  /** A stage has no room for it: no failure, it waits for its turn again. */
  | { readonly kind: 'room' }
  | { readonly kind: 'again'; readonly pauseMs: number; readonly needsF32: boolean }
  | { readonly kind: 'give-up'; readonly why: 'too-often' | 'non-finite' };

export function restartAfter(failure: SequenceFailure): Restart {
  const { code, isRouteLost, failures, nonFinite, isNonFiniteOfOne } = failure;
  if (code === 'SEQUENCE_LIMIT' || code === 'KV_EXHAUSTED') return { kind: 'room' };
  // The same on other hardware, or again and again: it lies in the model or the request.
  if (code === 'NON_FINITE' && (!isNonFiniteOfOne || nonFinite > MAX_STRIKES)) {
    return { kind: 'give-up', why: 'non-finite' };
  }
  if (failures > MAX_RESTARTS) return { kind: 'give-up', why: 'too-often' };
  // Another route is worth an immediate start; the one that failed it is not.
  return {
    kind: 'again',
    pauseMs: isRouteLost ? 0 : RESTART_PAUSE_MS * failures,
    needsF32: code === 'F16_RANGE',
  };
}
