import { ShoalError } from '../../config/errors.ts';
import { MAX_VOCAB } from '../../config/limits.ts';
import { createTextEncoder, type TextEncoder } from './encoding/encoder.ts';
import { mostBytesPerToken } from './text-per-token.ts';
import { createDecodeStep } from './token-decoder.ts';
import { createTokenReader, type DecodeOptions, type TokenReader, type TokenSource } from './token-reader.ts';

export interface EncodeOptions {
  /** Also those that the tokenizer itself puts around a text, such as BOS. Special tokens written out in the text count always. */
  readonly addSpecialTokens: boolean;
}

export interface Tokenizer extends TokenSource, TokenReader {
  /** Tokens that have a written form; models often pad their vocabulary beyond them. */
  readonly vocabSize: number;
  /** UTF-8 bytes of text that one token may stand for at most; Infinity where there is no bound. */
  readonly mostBytesPerToken: number;
  /** From tokenizer_config.json; null where it names none. */
  readonly bosTokenId: number | null;
  readonly eosTokenId: number | null;
  /** Written forms of the special tokens that can begin, end or structure a turn, such as `<|end|>`: not padding, not the unknown token. */
  readonly turnTokens: readonly string[];
  encode(text: string, options: EncodeOptions): number[];
  /** As a text in which written-out special tokens are letters like any others; nothing is put around it. */
  encodeOrdinary(text: string): number[];
  /** The text of all ids at once, as `tokenizers` gives it (no clean-up of spaces, as transformers 5 does for BPE). */
  decode(ids: Iterable<number>, options?: DecodeOptions): string;
  /**
   * Ids of a raw text as transformers' tokenizer(text) gives them: with what the post-processor adds, and with BOS where
   * `add_bos_token` asks for it. An empty text is BOS alone.
   * @throws INVALID_REQUEST for an empty text when the model has no BOS
   */
  idsForRawPrompt(text: string): number[];
}

export interface TokenizerFiles {
  /** Parsed tokenizer.json, not yet checked. */
  readonly tokenizerJson: unknown;
  /** Parsed tokenizer_config.json. */
  readonly tokenizerConfig?: unknown;
  /** Where tokenizer_config.json names no BOS: the spec's. */
  readonly bosTokenId?: number | null;
  readonly eosTokenId?: number | null;
}

/** Keys of tokenizer_config.json that name special tokens, as a string or as { content }. */
const SPECIAL_TOKEN_KEYS = [
  'bos_token',
  'eos_token',
  'unk_token',
  'pad_token',
  'sep_token',
  'cls_token',
  'mask_token',
];

/**
 * @throws TOKENIZER_INVALID when tokenizer.json is not one, or uses a part that is not supported
 */
export function loadTokenizer(files: TokenizerFiles): Tokenizer {
  const json = objectOf(files.tokenizerJson, 'tokenizer.json');
  const config = objectOf(files.tokenizerConfig ?? {}, 'tokenizer_config.json');
  checkVocabulary(json);
  // Once now, so that a decoder that cannot be read is told before the first generation.
  createDecodeStep(json.decoder);
  const encoder = createTextEncoder(json);

  const specials = markedSpecials(encoder);
  // transformers makes every named token special, listed in tokenizer.json or not.
  for (const named of namedSpecials(config)) {
    if (encoder.idOf(named) !== undefined) specials.add(named);
  }
  const idOf = (key: string, fallback: number | null | undefined): number | null => {
    const written = contentOf(config[key]);
    return (written === undefined ? undefined : encoder.idOf(written)) ?? fallback ?? null;
  };
  const bosTokenId = idOf('bos_token', files.bosTokenId);
  const eosTokenId = idOf('eos_token', files.eosTokenId);

  const source: TokenSource = {
    token: (id) => encoder.tokenOf(id),
    isSpecial(id) {
      const token = encoder.tokenOf(id);
      return token !== undefined && specials.has(token);
    },
    decoder: json.decoder,
  };
  const reader = createTokenReader(source);
  const encode = (text: string, options: EncodeOptions): number[] => encoder.encode(text, options);

  return {
    vocabSize: encoder.size,
    mostBytesPerToken: mostBytesPerToken(json),
    bosTokenId,
    eosTokenId,
    turnTokens: turnTokens(specials, encoder, json, config),
    encode,
    encodeOrdinary: (text) => encoder.encode(text, { addSpecialTokens: false, asOrdinaryText: true }),
    ...source,
    ...reader,
    decode(ids, options) {
      const decoder = reader.createDecoder(options);
      let text = '';
      for (const id of ids) text += decoder.push(id);
      return text + decoder.flush();
    },
    idsForRawPrompt(text) {
      if (text === '') {
        if (bosTokenId !== null) return [bosTokenId];
        throw new ShoalError(
          'INVALID_REQUEST',
          'the prompt is empty and the model has no BOS token to start from; send some text',
          { param: 'prompt' },
        );
      }
      const ids = encode(text, { addSpecialTokens: true });
      return config.add_bos_token === true && bosTokenId !== null && ids[0] !== bosTokenId
        ? [bosTokenId, ...ids]
        : ids;
    },
  };
}

/** Before tables are built from it. */
function checkVocabulary(json: Record<string, unknown>): void {
  const model = objectOf(json.model, 'tokenizer.json: model');
  const { vocab } = model;
  if (typeof vocab !== 'object' || vocab === null) {
    throw invalid(
      `has no model.vocab; a tokenizer of type ${JSON.stringify(model.type) ?? 'unnamed'} cannot be read`,
    );
  }
  const size = Array.isArray(vocab) ? vocab.length : Object.keys(vocab).length;
  if (size === 0 || size > MAX_VOCAB)
    throw invalid(`has a vocabulary of ${size} tokens; 1 to ${MAX_VOCAB} are taken`);
  // Arrays are indexed by these: one id of 2^31 would allocate that much.
  const ids: unknown[] = Array.isArray(vocab) ? [] : Object.values(vocab);
  const added = json.added_tokens ?? [];
  if (!Array.isArray(added)) throw invalid('has added_tokens that are not a list');
  for (const token of added) ids.push(objectOf(token, 'tokenizer.json: added token').id);
  const wrong = ids.find(
    (id) => typeof id !== 'number' || !Number.isInteger(id) || id < 0 || id >= MAX_VOCAB,
  );
  if (wrong !== undefined) {
    throw invalid(
      `gives a token the id ${JSON.stringify(wrong)}; whole numbers from 0 to ${MAX_VOCAB - 1} are taken`,
    );
  }
}

/** Those that tokenizer.json itself calls special: they are found in any text. */
function markedSpecials(encoder: TextEncoder): Set<string> {
  return new Set(encoder.addedTokens.filter(({ special }) => special).map(({ content }) => content));
}

function turnTokens(
  specials: ReadonlySet<string>,
  encoder: TextEncoder,
  json: Record<string, unknown>,
  config: Record<string, unknown>,
): string[] {
  const { unk_token: unknown } = objectOf(json.model, 'tokenizer.json: model');
  const fillers = [contentOf(unknown), contentOf(config.unk_token), contentOf(config.pad_token)];
  // Many models pad with what ends their texts.
  const { pad_token: _pad, unk_token: _unk, ...others } = config;
  const turns = new Set(namedSpecials(others));
  const marked = markedSpecials(encoder);
  return (
    [...specials]
      .filter((token) => turns.has(token) || !fillers.includes(token))
      // A mere character of the vocabulary that the config calls its end of text ("!", a line's end) is also just that character.
      .filter((token) => [...token].length > 1 || marked.has(token))
  );
}

function namedSpecials(config: Record<string, unknown>): string[] {
  const extra = config.additional_special_tokens ?? config.extra_special_tokens;
  const listed: unknown[] = Array.isArray(extra) ? extra : [];
  return [...SPECIAL_TOKEN_KEYS.map((key) => config[key]), ...listed]
    .map(contentOf)
    .filter((content) => content !== undefined);
}

function contentOf(token: unknown): string | undefined {
  if (typeof token === 'string') return token;
  if (
    typeof token === 'object' &&
    token !== null &&
    'content' in token &&
    typeof token.content === 'string'
  ) {
    return token.content;
  }
  return undefined;
}

function objectOf(value: unknown, what: string): Record<string, unknown> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value))
    return value as Record<string, unknown>;
  throw new ShoalError('TOKENIZER_INVALID', `${what} is not a JSON object; download it again`);
}

function invalid(message: string, cause?: unknown): ShoalError {
  return new ShoalError('TOKENIZER_INVALID', `tokenizer.json ${message}`, { cause });
}
