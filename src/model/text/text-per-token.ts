/**
 * The most text that one token can stand for: with it a text that is far too long is refused before it is tokenized.
 *
 * That is a token's length only where every byte of a text ends up in some token. Much of what a tokenizer may have breaks
 * that, and then there is no bound: a normalizer or pre-tokenizer that takes characters out, an added token that takes
 * the space beside it, a model that has one unknown token for a whole word. What else makes a text shorter does so by a
 * factor that Unicode bounds.
 */
import { charToByte } from './byte-level.ts';

/**
 * By how much a normalizer may divide the UTF-8 bytes of a text. A character's canonical decomposition has at most three
 * times its bytes (U+0390) and at least a third (U+212A, the sign for kelvin), its compatibility decomposition at least a
 * quarter (U+1D400, a bold A). Composition undoes a decomposition, so what it gives is a third at least; small letters
 * are a third of their capital at least (U+212A). test/model/text-per-token.test.ts goes through all of Unicode.
 */
const SHRINKS: Readonly<Record<string, number>> = {
  NFD: 3,
  NFC: 3 * 3,
  NFKD: 4,
  NFKC: 4 * 3,
  Lowercase: 3,
  Prepend: 1,
};

type Json = Readonly<Record<string, unknown>>;

/**
 * @param tokenizer tokenizer.json, already read by `loadTokenizer`
 * @returns UTF-8 bytes of text; Infinity: there is no bound
 */
export function mostBytesPerToken(tokenizer: Json): number {
  const added = list(tokenizer.added_tokens);
  if (added.some(({ lstrip, rstrip }) => lstrip === true || rstrip === true)) return Number.POSITIVE_INFINITY;
  const preTokenizers = flat(tokenizer.pre_tokenizer, 'pretokenizers');
  if (!preTokenizers.every(keepsAll)) return Number.POSITIVE_INFINITY;
  const model = object(tokenizer.model);
  const vocab = model.type === 'BPE' || model.type === undefined ? Object.keys(object(model.vocab)) : [];
  const isByteLevel = preTokenizers.some(({ type }) => type === 'ByteLevel');
  if (!(isByteLevel ? hasAllBytes(vocab) : model.byte_fallback === true && hasAllFallbacks(vocab))) {
    return Number.POSITIVE_INFINITY;
  }
  const bytesOf = isByteLevel ? (token: string) => token.length : utf8Length;
  let longest = 0;
  for (const token of vocab) longest = Math.max(longest, bytesOf(token));
  for (const { content } of added) longest = Math.max(longest, utf8Length(String(content)));
  return flat(tokenizer.normalizer, 'normalizers').reduce((most, part) => most * shrinkOf(part), longest);
}

function shrinkOf(normalizer: Json): number {
  const { type, pattern, content } = normalizer;
  if (type === 'Replace') {
    const { String: text } = object(pattern);
    const grows = typeof text === 'string' && utf8Length(String(content ?? '')) >= utf8Length(text);
    return grows ? 1 : Number.POSITIVE_INFINITY;
  }
  return SHRINKS[String(type)] ?? Number.POSITIVE_INFINITY;
}

function keepsAll({ type, behavior }: Json): boolean {
  switch (type) {
    case 'ByteLevel':
    case 'Metaspace':
    case 'Digits':
      return true;
    case 'Split':
    case 'Punctuation':
      return String(behavior ?? 'Isolated').toLowerCase() !== 'removed';
    default:
      return false;
  }
}

function hasAllBytes(vocab: readonly string[]): boolean {
  const bytes = new Set(vocab.map((token) => (token.length === 1 ? charToByte(token) : undefined)));
  bytes.delete(undefined);
  return bytes.size === 256;
}

function hasAllFallbacks(vocab: readonly string[]): boolean {
  return new Set(vocab.filter((token) => /^<0x[0-9A-F]{2}>$/.test(token))).size === 256;
}

/** A part of tokenizer.json, or what a Sequence holds. */
function flat(part: unknown, inner: string): Json[] {
  if (part === null || part === undefined) return [];
  const { type, [inner]: parts } = object(part);
  return type === 'Sequence' ? list(parts).flatMap((each) => flat(each, inner)) : [object(part)];
}

const list = (value: unknown): Json[] => (Array.isArray(value) ? value.map(object) : []);
const object = (value: unknown): Json => (typeof value === 'object' && value !== null ? (value as Json) : {});

const encoder = new TextEncoder();
const utf8Length = (text: string): number => encoder.encode(text).length;
