/**
 * Normalizers of tokenizer.json: what is done to a text before it is cut into pieces. After the original (huggingface/tokenizers,
 * src/normalizers), whose white space is Unicode's, whose lower case looks at one character at a time, and whose Replace puts its
 * content in as it is: `@huggingface/tokenizers` 0.2.0 differs in each.
 */
import { bytesToChars } from '../byte-level.ts';
import { readPattern, replaceMatches, spans } from './pattern.ts';
import {
  flagSetting,
  listSetting,
  type PartConfig,
  type Piece,
  partConfig,
  textSetting,
  unsupportedPart,
} from './text-part.ts';

export type Normalizer = (piece: Piece) => Piece;

const SUPPORTED = [
  'Sequence',
  'NFC',
  'NFD',
  'NFKC',
  'NFKD',
  'Lowercase',
  'Strip',
  'StripAccents',
  'Prepend',
  'Replace',
  'Nmt',
  'ByteLevel',
  'BertNormalizer',
];

/**
 * @param config `normalizer` of tokenizer.json; null: the text stays
 * @throws TOKENIZER_INVALID for a part that is not known (Precompiled, SentencePiece's table, is one), or a setting that is wrong
 */
export function createNormalizer(config: unknown): Normalizer {
  if (config === null || config === undefined) return (piece) => piece;
  const part = partConfig(config, 'normalizer');
  switch (part.type) {
    case 'Sequence': {
      const parts = listSetting(part, 'normalizer Sequence', 'normalizers').map(createNormalizer);
      return (piece) => parts.reduce((done, next) => next(done), piece);
    }
    case 'NFC':
    case 'NFD':
    case 'NFKC':
    case 'NFKD': {
      const form = part.type;
      return inPlace((text) => text.normalize(form));
    }
    case 'Lowercase':
      return inPlace(lowerCase);
    case 'Strip':
      return strip(part);
    case 'StripAccents':
      return without(/\p{M}/u);
    case 'Prepend': {
      const prefix = textSetting(part, 'normalizer Prepend', 'prepend');
      return inPlace((text) => (text === '' ? text : prefix + text));
    }
    case 'Replace':
      return replace(part);
    case 'Nmt':
      return nmt();
    case 'ByteLevel': {
      const encoder = new TextEncoder();
      return inPlace((text) => bytesToChars(encoder.encode(text)));
    }
    case 'BertNormalizer':
      return bert(part);
    default:
      throw unsupportedPart('normalizer', part.type, SUPPORTED);
  }
}

/** A change that keeps the text's first character, or puts others in its place. */
function inPlace(change: (text: string) => string): Normalizer {
  return ({ text, isFirst }) => ({ text: change(text), isFirst });
}

/** One character at a time: a sigma at a word's end stays a plain one. */
function lowerCase(text: string): string {
  return Array.from(text, (char) => char.toLowerCase()).join('');
}

function without(chars: RegExp): Normalizer {
  const all = new RegExp(chars.source, 'gu');
  const atStart = new RegExp(`^${chars.source}`, 'u');
  return ({ text, isFirst }) => ({
    text: text.replaceAll(all, ''),
    isFirst: isFirst && !atStart.test(text),
  });
}

function strip(part: PartConfig): Normalizer {
  const left = flagSetting(part, 'normalizer Strip', 'strip_left');
  const right = flagSetting(part, 'normalizer Strip', 'strip_right');
  return ({ text, isFirst }) => {
    const from = left ? text.search(/\P{White_Space}|$/u) : 0;
    const rest = text.slice(from);
    return { text: right ? trimEnd(rest) : rest, isFirst: isFirst && from === 0 };
  };
}

/** Without a regular expression anchored at the end, which is quadratic in the white space within. */
export function trimEnd(text: string): string {
  let end = text.length;
  // All white space of Unicode is in the basic plane.
  while (end > 0 && /\p{White_Space}/u.test(text[end - 1]!)) end--;
  return text.slice(0, end);
}

function replace(part: PartConfig): Normalizer {
  const pattern = readPattern(part, 'normalizer Replace');
  const content = textSetting(part, 'normalizer Replace', 'content');
  return ({ text, isFirst }) => {
    const [head] = spans(text, pattern);
    // A replacement counts as standing where the last character that it replaces stood.
    const keepsStart = !head?.isMatch || (content !== '' && head.end <= firstLength(text)) || head.end === 0;
    return { text: replaceMatches(text, pattern, content), isFirst: isFirst && keepsStart };
  };
}

/** UTF-16 units of the first character. */
function firstLength(text: string): number {
  return (text.codePointAt(0) ?? 0) > 0xffff ? 2 : 1;
}

/** Of Google's neural machine translation: control characters go, odd white space becomes a space. */
function nmt(): Normalizer {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what it takes out
  const filter = without(/[\u0001-\u0008\u000b\u000e-\u001f\u007f\u008f\u009f]/u);
  const spaces = /[\t\n\f\r\u1680\u200b-\u200f\u2028\u2029\u2581\ufeff\ufffd]/gu;
  return (piece) => {
    const { text, isFirst } = filter(piece);
    return { text: text.replaceAll(spaces, ' '), isFirst };
  };
}

const HAN =
  /[\u4e00-\u9fff\u3400-\u4dbf\u{20000}-\u{2a6df}\u{2a700}-\u{2b73f}\u{2b740}-\u{2b81f}\u{2b920}-\u{2ceaf}\uf900-\ufaff\u{2f800}-\u{2fa1f}]/gu;

function bert(part: PartConfig): Normalizer {
  const setting = (key: string) => flagSetting(part, 'normalizer BertNormalizer', key);
  const lowers = setting('lowercase');
  const steps: Normalizer[] = [];
  if (setting('clean_text')) {
    // Line ends and tabs are white space here.
    const controls = without(/(?![\t\n\r])[\0\ufffd\p{Cc}\p{Cf}\p{Co}]/u);
    steps.push(
      controls,
      inPlace((text) => text.replaceAll(/\p{White_Space}/gu, ' ')),
    );
  }
  if (setting('handle_chinese_chars')) steps.push(inPlace((text) => text.replaceAll(HAN, ' $& ')));
  if (flagSetting(part, 'normalizer BertNormalizer', 'strip_accents', lowers)) {
    steps.push(
      inPlace((text) => text.normalize('NFD')),
      without(/\p{Mn}/u),
    );
  }
  if (lowers) steps.push(inPlace(lowerCase));
  return (piece) => steps.reduce((done, next) => next(done), piece);
}
