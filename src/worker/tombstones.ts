import { MAX_TOMBSTONES } from '../config/limits.ts';

/**
 * Sequences closed a moment ago. Frames for them may still be on their way and are dropped without a word; a frame for
 * a sequence that is neither open nor here is an error. The oldest is forgotten first.
 */
export class Tombstones {
  readonly #sequences = new Set<number>();
  readonly #capacity: number;

  constructor(capacity: number = MAX_TOMBSTONES) {
    this.#capacity = capacity;
  }

  add(sequence: number): void {
    this.#sequences.delete(sequence);
    this.#sequences.add(sequence);
    if (this.#sequences.size > this.#capacity) {
      const oldest = this.#sequences.values().next().value;
      if (oldest !== undefined) this.#sequences.delete(oldest);
    }
  }

  has(sequence: number): boolean {
    return this.#sequences.has(sequence);
  }

  delete(sequence: number): void {
    this.#sequences.delete(sequence);
  }

  get size(): number {
    return this.#sequences.size;
  }
}
