import { TemplateError } from './errors.ts';
import { checkTextLength, spend, spendOnLength } from './meter.ts';
import { characterOf, digitsOf, formatFloat, isNegative, pad, signOf } from './number-format.ts';
import { intOf, toFloat } from './numbers.ts';
import { points } from './python-text.ts';
import { escaped, repr, str } from './repr.ts';
import { Dict, isInt, isNumber, isText, Range, Tuple, textOf, Undefined, type Value } from './value.ts';

const FIELD = /%(?:\(([^()]*(?:\([^()]*\)[^()]*)*)\))?([-+ #0]*)(\*|\d*)(?:\.(\*|\d*))?[hlL]?([\s\S]?)/gu;

/** format % given, as Python's printf-like formatting. @throws TemplateError where they do not fit */
export function percentFormat(format: string, given: Value): string {
  spendOnLength(format.length);
  const values = given instanceof Tuple ? given.items : [given];
  // What has items by key is not counted: '' % [1] is ''.
  const isMapping =
    given instanceof Dict || Array.isArray(given) || given instanceof Range || given instanceof Undefined;
  let next = 0;
  let byName = false;
  let length = 0;
  const take = (): Value => {
    if (next >= values.length || byName) throw new TemplateError('not enough arguments for format string');
    return values[next++]!;
  };
  const text = format.replace(FIELD, (whole, name, flags: string, width: string, precision, kind: string) => {
    spend(1);
    let value: Value | undefined;
    if (name !== undefined) {
      if (!(given instanceof Dict)) throw new TemplateError('format requires a mapping');
      value = given.get(name);
      if (value === undefined) throw new TemplateError(`format has no value for ${name}`);
      byName = true;
    }
    const wide = starOr(width, take);
    const exact = precision === undefined ? undefined : (starOr(precision, take) ?? 0);
    if (kind === '%' && whole === '%%') return '%';
    if (kind === '') throw new TemplateError('incomplete format');
    const field = formatted(
      kind,
      value ?? take(),
      wide !== undefined && wide < 0 ? `${flags}-` : flags,
      Math.abs(wide ?? 0),
      exact,
    );
    length += field.length;
    checkTextLength(length);
    return field;
  });
  if (next < values.length && !isMapping && !byName) {
    throw new TemplateError('not all arguments converted during string formatting');
  }
  checkTextLength(text.length);
  return text;
}

function starOr(written: string, take: () => Value): number | undefined {
  if (written === '') return undefined;
  if (written !== '*') return Number(written);
  const value = take();
  if (!isInt(value)) throw new TemplateError('* wants int');
  return Number(value);
}

function formatted(
  kind: string,
  value: Value,
  flags: string,
  width: number,
  precision: number | undefined,
): string {
  const align = flags.includes('-') ? '<' : '>';
  const sign = flags.includes('+') ? '+' : flags.includes(' ') ? ' ' : '-';
  const zeros = flags.includes('0') && align === '>';
  const alternate = flags.includes('#');
  const numeric = (negative: boolean, body: string) =>
    pad({ sign: signOf(negative, sign), body }, width, zeros ? '=' : align, zeros ? '0' : ' ');
  switch (kind) {
    case 's':
    case 'r':
    case 'a': {
      const whole = kind === 's' ? str(value) : kind === 'r' ? repr(value) : ascii(repr(value));
      const body = precision === undefined ? whole : points(whole).slice(0, precision).join('');
      return pad({ sign: '', body }, width, align, ' ');
    }
    case 'c': {
      if (isText(value) && points(textOf(value)).length === 1)
        return pad({ sign: '', body: textOf(value) }, width, align, ' ');
      if (!isInt(value)) throw new TemplateError('%c requires int or char');
      return pad({ sign: '', body: characterOf(BigInt(value)) }, width, align, ' ');
    }
    case 'd':
    case 'i':
    case 'u':
    case 'x':
    case 'X':
    case 'o': {
      const isDecimal = 'diu'.includes(kind);
      if (!(isDecimal ? isNumber(value) : isInt(value)))
        throw new TemplateError(`%${kind} requires a number`);
      const int = intOf(value);
      const digits = digitsOf(int, isDecimal ? 'd' : kind).padStart(precision ?? 0, '0');
      checkTextLength(digits.length);
      const prefix = alternate && !isDecimal ? `0${kind}` : '';
      const signed = { sign: signOf(int < 0n, sign) + prefix, body: digits };
      return pad(signed, width, zeros ? '=' : align, zeros ? '0' : ' ');
    }
    case 'e':
    case 'E':
    case 'f':
    case 'F':
    case 'g':
    case 'G': {
      if (!isNumber(value)) throw new TemplateError(`%${kind} requires a number`);
      const float = toFloat(value);
      return numeric(isNegative(float), formatFloat(float, kind, precision ?? 6, alternate));
    }
    default:
      throw new TemplateError(`unsupported format character '${kind}'`);
  }
}

function ascii(text: string): string {
  return text.replace(/\P{ASCII}/gu, escaped);
}
