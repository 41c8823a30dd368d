/** Decimal forms of a float, rounded as Python does: to the nearest, ties to even, judged by the exact value. */
import { NotSupported } from './errors.ts';

/** What toFixed and toExponential take at most. */
const MAX_DIGITS = 100;

/** repr(value) */
export function floatRepr(value: number): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? 'nan' : value > 0 ? 'inf' : '-inf';
  const sign = value < 0 || Object.is(value, -0) ? '-' : '';
  const [mantissa = '', exponent = ''] = Math.abs(value).toExponential().split('e');
  const digits = mantissa.replace('.', '');
  const point = Number(exponent) + 1;
  if (point > 16 || point < -3) return sign + withExponent(mantissa, Number(exponent));
  if (point <= 0) return `${sign}0.${'0'.repeat(-point)}${digits}`;
  const whole = digits.slice(0, point).padEnd(point, '0');
  return `${sign}${whole}.${digits.slice(point) || '0'}`;
}

/** "%.{digits}f" % value, for a finite value */
export function fixed(value: number, digits: number): string {
  checkDigits(digits);
  const sign = value < 0 || Object.is(value, -0) ? '-' : '';
  const size = Math.abs(value);
  if (size >= 1e21) return `${sign}${BigInt(size)}${digits > 0 ? `.${'0'.repeat(digits)}` : ''}`;
  const exact = size.toFixed(MAX_DIGITS);
  const cut = exact.length - MAX_DIGITS + digits;
  const kept = exact.slice(0, digits === 0 ? cut - 1 : cut);
  const rounded = isTie(exact.slice(cut)) && isEven(kept) ? kept : size.toFixed(digits);
  return sign + rounded;
}

/** "%.{digits}e" % value, for a finite value */
export function exponential(value: number, digits: number): string {
  checkDigits(digits);
  const sign = value < 0 || Object.is(value, -0) ? '-' : '';
  const size = Math.abs(value);
  const [exact = ''] = size.toExponential(MAX_DIGITS).split('e');
  const [mantissa = '', exponent = ''] = size.toExponential(digits).split('e');
  const kept = exact.slice(0, digits === 0 ? 1 : digits + 2);
  if (isTie(exact.slice(digits + 2)) && isEven(kept)) {
    return sign + withExponent(kept, Number(size.toExponential(MAX_DIGITS).split('e')[1]));
  }
  return sign + withExponent(mantissa, Number(exponent));
}

/** "%.{precision}g" % value, for a finite value. @param keepZeros the `#` of a format */
export function general(value: number, precision: number, keepZeros = false): string {
  const significant = Math.max(1, precision);
  const scientific = exponential(value, significant - 1);
  const exponent = Number(scientific.split('e')[1]);
  const short = (text: string) => (keepZeros || !text.includes('.') ? text : text.replace(/\.?0+$/, ''));
  if (exponent >= -4 && exponent < significant) return short(fixed(value, significant - 1 - exponent));
  const [mantissa = '', power = ''] = scientific.split('e');
  return `${short(mantissa)}e${power}`;
}

/** round(value, digits) */
export function roundFloat(value: number, digits: number): number {
  if (!Number.isFinite(value)) return value;
  if (digits >= 0) return digits > MAX_DIGITS ? value : Number(fixed(value, digits));
  const exponent = Number(Math.abs(value).toExponential().split('e')[1]);
  const kept = exponent + digits;
  if (kept >= 0) return Number(exponential(value, kept));
  const half = 5 * 10 ** (-digits - 1);
  return Math.sign(value) * (Math.abs(value) > half ? 2 * half : 0);
}

function withExponent(mantissa: string, exponent: number): string {
  return `${mantissa}e${exponent < 0 ? '-' : '+'}${String(Math.abs(exponent)).padStart(2, '0')}`;
}

/** Whether what is cut off is exactly one half. */
function isTie(rest: string): boolean {
  return /^\.?50*$/.test(rest);
}

function isEven(digits: string): boolean {
  return Number(digits.at(-1)) % 2 === 0;
}

function checkDigits(digits: number): void {
  if (digits > MAX_DIGITS) throw new NotSupported(`a precision of ${digits} digits`);
}
