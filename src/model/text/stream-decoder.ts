import type { DecodeStep } from './token-decoder.ts';

/**
 * Ids in, text out, one generation long. Characters that span tokens are held back until they are whole; special tokens and ids that
 * stand for no token give no text. All pieces joined are `decode` of all ids.
 */
export class StreamDecoder {
  readonly #step: DecodeStep;
  readonly #tokenOf: (id: number) => string | undefined;
  #isEnded = false;

  /** @param tokenOf the token that an id stands for; undefined for one that gives no text */
  constructor(step: DecodeStep, tokenOf: (id: number) => string | undefined) {
    this.#step = step;
    this.#tokenOf = tokenOf;
  }

  push(id: number): string {
    const token = this.#tokenOf(id);
    return token === undefined || this.#isEnded ? '' : this.#step.push(token).join('');
  }

  /** What was held back, a broken character as U+FFFD. Nothing comes after it. */
  flush(): string {
    if (this.#isEnded) return '';
    this.#isEnded = true;
    return this.#step.end().join('');
  }
}
