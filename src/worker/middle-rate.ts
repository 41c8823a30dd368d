/** Measurements that count: the last so many, so that a rate follows the machine and nothing grows. */
const WINDOW = 32;
/** Of them, so much is left out at each end: a stall, a shader's first run, a chunk of three rows. */
const LEFT_OUT = 1 / 4;

/** What one of something takes, from the last times that some were done: the mean over the middle half of them. */
export class MiddleRate {
  readonly #last: { readonly count: number; readonly ms: number }[] = [];

  /** `count` ≥ 1 were done in `ms`. */
  add(count: number, ms: number): void {
    this.#last.push({ count, ms });
    if (this.#last.length > WINDOW) this.#last.shift();
  }

  /** Milliseconds of one; null before the first. */
  get msOfOne(): number | null {
    if (this.#last.length === 0) return null;
    const byCost = [...this.#last].sort((a, b) => a.ms / a.count - b.ms / b.count);
    const out = Math.floor(byCost.length * LEFT_OUT);
    const middle = byCost.slice(out, byCost.length - out);
    const ms = middle.reduce((sum, step) => sum + step.ms, 0);
    return ms / middle.reduce((sum, step) => sum + step.count, 0);
  }
}
