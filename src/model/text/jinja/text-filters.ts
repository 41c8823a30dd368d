/** Filters that make text, and numbers out of text. */

import { unary } from './arithmetic.ts';
import { NotSupported, TemplateError } from './errors.ts';
import { type Filter, filter, notSupported, requiredInt } from './filter.ts';
import { fixed, roundFloat } from './floats.ts';
import { escapeHtml } from './html.ts';
import { each } from './iterate.ts';
import { toJson } from './json.ts';
import { checkTextLength, spendOnLength } from './meter.ts';
import { BadNumber, intOf, readFloat, readInt, toFloat } from './numbers.ts';
import { percentFormat } from './percent-format.ts';
import { capitalize, lines, points, SPACE, strip, words } from './python-text.ts';
import { str } from './repr.ts';
import { center, intArgument, replace } from './text-methods.ts';
import {
  Dict,
  isInt,
  isNumber,
  isText,
  isTrue,
  Markup,
  requiredLength,
  Tuple,
  textOf,
  typeName,
  Undefined,
  type Value,
} from './value.ts';

/** soft_str: markup stays markup, which few operations here know. */
function plainText(value: Value): string {
  if (value instanceof Markup) throw new NotSupported('this filter on escaped text');
  return str(value);
}

export const TEXT_FILTERS: Readonly<Record<string, Filter>> = {
  capitalize: filter('', (value) => capitalize(plainText(value))),
  center: filter('width=', (value, width) => center(plainText(value), intArgument(width, 80))),
  e: filter('', escapeHtml),
  escape: filter('', escapeHtml),
  forceescape: filter('', (value) => escapeHtml(value instanceof Markup ? value.text : str(value))),
  format: (value, args, keywords) => {
    if (args.length > 0 && keywords.size > 0) {
      throw new TemplateError("can't handle positional and keyword arguments at the same time");
    }
    return percentFormat(plainText(value), keywords.size > 0 ? Dict.of(keywords) : new Tuple(args));
  },
  indent: filter('width=, first=, blank=', indent),
  lower: filter('', (value) => plainText(value).toLowerCase()),
  pprint: notSupported('pprint'),
  replace: filter('old, new, count=', (value, old, by, count) => {
    if (count !== undefined && count !== null && count instanceof Undefined)
      throw new TemplateError(count.problem);
    return replace(str(value), str(old!), str(by!), count === null ? -1 : intArgument(count, -1));
  }),
  safe: filter('', (value) => new Markup(str(value))),
  string: filter('', (value) => (value instanceof Markup ? value : str(value))),
  striptags: filter('', stripTags),
  title: filter('', title),
  tojson: filter('ensure_ascii=, indent=, separators=, sort_keys=', dumps),
  trim: filter('chars=', (value, chars) => {
    if (chars !== undefined && chars !== null && !isText(chars))
      throw new TemplateError('strip arg must be None or str');
    return strip(plainText(value), 'both', chars === undefined || chars === null ? undefined : textOf(chars));
  }),
  truncate: filter('length=, killwords=, end=, leeway=', truncate),
  upper: filter('', (value) => plainText(value).toUpperCase()),
  urlencode: filter('', urlEncode),
  urlize: notSupported('urlize'),
  wordcount: filter('', (value) => BigInt(plainText(value).match(/[\p{L}\p{N}_]+/gu)?.length ?? 0)),
  wordwrap: notSupported('wordwrap'),
  xmlattr: notSupported('xmlattr'),
  abs: filter('', (value) => {
    if (value instanceof Undefined || !isNumber(value))
      throw new TemplateError(`bad operand type for abs(): '${typeName(value)}'`);
    if (typeof value === 'number') return Math.abs(value);
    return BigInt(value) < 0n ? unary('-', value) : BigInt(value);
  }),
  filesizeformat: filter('binary=', fileSize),
  float: filter('default=', (value, otherwise = 0) => {
    try {
      return floatOf(value);
    } catch (cause) {
      if (cause instanceof BadNumber) return otherwise;
      throw cause;
    }
  }),
  int: filter('default=, base=', toInt),
  round: filter('precision=, method=', round),
};

function indent(
  value: Value,
  width: Value | undefined = 4n,
  first: Value = false,
  blank: Value = false,
): string {
  if (value instanceof Markup) throw new NotSupported('indent on escaped text');
  if (typeof value !== 'string') {
    if (value instanceof Undefined) throw new TemplateError(value.problem);
    throw new TemplateError(`cannot indent '${typeName(value)}'`);
  }
  const by = isText(width) ? textOf(width) : ' '.repeat(checked(Math.max(0, intArgument(width, 4))));
  const all = lines(`${value}\n`);
  checkTextLength(value.length + all.length * by.length);
  const body = isTrue(blank)
    ? all.join(`\n${by}`)
    : all.map((line, index) => (index > 0 && line !== '' ? by + line : line)).join('\n');
  return isTrue(first) ? by + body : body;
}

function checked(length: number): number {
  checkTextLength(length);
  return length;
}

function stripTags(value: Value): string {
  const text = value instanceof Markup ? value.text : str(value);
  let rest = text;
  for (const [open, close] of [
    ['<!--', '-->'],
    ['<', '>'],
  ] as const) {
    const kept: string[] = [];
    let at = 0;
    while (true) {
      const start = rest.indexOf(open, at);
      const end = start === -1 ? -1 : rest.indexOf(close, start);
      if (end === -1) break;
      kept.push(rest.slice(at, start));
      at = end + close.length;
    }
    rest = kept.join('') + rest.slice(at);
  }
  if (rest.includes('&')) throw new NotSupported('striptags of text with entities');
  return words(rest, -1, false).join(' ');
}

const WORD_STARTS = new RegExp(`([-${SPACE}({[<]+)`);

/** The filter's title, which is not str.title: only white space, hyphens and open brackets begin a word. */
function title(value: Value): string {
  const text = plainText(value);
  spendOnLength(text.length);
  return text
    .split(WORD_STARTS)
    .map((word) => {
      const [first = '', ...rest] = points(word);
      return first.toUpperCase() + rest.join('').toLowerCase();
    })
    .join('');
}

function dumps(
  value: Value,
  ensureAscii: Value = false,
  indentBy: Value = null,
  separators: Value = null,
  sortKeys: Value = false,
): string {
  let pair: Value[] | undefined;
  if (separators !== null) {
    pair = Array.from(each(separators));
    if (pair.length !== 2) throw new TemplateError('separators needs two texts');
  }
  // Of a text alone, Python does not look at the rest.
  const indentation = isText(value) ? undefined : indentationOf(indentBy);
  const [item, key] = (isText(value) ? undefined : pair) ?? [indentation === undefined ? ', ' : ',', ': '];
  if (!isText(item!) || !isText(key!)) throw new NotSupported('tojson with separators other than texts');
  const style = {
    ensureAscii: isTrue(ensureAscii),
    indent: indentation,
    itemSeparator: textOf(item),
    keySeparator: textOf(key),
    sortKeys: isTrue(sortKeys),
  };
  return toJson(value, style);
}

function indentationOf(indentBy: Value): string | undefined {
  if (indentBy === null) return undefined;
  if (isText(indentBy)) return textOf(indentBy);
  if (indentBy instanceof Undefined) throw new TemplateError(indentBy.problem);
  if (!isInt(indentBy)) throw new TemplateError(`indent cannot be a ${typeName(indentBy)}`);
  return ' '.repeat(checked(Math.max(0, Number(indentBy))));
}

function truncate(
  value: Value,
  length: Value = 255n,
  killWords: Value = false,
  end: Value = '...',
  leeway: Value = null,
): Value {
  if (value instanceof Markup) throw new NotSupported('truncate on escaped text');
  const most = Number(requiredInt(length, 255n));
  const spare = leeway === null ? 5 : Number(requiredInt(leeway, 5n));
  const endLength = requiredLength(end);
  if (most < endLength) throw new TemplateError(`expected length >= ${endLength}, got ${most}`);
  if (spare < 0) throw new TemplateError('expected leeway >= 0');
  if (requiredLength(value) <= most + spare) return value;
  if (typeof value !== 'string' || !isText(end)) throw new NotSupported(`truncate on '${typeName(value)}'`);
  const cut = points(value)
    .slice(0, most - endLength)
    .join('');
  if (isTrue(killWords)) return cut + textOf(end);
  const space = cut.lastIndexOf(' ');
  return (space === -1 ? cut : cut.slice(0, space)) + textOf(end);
}

function urlEncode(value: Value): string {
  const quote = (one: Value, query: boolean): string => {
    const text = str(one);
    spendOnLength(text.length * 4);
    const escaped = Array.from(new TextEncoder().encode(text), (byte) => {
      const character = String.fromCharCode(byte);
      if (/[A-Za-z0-9_.~-]/.test(character) || (character === '/' && !query)) return character;
      if (query && character === ' ') return '+';
      return `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
    }).join('');
    checkTextLength(escaped.length);
    return escaped;
  };
  const isPairs = Array.isArray(value) || value instanceof Tuple || value instanceof Dict;
  if (isText(value) || isNumber(value) || value === null) return quote(value, false);
  if (!isPairs) throw new NotSupported(`urlencode of '${typeName(value)}'`);
  const pairs =
    value instanceof Dict
      ? Array.from(value.entries())
      : Array.from(each(value), (pair) => Array.from(each(pair)));
  return pairs
    .map((pair) => {
      if (pair.length !== 2) throw new TemplateError('urlencode needs pairs');
      return `${quote(pair[0]!, true)}=${quote(pair[1]!, true)}`;
    })
    .join('&');
}

function floatOf(value: Value): number {
  if (isText(value)) return readFloat(textOf(value));
  if (isNumber(value)) return toFloat(value);
  if (value instanceof Undefined) throw new TemplateError(value.problem);
  throw new BadNumber(`float() does not take '${typeName(value)}'`);
}

function toInt(value: Value, otherwise: Value = 0n, base: Value = 10n): Value {
  const badBase = !isInt(base);
  try {
    if (!isText(value)) return intOf(value);
    if (badBase) throw new BadNumber('the base is no integer');
    return readInt(textOf(value), Number(base));
  } catch (cause) {
    // Infinity is an OverflowError, which only the second attempt answers with the default.
    if (!(cause instanceof BadNumber)) throw cause;
  }
  try {
    const float = floatOf(value);
    return Number.isFinite(float) ? BigInt(Math.trunc(float)) : otherwise;
  } catch (cause) {
    if (cause instanceof BadNumber) return otherwise;
    throw cause;
  }
}

function round(value: Value, precision: Value = 0n, method: Value = 'common'): Value {
  const how = isText(method) ? textOf(method) : '';
  if (how !== 'common' && how !== 'ceil' && how !== 'floor') {
    throw new TemplateError('method must be common, ceil or floor');
  }
  if (value instanceof Undefined) throw new TemplateError(value.problem);
  if (how === 'common') {
    if (!isNumber(value)) throw new TemplateError(`type ${typeName(value)} doesn't define __round__ method`);
    if (precision === null) {
      if (!isInt(value)) return intOf(roundFloat(value, 0));
      return BigInt(value);
    }
    const digits = intArgument(precision, 0);
    return isInt(value) ? roundInt(BigInt(value), digits) : roundFloat(value, digits);
  }
  if (!isNumber(value)) throw new TemplateError(`must be real number, not ${typeName(value)}`);
  if (!isNumber(precision)) throw new TemplateError('the precision must be a number');
  const power = 10 ** Number(precision);
  if (isInt(value) && isInt(precision) && BigInt(precision) >= 0n) return toFloat(BigInt(value)) + 0;
  const scaled = toFloat(value) * power;
  if (!Number.isFinite(scaled)) throw new TemplateError('cannot round this');
  return (how === 'ceil' ? Math.ceil(scaled) : Math.floor(scaled)) / power;
}

function roundInt(value: bigint, digits: number): bigint {
  if (digits >= 0) return value;
  if (digits < -4300) return 0n;
  const unit = 10n ** BigInt(-digits);
  const size = value < 0n ? -value : value;
  const rest = size % unit;
  let rounded = size - rest;
  if (rest * 2n > unit || (rest * 2n === unit && (rounded / unit) % 2n === 1n)) rounded += unit;
  return value < 0n ? -rounded : rounded;
}

function fileSize(value: Value, binary: Value = false): string {
  const bytes = floatOf(value);
  if (!Number.isFinite(bytes)) throw new NotSupported('filesizeformat of infinity');
  const base = isTrue(binary) ? 1024 : 1000;
  const suffix = isTrue(binary) ? 'iB' : 'B';
  if (bytes === 1) return '1 Byte';
  if (bytes < base) return `${Math.trunc(bytes)} Bytes`;
  const prefixes = isTrue(binary) ? 'KMGTPEZY' : 'kMGTPEZY';
  let place = 0;
  while (place < prefixes.length - 1 && bytes >= base ** (place + 2)) place++;
  return `${fixed((base * bytes) / base ** (place + 2), 1)} ${prefixes[place]}${suffix}`;
}
