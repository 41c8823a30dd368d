/** Random numbers of one seed. `fork` gives a stream that draws elsewhere do not shift, so that one more fault moves no other. */
export class SeededRandom {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** Another stream, the same for the same seed and label. */
  fork(label: string): SeededRandom {
    let hash = this.#state ^ 0x811c_9dc5;
    for (let i = 0; i < label.length; i++) hash = Math.imul(hash ^ label.charCodeAt(i), 0x0100_0193);
    return new SeededRandom(scramble(hash >>> 0));
  }

  /** Uniform in [0, 2^32). */
  u32(): number {
    this.#state = (this.#state + 0x9e37_79b9) >>> 0;
    return scramble(this.#state);
  }

  /** Uniform in [0, 1). */
  unit(): number {
    return this.u32() / 2 ** 32;
  }

  /** Uniform in [low, high). */
  between(low: number, high: number): number {
    return low + (high - low) * this.unit();
  }

  /** A whole number of [0, count). */
  below(count: number): number {
    return Math.floor(this.unit() * count);
  }

  chance(probability: number): boolean {
    return this.unit() < probability;
  }

  /** Of a Poisson process: the time to the next event, in the unit of `mean`. */
  exponential(mean: number): number {
    return -mean * Math.log(1 - this.unit());
  }

  /** One of them; there must be one. */
  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)]!;
  }

  shuffled<T>(items: readonly T[]): T[] {
    const mixed = [...items];
    for (let i = mixed.length - 1; i > 0; i--) {
      const j = this.below(i + 1);
      [mixed[i], mixed[j]] = [mixed[j]!, mixed[i]!];
    }
    return mixed;
  }
}

/** Steele, Lea and Flood's SplitMix, finalizer of MurmurHash3: every bit of the state moves every bit of the result. */
function scramble(state: number): number {
  let z = state;
  z = Math.imul(z ^ (z >>> 16), 0x85eb_ca6b);
  z = Math.imul(z ^ (z >>> 13), 0xc2b2_ae35);
  return (z ^ (z >>> 16)) >>> 0;
}
