import type { Timers } from '../../src/mesh/timers.ts';

interface Due {
  readonly atMs: number;
  readonly run: () => void;
}

/** A clock that stands still until told to go on. */
export class FakeTimers implements Timers {
  private nowMs = 0;
  private due: Due[] = [];

  now(): number {
    return this.nowMs;
  }

  after(delayMs: number, run: () => void): () => void {
    const entry: Due = { atMs: this.nowMs + delayMs, run };
    this.due.push(entry);
    return () => {
      this.due = this.due.filter((other) => other !== entry);
    };
  }

  get pending(): number {
    return this.due.length;
  }

  /** Runs everything due within `ms`, in order, and lets promises settle after each. */
  async advance(ms: number): Promise<void> {
    const untilMs = this.nowMs + ms;
    for (;;) {
      const next = this.due.filter((entry) => entry.atMs <= untilMs).sort((a, b) => a.atMs - b.atMs)[0];
      if (next === undefined) break;
      this.due = this.due.filter((entry) => entry !== next);
      this.nowMs = next.atMs;
      next.run();
      await settle();
    }
    this.nowMs = untilMs;
  }
}

/** Lets microtasks run, several rounds deep. */
export async function settle(): Promise<void> {
  for (let round = 0; round < 20; round++) await Promise.resolve();
}
