/**
 * A key or a token that cannot leak by accident: printing, logging, JSON, string interpolation and Node's
 * inspection all give `***`, and the value is no property of the object. Only `reveal()` gives it.
 */
export class Secret {
  readonly #value: string;

  constructor(value: string) {
    this.#value = value;
  }

  reveal(): string {
    return this.#value;
  }

  toString(): string {
    return MASK;
  }

  toJSON(): string {
    return MASK;
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return MASK;
  }

  /** `text` with every occurrence of the value masked: for messages that others wrote (an upstream's error). */
  redact(text: string): string {
    return this.#value === '' ? text : text.replaceAll(this.#value, MASK);
  }
}

const MASK = '***';
