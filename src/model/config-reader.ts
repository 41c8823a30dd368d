import { ShoalError } from '../config/errors.ts';

/**
 * Typed reads of one untrusted JSON object of a model directory. A missing key takes the default; without one it is an error.
 * Every error names the file, the key, the value and what was expected (MODEL_CONFIG_INVALID).
 */
export class ConfigReader {
  readonly #object: object;
  readonly #file: string;

  constructor(value: unknown, file: string) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw new ShoalError('MODEL_CONFIG_INVALID', `${file} holds ${show(value)}; a JSON object is needed`);
    }
    this.#object = value;
    this.#file = file;
  }

  /** Own keys only: `__proto__` or `constructor` in a file must not reach Object.prototype. */
  value(key: string): unknown {
    return Object.hasOwn(this.#object, key) ? Reflect.get(this.#object, key) : undefined;
  }

  has(key: string): boolean {
    const value = this.value(key);
    return value !== undefined && value !== null;
  }

  /** Present and null, which `transformers` treats differently from absent for some keys. */
  isNull(key: string): boolean {
    return this.value(key) === null;
  }

  count(key: string, fallback?: number): number {
    const value = this.value(key) ?? fallback;
    if (typeof value === 'number' && Number.isSafeInteger(value) && value > 0) return value;
    throw this.#wrong(key, 'a positive whole number');
  }

  positive(key: string, fallback?: number): number {
    const value = this.value(key) ?? fallback;
    if (typeof value === 'number' && Number.isFinite(value) && value > 0) return value;
    throw this.#wrong(key, 'a positive number');
  }

  flag(key: string, fallback: boolean): boolean {
    const value = this.value(key) ?? fallback;
    if (typeof value === 'boolean') return value;
    throw this.#wrong(key, 'true or false');
  }

  text(key: string): string | undefined {
    const value = this.value(key) ?? undefined;
    if (value === undefined || typeof value === 'string') return value;
    throw this.#wrong(key, 'a string');
  }

  strings(key: string): readonly string[] | undefined {
    const value = this.value(key) ?? undefined;
    if (value === undefined) return undefined;
    if (Array.isArray(value) && value.every((item) => typeof item === 'string')) return value;
    throw this.#wrong(key, 'a list of strings');
  }

  /**
   * Token ids given as one number or a list.
   * @returns undefined when null, or absent and without `fallback`
   */
  ids(key: string, fallback?: number | null): number[] | undefined {
    const value = this.value(key) === undefined ? fallback : this.value(key);
    if (value === undefined || value === null) return undefined;
    const list: unknown[] = Array.isArray(value) ? value : [value];
    if (list.every((id) => typeof id === 'number' && Number.isSafeInteger(id) && id >= 0))
      return list as number[];
    throw this.#wrong(key, 'a token id (≥ 0), a list of them, or null');
  }

  #wrong(key: string, expected: string): ShoalError {
    return new ShoalError(
      'MODEL_CONFIG_INVALID',
      `${this.#file}: ${key} is ${show(this.value(key))}; ${expected} is needed`,
      { param: key },
    );
  }
}

function show(value: unknown): string {
  if (value === undefined) return 'missing';
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}
