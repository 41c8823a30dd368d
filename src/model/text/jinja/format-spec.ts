/** Python's format specification: [[fill]align][sign][#][0][width][,_][.precision][kind]. */

import { NotSupported, TemplateError } from './errors.ts';
import { floatRepr } from './floats.ts';
import { checkTextLength } from './meter.ts';
import { characterOf, digitsOf, formatFloat, isNegative, pad, signOf } from './number-format.ts';
import { toFloat } from './numbers.ts';
import { points } from './python-text.ts';
import { str } from './repr.ts';
import { isInt, isText, textOf, typeName, Undefined, type Value } from './value.ts';

const SPEC = /^(?:([\s\S])?([<>=^]))?([-+ ])?(z)?(#)?(0)?(\d+)?([,_])?(?:\.(\d+))?([bcdeEfFgGnosxX%])?$/u;

interface Spec {
  readonly fill: string;
  readonly align: string | undefined;
  readonly sign: string;
  readonly alternate: boolean;
  readonly width: number;
  readonly group: string;
  readonly precision: number | undefined;
  readonly kind: string;
}

/** format(value, spec) */
export function formatWith(value: Value, written: string): string {
  if (written === '') return str(value);
  if (!isText(value) && !isInt(value) && typeof value !== 'number') {
    if (value instanceof Undefined || value === null || typeof value === 'object') {
      throw new TemplateError(`unsupported format string passed to ${typeName(value)}.__format__`);
    }
  }
  const match = SPEC.exec(written);
  if (match === null) throw new TemplateError(`invalid format specifier '${written}'`);
  const [
    ,
    fill,
    align,
    sign = '-',
    negativeZero,
    alternate,
    zero,
    width = '0',
    group = '',
    precision,
    kind = '',
  ] = match;
  if (negativeZero !== undefined) throw new NotSupported('the format flag z');
  if (kind === 'n') throw new NotSupported('the format n');
  checkTextLength(Number(width));
  const spec: Spec = {
    fill: fill ?? (zero === undefined ? ' ' : '0'),
    align: align ?? (zero === undefined ? undefined : '='),
    sign,
    alternate: alternate !== undefined,
    width: Number(width),
    group,
    precision: precision === undefined ? undefined : Number(precision),
    kind,
  };
  if (isText(value))
    return formatText(textOf(value), spec, match[3] !== undefined, zero !== undefined && align === undefined);
  if (typeof value === 'number') return formatNumber(value, spec);
  return formatInt(
    BigInt(value as bigint | boolean),
    spec,
    typeof value === 'boolean' && kind === '' ? value : undefined,
  );
}

function formatText(text: string, spec: Spec, signed: boolean, zeroFilled: boolean): string {
  const align = zeroFilled ? '<' : (spec.align ?? '<');
  if (signed || spec.alternate || spec.group !== '' || align === '=' || !['', 's'].includes(spec.kind)) {
    throw new TemplateError('this format is not one for text');
  }
  const body = spec.precision === undefined ? text : points(text).slice(0, spec.precision).join('');
  return pad({ sign: '', body }, spec.width, align, spec.fill);
}

function formatInt(value: bigint, spec: Spec, bool: boolean | undefined): string {
  const kind = spec.kind === '' ? 'd' : spec.kind;
  if ('eEfFgG%'.includes(kind)) return formatNumber(toFloat(value), spec);
  if (kind === 's') throw new TemplateError('an int has no format s');
  if (spec.precision !== undefined)
    throw new TemplateError('precision not allowed in integer format specifier');
  if (kind === 'c') {
    if (spec.sign !== '-' || spec.group !== '') throw new TemplateError('not allowed with the format c');
    return pad({ sign: '', body: characterOf(value) }, spec.width, spec.align ?? '>', spec.fill);
  }
  if (spec.group === ',' && kind !== 'd') throw new TemplateError(`Cannot specify ',' with '${kind}'.`);
  void bool;
  const prefix = spec.alternate && kind !== 'd' ? `0${kind}` : '';
  const sign = signOf(value < 0n, spec.sign) + prefix;
  return padNumber(sign, digitsOf(value, kind), kind === 'd' ? 3 : 4, spec);
}

function formatNumber(value: number, spec: Spec): string {
  const { kind, precision } = spec;
  if (kind !== '' && !'eEfFgG%'.includes(kind)) throw new TemplateError(`a float has no format ${kind}`);
  const sign = signOf(isNegative(value), spec.sign);
  let body: string;
  if (kind === '%') body = `${formatFloat(value * 100, 'f', precision ?? 6, spec.alternate)}%`;
  else if (kind !== '') body = formatFloat(value, kind, precision ?? 6, spec.alternate);
  else if (precision === undefined) body = floatRepr(Math.abs(value));
  else body = likeRepr(Math.abs(value), precision);
  return padNumber(sign, body, 3, spec);
}

/** A precision without a kind: as `g`, but with one digit behind the point at least, and an exponent one digit sooner. */
function likeRepr(size: number, precision: number): string {
  const text = formatFloat(size, 'g', precision, false);
  if (text.includes('e') || text.includes('n')) return text;
  if (text.includes('.')) return text;
  if (text.length >= Math.max(1, precision))
    return formatFloat(size, 'e', Math.max(0, precision - 1), false).replace(/\.?0+(?=e)/, '');
  return `${text}.0`;
}

function padNumber(sign: string, body: string, size: number, spec: Spec): string {
  const align = spec.align ?? '>';
  if (spec.group === '') return pad({ sign, body }, spec.width, align, spec.fill);
  const [, whole = '', rest = ''] = /^([0-9a-fA-F]+)([\s\S]*)$/.exec(body) ?? ['', '', body];
  const grouped = (digits: string) =>
    digits.replace(new RegExp(`(?!^)(?=(?:.{${size}})+$)`, 'g'), spec.group);
  let digits = whole;
  // Zeros count as digits: they are grouped too.
  if (align === '=' && spec.fill === '0') {
    while (sign.length + grouped(digits).length + rest.length < spec.width) digits = `0${digits}`;
    if (grouped(digits).length + sign.length + rest.length > spec.width && digits.length > whole.length)
      digits = digits.slice(1);
    if (grouped(digits).length + sign.length + rest.length < spec.width) digits = `0${digits}`;
  }
  return pad({ sign, body: grouped(digits) + rest }, spec.width, align, spec.fill);
}
