/**
 * Whether a shard that loads still comes. Progress alone says little: one more byte every 20 s is progress. Pure: time is passed in.
 */
import { LEAST_LOAD_BYTES_PER_SECOND, LOAD_LAG_MS, LOAD_SETUP_MS, LOAD_STALL_MS } from '../config/limits.ts';

/** A shard that is told of in more parts than this, each after a long pause, is held up. */
const LEAST_LOAD_PARTS = 20;

/** `lagging`: who can load the same now should. `failed`: it is not waited for any more. */
export type LoadState = 'loading' | 'lagging' | 'failed';

/** A shard of so many bytes is there by then, or never, in ms. */
export function loadDeadlineMs(bytes: number): number {
  return LOAD_SETUP_MS + (bytes / LEAST_LOAD_BYTES_PER_SECOND) * 1_000;
}

export class LoadWatch {
  readonly #bytes: number;
  readonly #deadlineMs: number;
  #movedMs: number;
  #bytesDone = 0;

  /** @param bytes of the shard's tensors, as the server knows them: what the worker says of a total is not asked */
  constructor(bytes: number, nowMs: number) {
    this.#bytes = bytes;
    this.#movedMs = nowMs;
    this.#deadlineMs = nowMs + loadDeadlineMs(bytes);
  }

  /**
   * The worker told of its progress.
   * @param bytesDone of the phase
   * @param isNewPhase another than the last time; it may begin with fewer, or as many
   */
  progress(bytesDone: number, isNewPhase: boolean, nowMs: number): void {
    const moved = isNewPhase ? Number.POSITIVE_INFINITY : bytesDone - this.#bytesDone;
    // What moves slower than the least rate does not move; a small shard may come in few pieces.
    const least = (LEAST_LOAD_BYTES_PER_SECOND * (nowMs - this.#movedMs)) / 1_000;
    if (moved <= 0 || moved < Math.min(least, this.#bytes / LEAST_LOAD_PARTS)) return;
    this.#bytesDone = bytesDone;
    this.#movedMs = nowMs;
  }

  state(nowMs: number): LoadState {
    if (nowMs >= this.failsAtMs) return 'failed';
    return nowMs - this.#movedMs >= LOAD_LAG_MS ? 'lagging' : 'loading';
  }

  /** Its time is over, however it moves. */
  isOverdue(nowMs: number): boolean {
    return nowMs >= this.#deadlineMs;
  }

  /** If nothing more is heard. */
  get failsAtMs(): number {
    return Math.min(this.#deadlineMs, this.#movedMs + LOAD_STALL_MS);
  }

  /** When `state` will be another, if nothing more is heard. */
  nextChangeMs(nowMs: number): number {
    const lagsAtMs = this.#movedMs + LOAD_LAG_MS;
    return nowMs < lagsAtMs && lagsAtMs < this.failsAtMs ? lagsAtMs : this.failsAtMs;
  }
}
