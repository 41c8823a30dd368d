import type { Clock } from './clock.ts';

/** Without one, abort() makes an exception and its stack trace, which costs as much as a small request. */
const NO_REASON = 'no longer needed';

/**
 * A deadline that is moved on with every sign of life. Moving it later costs no timer: the one that runs looks again when it
 * fires. A stream of a hundred events a second would otherwise make and drop a timer for each.
 */
export class Watchdog {
  readonly #clock: Clock;
  readonly #onSilent: (ms: number) => void;
  #dueAt = Number.POSITIVE_INFINITY;
  #ms = 0;
  #wakesAt = Number.POSITIVE_INFINITY;
  #sleeping: AbortController | undefined;

  /** @param onSilent called once, with the milliseconds that the deadline had */
  constructor(clock: Clock, onSilent: (ms: number) => void) {
    this.#clock = clock;
    this.#onSilent = onSilent;
  }

  get armed(): boolean {
    return this.#dueAt !== Number.POSITIVE_INFINITY;
  }

  /** The deadline is `ms` from now, whatever it was. */
  arm(ms: number): void {
    this.#ms = ms;
    this.#dueAt = this.#clock.now() + ms;
    if (this.#dueAt >= this.#wakesAt) return;
    this.#sleeping?.abort(NO_REASON);
    void this.#watch();
  }

  /** No deadline until it is armed again. */
  rest(): void {
    this.#dueAt = Number.POSITIVE_INFINITY;
  }

  /** Leaves no timer behind. */
  stop(): void {
    this.rest();
    this.#wakesAt = Number.POSITIVE_INFINITY;
    this.#sleeping?.abort(NO_REASON);
    this.#sleeping = undefined;
  }

  async #watch(): Promise<void> {
    const sleeping = new AbortController();
    this.#sleeping = sleeping;
    while (this.armed) {
      const waitMs = this.#dueAt - this.#clock.now();
      if (waitMs <= 0) {
        this.rest();
        this.#wakesAt = Number.POSITIVE_INFINITY;
        return this.#onSilent(this.#ms);
      }
      this.#wakesAt = this.#dueAt;
      await this.#clock.sleep(waitMs, sleeping.signal);
      if (this.#sleeping !== sleeping) return;
    }
    this.#wakesAt = Number.POSITIVE_INFINITY;
  }
}
