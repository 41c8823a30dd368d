import type { Timers } from '../mesh/timers.ts';

/** The timers of one owner, so that its end leaves none running. */
export class TimerGroup implements Timers {
  readonly #timers: Timers;
  readonly #pending = new Set<() => void>();

  constructor(timers: Timers) {
    this.#timers = timers;
  }

  now(): number {
    return this.#timers.now();
  }

  after(ms: number, run: () => void): () => void {
    const cancelTimer = this.#timers.after(ms, () => {
      this.#pending.delete(cancel);
      run();
    });
    const cancel = () => {
      this.#pending.delete(cancel);
      cancelTimer();
    };
    this.#pending.add(cancel);
    return cancel;
  }

  clear(): void {
    for (const cancel of [...this.#pending]) cancel();
  }
}
