/**
 * How fast a worker is, from the tokens that came round with it and not from what it says. Only whole rounds are measured, so
 * that a stage cannot say that it was another; the best of a worker's rounds is nearest to its own part in them.
 */
import { SLOW_FACTOR, SLOW_ROUND_MS, SPEED_ROUNDS } from '../../config/limits.ts';

/** A round that took so long beyond what its stages should have is slow; 0 where it is not. In milliseconds. */
export function excessOf(elapsedMs: number, expectedMs: number): number {
  const isSlow = elapsedMs > SLOW_FACTOR * expectedMs && elapsedMs - expectedMs > SLOW_ROUND_MS;
  return isSlow ? elapsedMs - SLOW_FACTOR * expectedMs : 0;
}

export class BelievedSpeed {
  /** Times as long as expected, of the last rounds. */
  readonly #ratios: number[] = [];

  note(elapsedMs: number, expectedMs: number): void {
    if (!(expectedMs > 0)) return;
    this.#ratios.push(elapsedMs / expectedMs);
    if (this.#ratios.length > SPEED_ROUNDS) this.#ratios.shift();
  }

  /** Of the speed that it says it has, in (0, 1]; null before it has served. */
  get share(): number | null {
    return this.#ratios.length === 0 ? null : 1 / Math.max(1, Math.min(...this.#ratios));
  }
}
