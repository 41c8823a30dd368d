/** What the formats of `%` and of str.format share. */
import { TemplateError } from './errors.ts';
import { exponential, fixed, general } from './floats.ts';
import { checkTextLength } from './meter.ts';
import { lengthOf } from './value.ts';

/** A number with its sign apart: zeros go between them. */
export interface SignedText {
  readonly sign: string;
  readonly body: string;
}

export function signOf(negative: boolean, wanted: string): string {
  return negative ? '-' : wanted === '-' ? '' : wanted;
}

/** @param kind e, f, g, or their capitals. @param alternate the `#` flag */
export function formatFloat(value: number, kind: string, precision: number, alternate: boolean): string {
  const size = Math.abs(value);
  const lower = kind.toLowerCase();
  let text: string;
  if (!Number.isFinite(size)) text = Number.isNaN(size) ? 'nan' : 'inf';
  else if (lower === 'f') text = fixed(size, precision);
  else if (lower === 'e') text = exponential(size, precision);
  else text = general(size, precision, alternate);
  if (alternate && Number.isFinite(size) && !text.includes('.')) text = text.replace(/(?=e|$)/, '.');
  return kind === lower ? text : text.toUpperCase();
}

/** Whether a float prints with a minus: also negative zero. */
export function isNegative(value: number): boolean {
  return value < 0 || Object.is(value, -0);
}

const RADIX: Record<string, number> = { d: 10, x: 16, X: 16, o: 8, b: 2 };

/** The digits of an int without its sign. */
export function digitsOf(value: bigint, kind: string): string {
  const digits = (value < 0n ? -value : value).toString(RADIX[kind] ?? 10);
  return kind === 'X' ? digits.toUpperCase() : digits;
}

export function characterOf(code: bigint): string {
  if (code < 0n || code > 0x10ffffn) throw new TemplateError('%c needs an int below 0x110000');
  return String.fromCodePoint(Number(code));
}

/** @param align `<` `>` `^`, or `=` for padding between sign and digits. @param width in code points */
export function pad({ sign, body }: SignedText, width: number, align: string, fill: string): string {
  const length = lengthOf(sign + body)!;
  if (length >= width) return sign + body;
  checkTextLength(width);
  const missing = width - length;
  if (align === '=') return sign + fill.repeat(missing) + body;
  const before = align === '<' ? 0 : align === '^' ? Math.floor(missing / 2) : missing;
  return fill.repeat(before) + sign + body + fill.repeat(missing - before);
}
