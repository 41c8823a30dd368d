/** How long the next token of a route may take, from how long its tokens have taken. Pure. */
import {
  MIN_PATIENCE_MS,
  PATIENCE_ROUNDS,
  ROUND_PATIENCE,
  SLOW_FACTOR,
  TOKEN_DEADLINE_MS,
  UNMEASURED_PATIENCE_MS,
} from '../config/limits.ts';

/** Rounds before they count: the first ones compile and allocate. */
const ROUNDS_NEEDED = 8;

/** How long the last rounds of routes with one worker have taken. */
export class RoundTimes {
  readonly #ms: number[] = [];
  #next = 0;

  note(ms: number): void {
    this.#ms[this.#next] = ms;
    this.#next = (this.#next + 1) % PATIENCE_ROUNDS;
  }

  /** The 99th percentile, in ms; null before there are enough. */
  get longMs(): number | null {
    if (this.#ms.length < ROUNDS_NEEDED) return null;
    const sorted = [...this.#ms].sort((a, b) => a - b);
    return sorted[Math.ceil(0.99 * sorted.length) - 1]!;
  }
}

export interface RoundView {
  /** Of each stage's worker. */
  readonly longMs: readonly (number | null)[];
  /** As the stages say, times who shares them. */
  readonly expectedMs: number;
  /** Prefill of other sequences that may come in between. */
  readonly waitingMs: number;
}

/** Beyond it the route has stalled, in ms. A frozen worker costs so much, a slow one that says so gets what it says it needs. */
export function tokenDeadlineMs({ longMs, expectedMs, waitingMs }: RoundView): number {
  const measured = longMs.map((ms) =>
    ms === null ? UNMEASURED_PATIENCE_MS : Math.max(MIN_PATIENCE_MS, ROUND_PATIENCE * ms),
  );
  const patienceMs = Math.max(...measured, SLOW_FACTOR * expectedMs) + waitingMs;
  return Math.min(patienceMs, TOKEN_DEADLINE_MS);
}
