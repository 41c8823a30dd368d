/**
 * Tokens that are found in a text before the model sees it: `added_tokens` of tokenizer.json. After the original
 * (huggingface/tokenizers, src/tokenizer/added_vocabulary.rs): the longest that begins leftmost wins; `single_word` asks that no word
 * goes on at its sides, `lstrip` and `rstrip` swallow the white space there, and those that are `normalized` are looked for after the
 * normalizer, in its words. `@huggingface/tokenizers` 0.2.0 reads single_word and forgets it, and strips across other tokens.
 */

import type { Normalizer } from './normalizers.ts';
import { trimEnd } from './normalizers.ts';
import { RUST_WORD } from './pre-tokenizers.ts';
import {
  flagSetting,
  invalidPart,
  type PartConfig,
  type Piece,
  textSetting,
  wrongSetting,
} from './text-part.ts';

export interface AddedToken {
  readonly id: number;
  readonly content: string;
  readonly singleWord: boolean;
  readonly lstrip: boolean;
  readonly rstrip: boolean;
  readonly normalized: boolean;
  readonly special: boolean;
}

/** A piece of text that is still to be tokenized, or the id of an added token that stood there. */
export type Found = Piece | number;

/** @throws TOKENIZER_INVALID */
export function readAddedTokens(list: unknown): AddedToken[] {
  if (list === null || list === undefined) return [];
  if (!Array.isArray(list)) throw invalidPart('added_tokens are not a list');
  return list.map((token: unknown) => {
    if (typeof token !== 'object' || token === null) throw invalidPart('an added token is not a JSON object');
    const config = token as PartConfig;
    const special = flagSetting(config, 'added token', 'special', false);
    const flag = (key: string, fallback = false) => flagSetting(config, 'added token', key, fallback);
    const { id } = config;
    if (typeof id !== 'number') throw wrongSetting('added token', 'id', id, 'a number');
    return {
      id,
      content: textSetting(config, 'added token', 'content'),
      singleWord: flag('single_word'),
      lstrip: flag('lstrip'),
      rstrip: flag('rstrip'),
      normalized: flag('normalized', !special),
      special,
    };
  });
}

/** Cuts a text at its added tokens; what is left between them is normalized. */
export class AddedTokenSplitter {
  readonly #asWritten: Matcher;
  readonly #normalized: Matcher;
  readonly #normalizer: Normalizer;

  constructor(tokens: readonly AddedToken[], normalizer: Normalizer) {
    this.#normalizer = normalizer;
    const form = ({ content }: AddedToken) => normalizer({ text: content, isFirst: true }).text;
    this.#asWritten = new Matcher(
      tokens.filter(({ normalized }) => !normalized).map((token) => [token.content, token]),
    );
    this.#normalized = new Matcher(
      tokens.filter(({ normalized }) => normalized).map((token) => [form(token), token]),
    );
  }

  split(text: string): Found[] {
    return this.#asWritten
      .split({ text, isFirst: true })
      .flatMap((found) =>
        typeof found === 'number' ? [found] : this.#normalized.split(this.#normalizer(found)),
      );
  }
}

const WORD_AT_START = new RegExp(`^[${RUST_WORD}]`, 'u');
const WORD_AT_END = new RegExp(`[${RUST_WORD}]$`, 'u');
const SPACE_AT_START = /^\p{White_Space}*/u;

class Matcher {
  /** By their first UTF-16 unit, longest first. */
  readonly #byFirst = new Map<string, [string, AddedToken][]>();

  constructor(patterns: readonly (readonly [string, AddedToken])[]) {
    // A later one of the same form replaces an earlier one.
    for (const [form, token] of new Map(patterns)) {
      if (form === '') continue;
      const first = form[0]!;
      this.#byFirst.set(first, [...(this.#byFirst.get(first) ?? []), [form, token]]);
    }
    for (const same of this.#byFirst.values()) same.sort(([a], [b]) => b.length - a.length);
  }

  /** @returns pieces that are not empty, and ids */
  split(piece: Piece): Found[] {
    const { text } = piece;
    const found: Found[] = [];
    /** Where the text that belongs to nobody yet begins. */
    let open = 0;
    const cut = (end: number) => {
      if (open < end) found.push({ text: text.slice(open, end), isFirst: piece.isFirst && open === 0 });
    };
    for (let at = 0; at < text.length; ) {
      const hit = this.#byFirst.get(text[at]!)?.find(([form]) => text.startsWith(form, at));
      if (hit === undefined) {
        at++;
        continue;
      }
      const [form, token] = hit;
      const end = at + form.length;
      if (!token.singleWord || standsAlone(text, at, end)) {
        // White space that the token before has swallowed stays with that one.
        const from = token.lstrip ? Math.max(open, trimEnd(text.slice(open, at)).length + open) : at;
        cut(from);
        found.push(token.id);
        open = token.rstrip ? end + SPACE_AT_START.exec(text.slice(end))![0].length : end;
      }
      at = end;
    }
    cut(text.length);
    return found;
  }
}

function standsAlone(text: string, start: number, end: number): boolean {
  // Two units hold the longest character.
  const goesOnBefore = WORD_AT_END.test(text.slice(Math.max(0, start - 2), start));
  const goesOnBehind = WORD_AT_START.test(text.slice(end, end + 2));
  return !goesOnBefore && !goesOnBehind;
}
