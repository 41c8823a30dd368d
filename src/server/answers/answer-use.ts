export interface Use {
  readonly count: number;
  readonly bytes: number;
}

/** How many answers are kept and what they take, of each client and of all. */
export class AnswerUse {
  readonly #byOwner = new Map<string, { count: number; bytes: number }>();
  #count = 0;
  #bytes = 0;

  get all(): Use {
    return { count: this.#count, bytes: this.#bytes };
  }

  of(owner: string): Use {
    return this.#byOwner.get(owner) ?? { count: 0, bytes: 0 };
  }

  /** One more is kept, of no bytes yet. */
  add(owner: string): void {
    const { count, bytes } = this.of(owner);
    this.#byOwner.set(owner, { count: count + 1, bytes });
    this.#count++;
  }

  /** One that is kept takes so many bytes more, or less. */
  grow(owner: string, change: number): void {
    const { count, bytes } = this.of(owner);
    this.#byOwner.set(owner, { count, bytes: bytes + change });
    this.#bytes += change;
  }

  /** One of so many bytes is no longer kept. */
  remove(owner: string, bytes: number): void {
    this.grow(owner, -bytes);
    const { count, bytes: left } = this.of(owner);
    if (count === 1) this.#byOwner.delete(owner);
    else this.#byOwner.set(owner, { count: count - 1, bytes: left });
    this.#count--;
  }
}
