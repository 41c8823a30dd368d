/**
 * GPT-2's byte alphabet: every byte as one printable character, so that byte sequences are strings (openai/gpt-2, src/encoder.py,
 * `bytes_to_unicode`). Printable Latin-1 stands for itself, the other 68 bytes for U+0100 and up, in order.
 */
const BYTE_OF_CHAR: ReadonlyMap<string, number> = (() => {
  const map = new Map<string, number>();
  let next = 0x100;
  for (let byte = 0; byte < 256; byte++) {
    const isPrintable = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xff && byte !== 0xad);
    map.set(String.fromCharCode(isPrintable ? byte : next++), byte);
  }
  return map;
})();

export function charToByte(char: string): number | undefined {
  return BYTE_OF_CHAR.get(char);
}

const CHAR_OF_BYTE: readonly string[] = [...BYTE_OF_CHAR].reduce<string[]>((chars, [char, byte]) => {
  chars[byte] = char;
  return chars;
}, []);

/** @returns one printable character a byte */
export function bytesToChars(bytes: Uint8Array): string {
  let chars = '';
  for (const byte of bytes) chars += CHAR_OF_BYTE[byte];
  return chars;
}
