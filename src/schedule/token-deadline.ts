/** How long the next token of a route may take, from how long its tokens have taken. Pure. */
import {
  MIN_PATIENCE_MS,
  PATIENCE_ROUNDS,
  PREFILL_MS_PER_POSITION,
  ROUND_PATIENCE,
  SLOW_FACTOR,
  TOKEN_DEADLINE_MS,
  UNMEASURED_PATIENCE_MS,
} from '../config/limits.ts';

/** Rounds before they count: the first ones compile and allocate. */
const ROUNDS_NEEDED = 8;

/** How long the last rounds of routes with one worker have taken. */
export class RoundTimes {
  /** In the order of their coming, a ring; ... */
  readonly #ms: number[] = [];
  /** ... and of their length: it is asked for with every token, so that none may sort. */
  readonly #sorted: number[] = [];
  #next = 0;

  note(ms: number): void {
    const gone = this.#ms[this.#next];
    if (gone !== undefined) this.#sorted.splice(firstNotBelow(this.#sorted, gone), 1);
    this.#sorted.splice(firstNotBelow(this.#sorted, ms), 0, ms);
    this.#ms[this.#next] = ms;
    this.#next = (this.#next + 1) % PATIENCE_ROUNDS;
  }

  /** The 99th percentile, in ms; null before there are enough. */
  get longMs(): number | null {
    if (this.#sorted.length < ROUNDS_NEEDED) return null;
    return this.#sorted[Math.ceil(0.99 * this.#sorted.length) - 1]!;
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

/** Of a prompt, in ms for each position: a few times what its stage says that it takes, where it has prefilled before. @param rowsPerSecond null: not known */
export function positionDeadlineMs(rowsPerSecond: number | null): number {
  if (rowsPerSecond === null || rowsPerSecond <= 0) return PREFILL_MS_PER_POSITION;
  return Math.min(PREFILL_MS_PER_POSITION, (SLOW_FACTOR * 1_000) / rowsPerSecond);
}

/** Index of the first of `sorted` that is not less; its length where all are. */
function firstNotBelow(sorted: readonly number[], value: number): number {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle]! < value) low = middle + 1;
    else high = middle;
  }
  return low;
}
