import type { Timers } from '../mesh/timers.ts';

/** One run to come, at the earliest of the times that were asked for. A later one is met by it, and not run again. */
export class EarliestTimer {
  readonly #timers: Timers;
  readonly #run: () => void;
  #at = Number.POSITIVE_INFINITY;
  #cancel: () => void = () => {};
  #stopped = false;

  constructor(timers: Timers, run: () => void) {
    this.#timers = timers;
    this.#run = run;
  }

  get isDue(): boolean {
    return this.#at !== Number.POSITIVE_INFINITY;
  }

  within(ms: number): void {
    const at = this.#timers.now() + ms;
    if (this.#stopped || at >= this.#at) return;
    this.#cancel();
    this.#at = at;
    this.#cancel = this.#timers.after(ms, () => {
      this.#at = Number.POSITIVE_INFINITY;
      this.#run();
    });
  }

  /** For good. */
  stop(): void {
    this.#stopped = true;
    this.#cancel();
    this.#at = Number.POSITIVE_INFINITY;
  }
}
