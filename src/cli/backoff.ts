import { BROWSER_RESTART_MAX_MS, BROWSER_RESTART_MIN_MS, BROWSER_STABLE_MS } from '../config/limits.ts';

/** Waits between restarts: doubling, and short again after something ran long enough. */
export class Backoff {
  #nextMs = BROWSER_RESTART_MIN_MS;

  /**
   * @param ranMs how long it ran before it failed
   * @returns how long to wait before the next start, ms
   */
  afterFailure(ranMs: number): number {
    if (ranMs >= BROWSER_STABLE_MS) this.#nextMs = BROWSER_RESTART_MIN_MS;
    const waitMs = this.#nextMs;
    this.#nextMs = Math.min(waitMs * 2, BROWSER_RESTART_MAX_MS);
    return waitMs;
  }
}
