/**
 * The bytes that one token stands for, wherever it stands: what log probabilities name tokens by. A token may be half a
 * character, which no decoder of whole texts can show. What decoders do only at a text's ends (Strip, Metaspace's first
 * space) is left out.
 */
import { charToByte } from './byte-level.ts';
import { readPattern, replaceMatches } from './encoding/pattern.ts';

const encoder = new TextEncoder();

/** @param config `decoder` of tokenizer.json, already accepted by createDecodeStep */
export function createTokenBytes(config: unknown): (token: string) => Uint8Array {
  const decoders = flatten(config);
  if (decoders.some(({ type }) => type === 'ByteLevel')) return byteLevelBytes;
  const byteFallback = decoders.some(({ type }) => type === 'ByteFallback');
  const changes = decoders.flatMap(textChange);
  return (token) => {
    const byte = byteFallback ? /^<0x([0-9A-Fa-f]{2})>$/.exec(token)?.[1] : undefined;
    if (byte !== undefined) return Uint8Array.of(Number.parseInt(byte, 16));
    return encoder.encode(changes.reduce((text, change) => change(text), token));
  };
}

/** As in the decoder: a token that has a character outside the byte alphabet stands for its own UTF-8. */
function byteLevelBytes(token: string): Uint8Array {
  const bytes = Array.from(token, charToByte);
  return bytes.every((byte) => byte !== undefined) ? Uint8Array.from(bytes) : encoder.encode(token);
}

type Decoder = Readonly<Record<string, unknown>>;

function flatten(config: unknown): Decoder[] {
  if (typeof config !== 'object' || config === null) return [];
  const decoder = config as Decoder;
  return Array.isArray(decoder.decoders) ? decoder.decoders.flatMap(flatten) : [decoder];
}

function textChange(decoder: Decoder): ((text: string) => string)[] {
  const text = (key: string, fallback: string) => {
    const value = decoder[key];
    return typeof value === 'string' ? value : fallback;
  };
  switch (decoder.type) {
    case 'Metaspace': {
      const mark = text('replacement', '▁');
      return [(token) => token.replaceAll(mark, ' ')];
    }
    case 'BPEDecoder': {
      const suffix = text('suffix', '</w>');
      return [(token) => token.replaceAll(suffix, ' ')];
    }
    case 'Replace': {
      const content = text('content', '');
      const pattern = readPattern(decoder, 'decoder Replace');
      return [(token) => replaceMatches(token, pattern, content)];
    }
    default:
      return [];
  }
}
