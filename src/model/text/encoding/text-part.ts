/** What the parts of a tokenizer.json share: how their settings are read, and the piece of text that goes through them. */
import { ShoalError } from '../../../config/errors.ts';

/** A part's settings: JSON, not yet checked. */
export type PartConfig = Readonly<Record<string, unknown>>;

export interface Piece {
  readonly text: string;
  /** Whether it begins where the text that was given begins: Metaspace's scheme "first" asks. */
  readonly isFirst: boolean;
}

/** @throws TOKENIZER_INVALID unless it is an object with a type */
export function partConfig(config: unknown, part: string): PartConfig & { readonly type: string } {
  if (typeof config === 'object' && config !== null && !Array.isArray(config)) {
    const object = config as PartConfig;
    if (typeof object.type === 'string') return object as PartConfig & { readonly type: string };
  }
  throw invalidPart(`${part} is ${JSON.stringify(config)?.slice(0, 80)}; an object with a type is needed`);
}

export function textSetting(config: PartConfig, part: string, key: string): string {
  const value = config[key];
  if (typeof value === 'string') return value;
  throw wrongSetting(part, key, value, 'a text');
}

/** @param fallback what the original takes where it is absent; none: it must be there */
export function flagSetting(config: PartConfig, part: string, key: string, fallback?: boolean): boolean {
  const value = config[key] ?? fallback;
  if (typeof value === 'boolean') return value;
  throw wrongSetting(part, key, value, 'true or false');
}

export function listSetting(config: PartConfig, part: string, key: string): readonly unknown[] {
  const value = config[key];
  if (Array.isArray(value)) return value;
  throw wrongSetting(part, key, value, 'a list');
}

export function choiceSetting<Choice extends string>(
  config: PartConfig,
  part: string,
  key: string,
  choices: readonly Choice[],
  fallback?: Choice,
): Choice {
  const value = config[key] ?? fallback;
  const found = choices.find((choice) => choice === value);
  if (found !== undefined) return found;
  throw wrongSetting(part, key, value, `one of ${choices.join(', ')}`);
}

export function wrongSetting(part: string, key: string, value: unknown, wanted: string): ShoalError {
  return invalidPart(`${part}: ${key} is ${JSON.stringify(value)?.slice(0, 80)}; ${wanted} is needed`);
}

export function unsupportedPart(part: string, type: string, supported: readonly string[]): ShoalError {
  return invalidPart(`${part} "${type}" is not supported; supported are ${supported.join(', ')}`);
}

export function invalidPart(message: string, cause?: unknown): ShoalError {
  return new ShoalError('TOKENIZER_INVALID', `tokenizer.json: ${message}`, { cause });
}
