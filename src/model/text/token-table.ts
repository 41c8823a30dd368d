/**
 * All tokens of a vocabulary in three arrays, which go from thread to thread without a copy, and hold 150,000 tokens in
 * two megabytes where a map of strings takes twenty.
 */
import type { TokenSource } from './token-reader.ts';

export interface TokenTable {
  /** UTF-16 units of all written forms, one behind the other. */
  readonly units: Uint16Array<ArrayBuffer>;
  /** (ids) where each ends in `units`. */
  readonly ends: Uint32Array<ArrayBuffer>;
  /** (ids) NONE, TOKEN or SPECIAL. */
  readonly kinds: Uint8Array<ArrayBuffer>;
  readonly decoder: unknown;
}

const NONE = 0;
const TOKEN = 1;
const SPECIAL = 2;

/** @param size ids from 0 that may come */
export function packTokens(source: TokenSource, size: number): TokenTable {
  const tokens = Array.from({ length: size }, (_, id) => source.token(id));
  const units = new Uint16Array(tokens.reduce((sum, token) => sum + (token?.length ?? 0), 0));
  const ends = new Uint32Array(size);
  const kinds = new Uint8Array(size);
  let end = 0;
  for (const [id, token] of tokens.entries()) {
    if (token !== undefined) {
      for (let i = 0; i < token.length; i++) units[end++] = token.charCodeAt(i);
      kinds[id] = source.isSpecial(id) ? SPECIAL : TOKEN;
    }
    ends[id] = end;
  }
  return { units, ends, kinds, decoder: source.decoder };
}

export function unpackTokens({ units, ends, kinds, decoder }: TokenTable): TokenSource {
  return {
    token: (id) =>
      (kinds[id] ?? NONE) === NONE
        ? undefined
        : textOf(units.subarray(id === 0 ? 0 : ends[id - 1], ends[id])),
    isSpecial: (id) => kinds[id] === SPECIAL,
    decoder,
  };
}

/** One by one: a file may have a token longer than a call may have arguments. */
function textOf(units: Uint16Array): string {
  let text = '';
  for (const unit of units) text += String.fromCharCode(unit);
  return text;
}
