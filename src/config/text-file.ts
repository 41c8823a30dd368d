/** The text of a file that people write, in whatever encoding their editor or shell left it. */
import { ShoalError } from './errors.ts';

/**
 * UTF-8, or UTF-16 and UTF-32 as their marks or their zero bytes tell (YAML 1.2 §5.2; PowerShell 5 writes UTF-16 with ">").
 *
 * @param file the name shown in errors
 * @throws CONFIG_INVALID which says what it is instead; it never repeats the text, which may hold a key
 */
export function decodeTextFile(bytes: Uint8Array, file: string): string {
  const encoding = encodingOf(bytes);
  if (encoding === 'utf-32') throw invalid(file, 'is UTF-32, which is not read; save it as UTF-8');
  try {
    return new TextDecoder(encoding, { fatal: true }).decode(bytes);
  } catch {
    throw invalid(
      file,
      encoding === 'utf-8'
        ? notUtf8(bytes)
        : `is ${NAMES[encoding]}, and cut off or damaged; save it as UTF-8`,
    );
  }
}

type Encoding = 'utf-8' | 'utf-16le' | 'utf-16be' | 'utf-32';
const NAMES = { 'utf-16le': 'UTF-16 LE', 'utf-16be': 'UTF-16 BE' } as Record<Encoding, string>;

function encodingOf(bytes: Uint8Array): Encoding {
  const starts = (...expected: (number | null)[]) =>
    bytes.length >= expected.length &&
    expected.every((byte, at) => (byte === null ? bytes[at] !== 0 : bytes[at] === byte));
  // Without a mark, the first character tells: it is ASCII in all that is read here.
  if (starts(0, 0, 0xfe, 0xff) || starts(0, 0, 0, null)) return 'utf-32';
  if (starts(0xff, 0xfe, 0, 0) || starts(null, 0, 0, 0)) return 'utf-32';
  if (starts(0xfe, 0xff) || starts(0, null)) return 'utf-16be';
  if (starts(0xff, 0xfe) || starts(null, 0)) return 'utf-16le';
  return 'utf-8';
}

function notUtf8(bytes: Uint8Array): string {
  if (
    bytes
      .subarray(0, 4_096)
      .some((byte) => byte < 32 && byte !== 9 && byte !== 10 && byte !== 12 && byte !== 13)
  )
    return 'is no text but binary data; is this the right file?';
  let line = 1;
  for (let at = 0; at < bytes.length; at++) {
    if (bytes[at] === 10) line++;
    // The start of the first character that is none tells where an editor must look.
    else if (bytes[at]! >= 0x80 && !isUtf8At(bytes, at)) break;
    else if (bytes[at]! >= 0x80) while ((bytes[at + 1]! & 0xc0) === 0x80) at++;
  }
  return `is not UTF-8 on line ${line}, perhaps Latin-1 or Windows-1252; save it as UTF-8`;
}

function isUtf8At(bytes: Uint8Array, at: number): boolean {
  const first = bytes[at]!;
  const length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(at, at + length));
    return true;
  } catch {
    return false;
  }
}

const invalid = (file: string, what: string) => new ShoalError('CONFIG_INVALID', `${file}: ${what}`);
