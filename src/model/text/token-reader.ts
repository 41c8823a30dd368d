/** Ids to text and bytes: what decoding needs of a tokenizer, and nothing of what encodes. */
import { StreamDecoder } from './stream-decoder.ts';
import { createTokenBytes } from './token-bytes.ts';
import { createDecodeStep } from './token-decoder.ts';

export interface DecodeOptions {
  /** Default true. */
  readonly skipSpecialTokens?: boolean;
}

export interface TokenSource {
  /** The written form of an id; undefined when there is none. */
  token(id: number): string | undefined;
  isSpecial(id: number): boolean;
  /** `decoder` of tokenizer.json. */
  readonly decoder: unknown;
}

export interface TokenReader {
  createDecoder(options?: DecodeOptions): StreamDecoder;
  /** What the id stands for, wherever it stands; a special token its written form. Null when there is nothing. */
  tokenBytes(id: number): Uint8Array | null;
}

/** @param source its decoder was read before, by `loadTokenizer` */
export function createTokenReader(source: TokenSource): TokenReader {
  const { decoder } = source;
  const bytesOfToken = createTokenBytes(decoder);
  return {
    createDecoder({ skipSpecialTokens = true } = {}) {
      return new StreamDecoder(createDecodeStep(decoder), (id) =>
        skipSpecialTokens && source.isSpecial(id) ? undefined : source.token(id),
      );
    },
    tokenBytes(id) {
      const token = source.token(id);
      return token === undefined ? null : bytesOfToken(token);
    },
  };
}
