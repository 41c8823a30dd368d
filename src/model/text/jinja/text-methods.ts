/** The methods of Python's str. */
import { MAX_TEMPLATE_RANGE } from '../../../config/limits.ts';
import { TemplateError } from './errors.ts';
import { each } from './iterate.ts';
import { checkTextLength, spend, spendOnLength, spendOnSearch } from './meter.ts';
import { pad } from './number-format.ts';
import { Parameters } from './parameters.ts';
import {
  capitalize,
  caseFold,
  isSpace,
  isTitle,
  lines,
  points,
  pointsBefore,
  type Side,
  strip,
  swapCase,
  title,
  words,
} from './python-text.ts';
import { isInt, isText, lengthOf, Tuple, textOf, typeName, Undefined, type Value } from './value.ts';

type Given = Value | undefined;

interface Method {
  readonly parameters: Parameters;
  readonly run: (text: string, ...given: Given[]) => Value;
}

const method = (signature: string, run: Method['run']): Method => ({
  parameters: new Parameters(signature),
  run,
});

/** A text argument. @throws TemplateError */
function textArgument(value: Given): string {
  if (value !== undefined && isText(value)) return textOf(value);
  throw new TemplateError(`must be str, not ${typeName(value ?? null)}`);
}

export function intArgument(value: Given, fallback: number): number {
  if (value === undefined) return fallback;
  if (value instanceof Undefined) throw new TemplateError(value.problem);
  if (!isInt(value))
    throw new TemplateError(`'${typeName(value)}' object cannot be interpreted as an integer`);
  const int = BigInt(value);
  // Python's own bound on what counts or indexes.
  if (int > 2n ** 63n - 1n || int < -(2n ** 63n))
    throw new TemplateError('Python int too large to convert to C ssize_t');
  return Number(int);
}

/** Start or stop of a search: none is the text's own end. @returns a place within 0…length */
function bound(value: Given, length: number, fallback: number): number {
  const index = value === undefined || value === null ? fallback : intArgument(value, fallback);
  return Math.max(0, Math.min(length, index < 0 ? index + length : index));
}

/** Part of a text between bounds in code points; undefined when they leave no place, not even for an empty text. */
function between(text: string, start: Given, stop: Given): { part: string; from: number } | undefined {
  if (start === undefined && stop === undefined) return { part: text, from: 0 };
  const all = points(text);
  const from = start === undefined || start === null ? 0 : intArgument(start, 0);
  const first = from < 0 ? Math.max(0, from + all.length) : from;
  const last = bound(stop, all.length, all.length);
  if (first > last) return undefined;
  return { part: all.slice(first, last).join(''), from: first };
}

function find(text: string, wanted: Given, start: Given, stop: Given, last: boolean): number {
  const needle = textArgument(wanted);
  const found = between(text, start, stop);
  if (found === undefined) return -1;
  spendOnSearch(found.part, needle);
  const unit = last ? found.part.lastIndexOf(needle) : found.part.indexOf(needle);
  return unit === -1 ? -1 : found.from + pointsBefore(found.part, unit);
}

function index(text: string, wanted: Given, start: Given, stop: Given, last: boolean): bigint {
  const place = find(text, wanted, start, stop, last);
  if (place === -1) throw new TemplateError('substring not found');
  return BigInt(place);
}

function affix(
  text: string,
  wanted: Given,
  start: Given,
  stop: Given,
  at: 'startsWith' | 'endsWith',
): boolean {
  const choices = wanted instanceof Tuple ? wanted.items : [wanted!];
  if (!choices.every(isText)) throw new TemplateError(`${at.toLowerCase()} needs a text or a tuple of texts`);
  const found = between(text, start, stop);
  return found !== undefined && choices.some((choice) => found.part[at](textOf(choice)));
}

function count(text: string, wanted: Given, start: Given, stop: Given): bigint {
  const needle = textArgument(wanted);
  const found = between(text, start, stop);
  if (found === undefined) return 0n;
  if (needle === '') return BigInt(lengthOf(found.part)! + 1);
  spendOnSearch(found.part, needle);
  let times = 0;
  for (let at = found.part.indexOf(needle); at !== -1; at = found.part.indexOf(needle, at + needle.length))
    times++;
  spend(times);
  return BigInt(times);
}

/** str.replace. @param limit replacements at most; below zero: all */
export function replace(text: string, old: string, by: string, limit: number): string {
  spendOnSearch(text, old);
  if (old === '' && limit < 0) checkTextLength(text.length * (by.length + 1));
  const parts = old === '' ? ['', ...points(text), ''] : text.split(old);
  spend(parts.length);
  const places = parts.length - 1;
  const made = limit < 0 ? places : Math.min(limit, places);
  checkTextLength(text.length + made * (by.length - old.length));
  if (made === places) return parts.join(by);
  return parts.slice(0, made + 1).join(by) + old + parts.slice(made + 1).join(old);
}

function split(text: string, separator: Given, limit: Given, fromRight: boolean): Value[] {
  const most = intArgument(limit, -1);
  if (separator === undefined || separator === null) return checkedParts(words(text, most, fromRight));
  const by = textArgument(separator);
  if (by === '') throw new TemplateError('empty separator');
  spendOnSearch(text, by);
  const parts = text.split(by);
  const cuts = most < 0 ? parts.length - 1 : Math.min(most, parts.length - 1);
  if (fromRight) {
    const kept = parts.length - cuts;
    return checkedParts([parts.slice(0, kept).join(by), ...parts.slice(kept)]);
  }
  return checkedParts([...parts.slice(0, cuts), parts.slice(cuts).join(by)]);
}

function checkedParts(parts: string[]): Value[] {
  spendOnLength(parts.length * 16);
  return parts;
}

function partition(text: string, separator: Given, last: boolean): Value {
  const by = textArgument(separator);
  if (by === '') throw new TemplateError('empty separator');
  spendOnSearch(text, by);
  const place = last ? text.lastIndexOf(by) : text.indexOf(by);
  if (place === -1) return new Tuple(last ? ['', '', text] : [text, '', '']);
  return new Tuple([text.slice(0, place), by, text.slice(place + by.length)]);
}

function justify(text: string, width: Given, fill: Given, align: string): string {
  const character = fill === undefined ? ' ' : textArgument(fill);
  if (lengthOf(character) !== 1)
    throw new TemplateError('The fill character must be exactly one character long');
  return align === '^'
    ? center(text, intArgument(width, 0), character)
    : pad({ sign: '', body: text }, intArgument(width, 0), align, character);
}

/** str.center: of an odd rest, the larger half goes left only when the width is odd. */
export function center(text: string, width: number, fill = ' '): string {
  const missing = width - lengthOf(text)!;
  if (missing <= 0) return text;
  checkTextLength(width);
  const left = Math.floor(missing / 2) + (missing & width & 1);
  return fill.repeat(left) + text + fill.repeat(missing - left);
}

function zfill(text: string, width: Given): string {
  const [, sign = '', body = ''] = /^([+-]?)([\s\S]*)$/.exec(text) ?? [];
  return pad({ sign, body }, intArgument(width, 0), '=', '0');
}

function expandTabs(text: string, size: Given): string {
  const width = intArgument(size, 8);
  checkTextLength(text.length + (text.split('\t').length - 1) * Math.max(0, width));
  let column = 0;
  return points(text)
    .map((point) => {
      if (point === '\n' || point === '\r') column = 0;
      else if (point !== '\t') column++;
      else {
        const spaces = width > 0 ? width - (column % width) : 0;
        column += spaces;
        return ' '.repeat(spaces);
      }
      return point;
    })
    .join('');
}

/** separator.join(values), each of which must be a text. */
export function joinTexts(separator: string, values: Iterable<Value>): string {
  const texts: string[] = [];
  let length = 0;
  for (const value of values) {
    if (!isText(value))
      throw new TemplateError(
        `sequence item ${texts.length}: expected str instance, ${typeName(value)} found`,
      );
    texts.push(textOf(value));
    length += textOf(value).length + separator.length;
    if (texts.length > MAX_TEMPLATE_RANGE) length = Math.max(length, texts.length);
    checkTextLength(length - separator.length);
  }
  spendOnLength(length);
  return texts.join(separator);
}

const stripping = (side: Side) =>
  method('characters=, /', (text, characters) =>
    strip(text, side, characters === undefined || characters === null ? undefined : textArgument(characters)),
  );
const everyPoint = (pattern: RegExp) => method('', (text) => pattern.test(text));
const cased = (self: RegExp, other: RegExp) => method('', (text) => self.test(text) && !other.test(text));

const LOWER = /\p{Lowercase}/u;
const UPPER = /\p{Uppercase}/u;
const NOT_LOWER = /[\p{Uppercase}\p{Lt}]/u;
const NOT_UPPER = /[\p{Lowercase}\p{Lt}]/u;
/** Other digits of Unicode, such as superscripts: str.isdigit takes them, str.isdecimal does not. */
const DIGITS =
  /^[\p{Nd}\u00b2\u00b3\u00b9\u1369-\u1371\u19da\u2070\u2074-\u2079\u2080-\u2089\u2460-\u2468\u2474-\u247c\u2488-\u2490\u24ea\u24f5-\u24fd\u24ff\u2776-\u277e\u2780-\u2788\u278a-\u2792]+$/u;

export const TEXT_METHODS: Readonly<Record<string, Method>> = {
  capitalize: method('', capitalize),
  casefold: method('', caseFold),
  center: method('width, fill=, /', (text, width, fill) => justify(text, width, fill, '^')),
  count: method('wanted, start=, stop=, /', count),
  endswith: method('suffix, start=, stop=, /', (text, wanted, start, stop) =>
    affix(text, wanted, start, stop, 'endsWith'),
  ),
  expandtabs: method('tabsize=', expandTabs),
  find: method('wanted, start=, stop=, /', (text, wanted, start, stop) =>
    BigInt(find(text, wanted, start, stop, false)),
  ),
  index: method('wanted, start=, stop=, /', (text, wanted, start, stop) =>
    index(text, wanted, start, stop, false),
  ),
  isalnum: everyPoint(/^[\p{L}\p{N}]+$/u),
  isalpha: everyPoint(/^\p{L}+$/u),
  isascii: everyPoint(/^\p{ASCII}*$/u),
  isdecimal: everyPoint(/^\p{Nd}+$/u),
  isdigit: everyPoint(DIGITS),
  isidentifier: everyPoint(/^[\p{ID_Start}_]\p{ID_Continue}*$/u),
  islower: cased(LOWER, NOT_LOWER),
  isnumeric: everyPoint(/^\p{N}+$/u),
  isprintable: everyPoint(
    /^[^\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}\p{Zs}]*(?: [^\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}\p{Zs}]*)*$/u,
  ),
  isspace: method('', isSpace),
  istitle: method('', isTitle),
  isupper: cased(UPPER, NOT_UPPER),
  join: method('values, /', (text, values) => joinTexts(text, each(values!))),
  ljust: method('width, fill=, /', (text, width, fill) => justify(text, width, fill, '<')),
  lower: method('', (text) => text.toLowerCase()),
  lstrip: stripping('left'),
  partition: method('separator, /', (text, separator) => partition(text, separator, false)),
  removeprefix: method('prefix, /', (text, prefix) => {
    const wanted = textArgument(prefix);
    return text.startsWith(wanted) ? text.slice(wanted.length) : text;
  }),
  removesuffix: method('suffix, /', (text, suffix) => {
    const wanted = textArgument(suffix);
    return wanted !== '' && text.endsWith(wanted) ? text.slice(0, -wanted.length) : text;
  }),
  replace: method('old, new, count=, /', (text, old, by, limit) =>
    replace(text, textArgument(old), textArgument(by), intArgument(limit, -1)),
  ),
  rfind: method('wanted, start=, stop=, /', (text, wanted, start, stop) =>
    BigInt(find(text, wanted, start, stop, true)),
  ),
  rindex: method('wanted, start=, stop=, /', (text, wanted, start, stop) =>
    index(text, wanted, start, stop, true),
  ),
  rjust: method('width, fill=, /', (text, width, fill) => justify(text, width, fill, '>')),
  rpartition: method('separator, /', (text, separator) => partition(text, separator, true)),
  rsplit: method('sep=, maxsplit=', (text, separator, limit) => split(text, separator, limit, true)),
  rstrip: stripping('right'),
  split: method('sep=, maxsplit=', (text, separator, limit) => split(text, separator, limit, false)),
  splitlines: method('keepends=', (text, keepEnds) =>
    checkedParts(lines(text, intArgument(keepEnds, 0) !== 0)),
  ),
  startswith: method('prefix, start=, stop=, /', (text, wanted, start, stop) =>
    affix(text, wanted, start, stop, 'startsWith'),
  ),
  strip: stripping('both'),
  swapcase: method('', swapCase),
  title: method('', title),
  upper: method('', (text) => text.toUpperCase()),
  zfill: method('width, /', zfill),
};
