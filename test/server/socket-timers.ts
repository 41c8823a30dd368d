import { vi } from 'vitest';
import type { Timers } from '../../src/mesh/timers.ts';

/** Real sockets on a machine that is busy with something else; no test waits for time itself. */
const PATIENCE_MS = 20_000;
vi.setConfig({ testTimeout: 2 * PATIENCE_MS });

/** Debounces and pauses are shorter; deadlines are longer. */
const SHORT_MS = 1_500;

/**
 * Short timers run at once, so that tests do not wait for debounces; deadlines pass only when a test says so.
 * `now` follows whatever has fired.
 */
export class TestTimers implements Timers {
  #now = 1_000_000;
  /** Called before a timer fires, at its time, and when the time that was to pass has: for what goes on all the while. */
  onAdvance = () => {};
  readonly #long = new Set<{ at: number; run: () => void }>();
  readonly #short = new Set<NodeJS.Timeout>();

  now(): number {
    return this.#now;
  }

  after(ms: number, run: () => void): () => void {
    const at = this.#now + ms;
    if (ms <= SHORT_MS) {
      const timer = setTimeout(() => {
        this.#short.delete(timer);
        this.#now = Math.max(this.#now, at);
        this.onAdvance();
        run();
      });
      this.#short.add(timer);
      return () => {
        this.#short.delete(timer);
        clearTimeout(timer);
      };
    }
    const entry = { at, run };
    this.#long.add(entry);
    return () => this.#long.delete(entry);
  }

  /** Lets `ms` pass: what was due by then fires, in order. */
  advance(ms: number): void {
    const until = this.#now + ms;
    for (;;) {
      const due = [...this.#long].filter(({ at }) => at <= until).sort((a, b) => a.at - b.at)[0];
      if (due === undefined) break;
      this.#long.delete(due);
      this.#now = Math.max(this.#now, due.at);
      this.onAdvance();
      due.run();
    }
    this.#now = until;
    this.onAdvance();
  }

  /** Timers that still run: zero after everything was closed. */
  get pending(): number {
    return this.#long.size + this.#short.size;
  }
}

/** Waits for what comes over real sockets. */
export async function until(condition: () => boolean, what = condition.toString()): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`did not happen: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}
