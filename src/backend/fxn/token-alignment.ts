import type { TokenLogprobs } from '../../model/sampling.ts';

/** A generated token beside the text that it gave. */
export interface TextToken {
  readonly id: number;
  readonly logprobs: TokenLogprobs;
  /** Unicode code points of the answer's text before it. */
  readonly offset: number;
}

interface HeldToken extends TextToken {
  /** UTF-16 units of the decoded text before it. */
  readonly start: number;
}

/**
 * Keeps tokens back as long as their text is: a decoder waits for whole characters, stop strings for what may be the
 * start of one. A token goes out with the first piece of its text; one without text of its own with what follows it.
 * Tokens whose text a stop string cuts off whole never go out.
 */
export class TokenAlignment {
  /** What an id stands for; null where that is no text by itself. */
  readonly #textOf: (id: number) => string | null;
  #held: HeldToken[] = [];
  #decodedUnits = 0;
  #decodedPoints = 0;
  #sentUnits = 0;

  constructor(textOf: (id: number) => string | null) {
    this.#textOf = textOf;
  }

  /** @param decoded what the decoder gave for it: with text of tokens before it, or nothing yet */
  decoded(id: number, logprobs: TokenLogprobs, decoded: string): void {
    const own = this.#textOf(id);
    // Text that was held back before it is not its own.
    const isWhole = own !== null && own.length < decoded.length && decoded.endsWith(own);
    const before = isWhole ? decoded.slice(0, decoded.length - own.length) : '';
    this.#held.push({
      id,
      logprobs,
      start: this.#decodedUnits + before.length,
      offset: this.#decodedPoints + codePoints(before),
    });
    this.#count(decoded);
  }

  /** Text that came when the decoder was flushed. */
  flushed(decoded: string): void {
    this.#count(decoded);
  }

  /** @returns the tokens that go out with `text` */
  sent(text: string): TextToken[] {
    this.#sentUnits += text.length;
    const first = this.#held.findIndex(({ start }) => start >= this.#sentUnits);
    return this.#take(first < 0 ? this.#held.length : first);
  }

  /** After the last text: tokens that gave none, unless the text was cut before them. */
  rest(): TextToken[] {
    return this.#take(this.#sentUnits === this.#decodedUnits ? this.#held.length : 0);
  }

  #take(count: number): TextToken[] {
    return this.#held.splice(0, count).map(({ id, logprobs, offset }) => ({ id, logprobs, offset }));
  }

  #count(decoded: string): void {
    this.#decodedUnits += decoded.length;
    this.#decodedPoints += codePoints(decoded);
  }
}

function codePoints(text: string): number {
  let count = 0;
  for (const _ of text) count++;
  return count;
}
