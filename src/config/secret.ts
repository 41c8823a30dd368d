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

  /** `text` with every occurrence of the value masked, as JSON writes it too: for what others wrote (an upstream's error). */
  redact(text: string): string {
    if (this.#value === '') return text;
    const inJson = JSON.stringify(this.#value).slice(1, -1);
    return text.replaceAll(this.#value, MASK).replaceAll(inJson, MASK);
  }
}

const MASK = '***';
