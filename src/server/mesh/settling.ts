import { SETTLE_AT_ONCE_WORKERS, SETTLE_REST_MS_A_WORKER } from '../../config/limits.ts';
import type { Timers } from '../../mesh/timers.ts';
import { EarliestTimer } from '../earliest-timer.ts';

export interface SettlingOptions {
  readonly timers: Timers;
  /** Workers that there are, those that are away included. */
  readonly workers: () => number;
  /** Looks at everybody. What it changes itself it tells by `settle`, or `again`. */
  readonly step: () => void;
  /** Nothing changes any more, and there was news. */
  readonly onSettled: () => void;
}

/** When everybody is looked at, as what changed one thing may change all others: at once and until nothing changes, in a large mesh after a rest. */
export class Settling {
  readonly #options: SettlingOptions;
  readonly #soon: EarliestTimer;
  #isSettling = false;
  #isUnsettled = false;
  #settledAtMs = Number.NEGATIVE_INFINITY;
  /** Where there was no route, or no room, there may be now. */
  #hasNews = false;
  #isClosed = false;

  constructor(options: SettlingOptions) {
    this.#options = options;
    // A sequence that left frees room, which its own release tells; where it found none, telling so would ask again at once.
    this.#soon = new EarliestTimer(options.timers, () => this.settle(false));
  }

  settle(isNews = true): void {
    const { timers, step, onSettled } = this.#options;
    this.#isUnsettled = true;
    this.#hasNews ||= isNews;
    if (this.#isSettling || this.#isClosed) return;
    const waitMs = this.#settledAtMs + this.#restMs - timers.now();
    if (waitMs > 0) {
      this.#soon.within(waitMs);
      return;
    }
    this.#isSettling = true;
    while (this.#isUnsettled) {
      this.#isUnsettled = false;
      step();
    }
    this.#isSettling = false;
    this.#settledAtMs = timers.now();
    if (!this.#hasNews) return;
    this.#hasNews = false;
    onSettled();
  }

  /** In a step: it changed something that came before. */
  again(): void {
    this.#isUnsettled = true;
  }

  /** No news, and not now. */
  soon(): void {
    this.#soon.within(0);
  }

  /** The next time is not put off. */
  endRest(): void {
    this.#settledAtMs = Number.NEGATIVE_INFINITY;
  }

  close(): void {
    this.#isClosed = true;
    this.#soon.stop();
  }

  /** Between two times: each looks at everybody, and of ten thousand somebody changes all the time. */
  get #restMs(): number {
    const workers = this.#options.workers();
    return workers <= SETTLE_AT_ONCE_WORKERS ? 0 : workers * SETTLE_REST_MS_A_WORKER;
  }
}
