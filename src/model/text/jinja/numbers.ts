/** int() and float() of Python. */
import { NotSupported, TemplateError } from './errors.ts';
import { strip } from './python-text.ts';
import { isInt, isText, textOf, typeName, Undefined, type Value } from './value.ts';

/** Python reads no int with more digits. */
const MAX_INT_DIGITS = 4300;

/** Python's ValueError, which `int` and `float` answer with their default. */
export class BadNumber extends TemplateError {}

/** int(value) */
export function intOf(value: Value): bigint {
  if (isInt(value)) return BigInt(value);
  if (typeof value === 'number') {
    if (Number.isNaN(value)) throw new BadNumber('cannot convert float NaN to integer');
    if (!Number.isFinite(value)) throw new TemplateError('cannot convert float infinity to integer');
    return BigInt(Math.trunc(value));
  }
  if (isText(value)) return readInt(textOf(value), 10);
  if (value instanceof Undefined) throw new TemplateError(value.problem);
  throw new BadNumber(`int() does not take '${typeName(value)}'`);
}

const PREFIXES: Record<string, number> = { '0x': 16, '0o': 8, '0b': 2 };

/** int(text, base). @throws BadNumber */
export function readInt(text: string, base: number): bigint {
  if (base !== 0 && (base < 2 || base > 36)) throw new BadNumber('int() base must be >= 2 and <= 36, or 0');
  const match = /^([+-]?)(0[xob])?(_?[0-9a-z]+(?:_[0-9a-z]+)*)$/i.exec(plain(text));
  if (match === null) throw new BadNumber('invalid literal for int()');
  const [, sign, written = '', body = ''] = match;
  let [prefix, digits] = [written.toLowerCase(), body];
  const prefixBase = PREFIXES[prefix];
  if (prefix !== '' && base !== 0 && base !== prefixBase) [prefix, digits] = ['', written + body];
  if (prefix === '' && digits.startsWith('_')) throw new BadNumber('invalid literal for int()');
  if (base === 0 && prefix === '' && /^0+_?[^0_]/.test(digits))
    throw new BadNumber('invalid literal for int()');
  const radix = prefix === '' ? base || 10 : prefixBase!;
  digits = digits.replaceAll('_', '').toLowerCase();
  if (digits.length > MAX_INT_DIGITS) throw new NotSupported(`an integer of ${digits.length} digits`);
  let value = 0n;
  for (const digit of digits) {
    const number = Number.parseInt(digit, 36);
    if (number >= radix) throw new BadNumber('invalid literal for int()');
    value = value * BigInt(radix) + BigInt(number);
  }
  return sign === '-' ? -value : value;
}

/** float(text). @throws BadNumber */
export function readFloat(text: string): number {
  const trimmed = plain(text);
  const special = /^([+-]?)(inf|infinity|nan)$/i.exec(trimmed);
  if (special !== null) {
    const size = special[2]!.toLowerCase() === 'nan' ? Number.NaN : Number.POSITIVE_INFINITY;
    return special[1] === '-' ? -size : size;
  }
  const digits = '\\d(?:_?\\d)*';
  if (
    !new RegExp(`^[+-]?(?:${digits}\\.?(?:${digits})?|\\.${digits})(?:e[+-]?${digits})?$`, 'i').test(trimmed)
  ) {
    throw new BadNumber('could not convert string to float');
  }
  return Number(trimmed.replaceAll('_', ''));
}

/** Without the white space around it, and in ASCII digits. */
function plain(text: string): string {
  const trimmed = strip(text, 'both');
  if (/\P{ASCII}/u.test(trimmed) && /\p{Nd}/u.test(trimmed))
    throw new NotSupported('digits beyond ASCII in numbers');
  return trimmed;
}

/** float(value) of a number. @throws TemplateError when no float is that large */
export function toFloat(value: bigint | boolean | number): number {
  const float = Number(value);
  if (typeof value === 'bigint' && !Number.isFinite(float)) {
    throw new TemplateError('int too large to convert to float');
  }
  return float;
}
