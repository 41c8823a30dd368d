/** Clock and timers, passed in so that deadlines are tested without waiting. */
export interface Timers {
  /** Milliseconds since an arbitrary start; never goes back. */
  now(): number;
  /** Runs once after `delayMs`; the returned function cancels. */
  after(delayMs: number, run: () => void): () => void;
}

/** The platform's own; works in pages, workers and Node. */
export const systemTimers: Timers = {
  now: () => performance.now(),
  after(delayMs, run) {
    const id = setTimeout(run, delayMs);
    return () => clearTimeout(id);
  },
};
