/**
 * Pre-tokenizers of tokenizer.json: a text becomes pieces that the model merges within, never across. After the original
 * (huggingface/tokenizers, src/pre_tokenizers); of `@huggingface/tokenizers` 0.2.0 only the translation of patterns is used, since its
 * parts know ASCII's digits and words alone, obey two of five behaviours, and let FixedLength cut characters in two.
 */
import { bytesToChars } from '../byte-level.ts';
import { literalPattern, readPattern, regexPattern, spans } from './pattern.ts';
import { SPLIT_BEHAVIORS, type SplitBehavior, splitSpans } from './split-behavior.ts';
import {
  choiceSetting,
  flagSetting,
  listSetting,
  type PartConfig,
  type Piece,
  partConfig,
  textSetting,
  unsupportedPart,
  wrongSetting,
} from './text-part.ts';

/** @param piece not empty @returns pieces, none of them empty */
export type PreTokenizer = (piece: Piece) => Piece[];

/** GPT-2's pattern, as in src/pre_tokenizers/byte_level.rs. */
const BYTE_LEVEL_PATTERN = String.raw`'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`;
/** \w of Rust's `regex` (UTS #18, Annex C), which differs from Oniguruma's. */
export const RUST_WORD = String.raw`\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\u200C\u200D`;
const WORDS = new RegExp(`[${RUST_WORD}]+|[^${RUST_WORD}\\p{White_Space}]+`, 'gu');
const WHITE_SPACE = /\p{White_Space}/gu;
const PUNCTUATION = /[!-/:-@[-`{-~\p{P}]/gu;
const NUMERIC = /\p{N}/gu;

const SUPPORTED = [
  'Sequence',
  'ByteLevel',
  'Split',
  'Metaspace',
  'Whitespace',
  'WhitespaceSplit',
  'Punctuation',
  'Digits',
  'CharDelimiterSplit',
  'FixedLength',
  'BertPreTokenizer',
];

/**
 * @param config `pre_tokenizer` of tokenizer.json; null: the text is one piece
 * @throws TOKENIZER_INVALID for a part that is not known, or a setting that is wrong
 */
export function createPreTokenizer(config: unknown): PreTokenizer {
  if (config === null || config === undefined) return (piece) => [piece];
  const part = partConfig(config, 'pre_tokenizer');
  switch (part.type) {
    case 'Sequence':
      return inSequence(listSetting(part, 'pre_tokenizer Sequence', 'pretokenizers').map(createPreTokenizer));
    case 'ByteLevel':
      return byteLevel(part);
    case 'Split': {
      const pattern = readPattern(part, 'pre_tokenizer Split');
      const behavior = choiceSetting(part, 'pre_tokenizer Split', 'behavior', SPLIT_BEHAVIORS);
      return splitAt(pattern, behavior, flagSetting(part, 'pre_tokenizer Split', 'invert'));
    }
    case 'Metaspace':
      return metaspace(part);
    case 'Whitespace':
      return splitAt(WORDS, 'Removed', true);
    case 'WhitespaceSplit':
      return splitAt(WHITE_SPACE, 'Removed');
    case 'Punctuation':
      return splitAt(
        PUNCTUATION,
        choiceSetting(part, 'pre_tokenizer Punctuation', 'behavior', SPLIT_BEHAVIORS, 'Isolated'),
      );
    case 'Digits': {
      const isApart = flagSetting(part, 'pre_tokenizer Digits', 'individual_digits');
      return splitAt(NUMERIC, isApart ? 'Isolated' : 'Contiguous');
    }
    case 'CharDelimiterSplit':
      return splitAt(literalPattern(character(part, 'CharDelimiterSplit', 'delimiter')), 'Removed');
    case 'FixedLength':
      return fixedLength(part);
    case 'BertPreTokenizer':
      return inSequence([splitAt(WHITE_SPACE, 'Removed'), splitAt(PUNCTUATION, 'Isolated')]);
    default:
      throw unsupportedPart('pre_tokenizer', part.type, SUPPORTED);
  }
}

function inSequence(parts: readonly PreTokenizer[]): PreTokenizer {
  return (piece) => parts.reduce<Piece[]>((pieces, part) => pieces.flatMap(part), [piece]);
}

function splitAt(pattern: RegExp, behavior: SplitBehavior, invert = false): PreTokenizer {
  return ({ text, isFirst }) => {
    const found = spans(text, pattern);
    const matches = invert ? found.map((span) => ({ ...span, isMatch: !span.isMatch })) : found;
    return splitSpans(matches, behavior)
      .filter(([start, end]) => end > start)
      .map(([start, end]) => ({ text: text.slice(start, end), isFirst: isFirst && start === 0 }));
  };
}

function byteLevel(part: PartConfig): PreTokenizer {
  const addsSpace = flagSetting(part, 'pre_tokenizer ByteLevel', 'add_prefix_space');
  const split = flagSetting(part, 'pre_tokenizer ByteLevel', 'use_regex', true)
    ? splitAt(regexPattern(BYTE_LEVEL_PATTERN, 'pre_tokenizer ByteLevel'), 'Isolated')
    : (piece: Piece) => [piece];
  const encoder = new TextEncoder();
  return ({ text, isFirst }) =>
    split({ text: addsSpace && !text.startsWith(' ') ? ` ${text}` : text, isFirst }).map((piece) => ({
      ...piece,
      text: bytesToChars(encoder.encode(piece.text)),
    }));
}

function metaspace(part: PartConfig): PreTokenizer {
  const mark = character(part, 'Metaspace', 'replacement');
  const scheme = prependScheme(part);
  const split = flagSetting(part, 'pre_tokenizer Metaspace', 'split', true)
    ? splitAt(literalPattern(mark), 'MergedWithNext')
    : (piece: Piece) => [piece];
  return ({ text, isFirst }) => {
    const marked = text.replaceAll(' ', mark);
    const prepends = !marked.startsWith(mark) && (scheme === 'always' || (scheme === 'first' && isFirst));
    return split({ text: prepends ? mark + marked : marked, isFirst });
  };
}

/** Older files have `add_prefix_space` instead. */
function prependScheme(part: PartConfig): 'always' | 'first' | 'never' {
  const scheme = choiceSetting(
    part,
    'pre_tokenizer Metaspace',
    'prepend_scheme',
    ['always', 'first', 'never'] as const,
    'always',
  );
  if (part.add_prefix_space !== false || scheme === 'never') return scheme;
  if (part.prepend_scheme === undefined) return 'never';
  throw wrongSetting(
    'pre_tokenizer Metaspace',
    'prepend_scheme',
    scheme,
    '"never", as add_prefix_space is false,',
  );
}

function fixedLength(part: PartConfig): PreTokenizer {
  const length = part.length ?? 5;
  if (typeof length !== 'number' || !Number.isSafeInteger(length) || length < 1) {
    throw wrongSetting('pre_tokenizer FixedLength', 'length', length, 'a whole number of characters from 1');
  }
  const chunks = new RegExp(`[^]{1,${length}}`, 'gu');
  return splitAt(chunks, 'Isolated');
}

function character(part: PartConfig, type: string, key: string): string {
  const value = textSetting(part, `pre_tokenizer ${type}`, key);
  if ([...value].length === 1) return value;
  throw wrongSetting(`pre_tokenizer ${type}`, key, value, 'one character');
}
