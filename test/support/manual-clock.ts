import type { Clock } from '../../src/backend/clock.ts';

/** Time that passes only when told to. */
export class ManualClock implements Clock {
  #nowMs = 0;
  readonly #sleepers = new Set<{ readonly untilMs: number; readonly wake: () => void }>();

  now = () => this.#nowMs;
  epochMs = () => 1_700_000_000_000 + this.#nowMs;

  sleep(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((done) => {
      const sleeper = {
        untilMs: this.#nowMs + ms,
        wake: () => {
          this.#sleepers.delete(sleeper);
          signal.removeEventListener('abort', sleeper.wake);
          done();
        },
      };
      if (signal.aborted) return done();
      this.#sleepers.add(sleeper);
      signal.addEventListener('abort', sleeper.wake);
    });
  }

  /** How long each sleeper still has. */
  get waitingMs(): number[] {
    return [...this.#sleepers].map(({ untilMs }) => untilMs - this.#nowMs);
  }

  advance(ms: number): void {
    this.#nowMs += ms;
    for (const sleeper of [...this.#sleepers]) if (sleeper.untilMs <= this.#nowMs) sleeper.wake();
  }
}
