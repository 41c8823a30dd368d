/** Of the main thread's time at most; the rest is the reader's, who scrolls, selects and types. */
const DRAW_SHARE = 0.12;
/** Text that comes twenty times a second reads as a flow. */
const MIN_WAIT_MS = 50;

export interface DrawTimers {
  readonly now: () => number;
  readonly after: (ms: number, then: () => void) => void;
}

/** A hidden page draws no frames, and its timers are slow: it draws by them alone. */
const pageTimers: DrawTimers = {
  now: () => performance.now(),
  after: (ms, then) => {
    setTimeout(() => (document.hidden ? then() : requestAnimationFrame(then)), ms);
  },
};

/**
 * When an answer that grows is drawn: in a frame, never twice within MIN_WAIT_MS, and less often where drawing takes long, so
 * that neither a slow device nor one huge block keeps the main thread busy.
 */
export class DrawPace {
  readonly #draw: () => void;
  readonly #timers: DrawTimers;
  #isDue = false;
  /** Of the wait that counts: a drawing in between ends the ones before. */
  #wait = 0;
  #startedMs = Number.NEGATIVE_INFINITY;
  #nextMs = Number.NEGATIVE_INFINITY;

  constructor(draw: () => void, timers: DrawTimers = pageTimers) {
    this.#draw = draw;
    this.#timers = timers;
  }

  /** There is something new. */
  request(): void {
    if (this.#isDue) return;
    this.#isDue = true;
    const wait = ++this.#wait;
    this.#timers.after(Math.max(0, this.#nextMs - this.#timers.now()), () => {
      if (this.#isDue && wait === this.#wait) this.now();
    });
  }

  /** Draws what there is without waiting. */
  now(): void {
    this.#isDue = false;
    this.#startedMs = this.#timers.now();
    this.#nextMs = this.#startedMs + MIN_WAIT_MS;
    this.#draw();
  }

  /** It is on the page, its layout included. */
  drawn(): void {
    const now = this.#timers.now();
    const costMs = Math.max(0, now - this.#startedMs);
    this.#nextMs = Math.max(this.#startedMs + MIN_WAIT_MS, this.#startedMs + costMs / DRAW_SHARE);
  }
}
