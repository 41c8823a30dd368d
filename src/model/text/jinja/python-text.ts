/** Python's text: a sequence of code points, with its own idea of white space and of lines. */
import { NotSupported } from './errors.ts';
import { spendOnLength } from './meter.ts';
import { hasPairs } from './value.ts';

/** str.isspace, as the inside of a character class. */
export const SPACE = '\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000';
export const SPACES = new RegExp(`[${SPACE}]+`, 'y');
const ALL_SPACE = new RegExp(`^[${SPACE}]+$`);
const SPACE_AT_START = new RegExp(`^[${SPACE}]+`);
const ONE_SPACE = new RegExp(`[${SPACE}]`);
/** The line ends of str.splitlines, as the inside of a character class. */
const LINE_ENDS = '\\n-\\r\\x1c-\\x1e\\x85\\u2028\\u2029';
const LINE_END = new RegExp(`\\r\\n|[${LINE_ENDS}]`, 'g');

export type Side = 'left' | 'right' | 'both';

export function isSpace(text: string): boolean {
  return ALL_SPACE.test(text);
}

/** One text a code point. */
export function points(text: string): string[] {
  // An item a letter: dearer than a text.
  spendOnLength(text.length * 4);
  return hasPairs(text) ? Array.from(text) : text.split('');
}

/** @param index in code points, within the text */
export function pointAt(text: string, index: number): string {
  return hasPairs(text) ? points(text)[index]! : text[index]!;
}

/** From code units to code points. */
export function pointsBefore(text: string, unit: number): number {
  return hasPairs(text) ? points(text.slice(0, unit)).length : unit;
}

/** @param characters a set of characters; undefined for white space */
export function strip(text: string, side: Side, characters?: string): string {
  if (characters === undefined) {
    const trimmed = side === 'right' ? text : text.replace(SPACE_AT_START, '');
    if (side === 'left') return trimmed;
    let end = trimmed.length;
    while (end > 0 && ONE_SPACE.test(trimmed[end - 1]!)) end--;
    return trimmed.slice(0, end);
  }
  const set = new Set(points(characters));
  const all = points(text);
  let start = 0;
  let end = all.length;
  if (side !== 'right') while (start < end && set.has(all[start]!)) start++;
  if (side !== 'left') while (end > start && set.has(all[end - 1]!)) end--;
  return all.slice(start, end).join('');
}

/** str.split() without a separator. @param limit splits at most; below zero: all */
export function words(text: string, limit: number, fromRight: boolean): string[] {
  spendOnLength(text.length);
  const found: string[] = [];
  let rest = text;
  while (true) {
    rest = strip(rest, fromRight ? 'right' : 'left');
    if (rest === '') break;
    if (limit >= 0 && found.length >= limit) {
      found.push(rest);
      break;
    }
    if (limit < 0) {
      // The common case at once: quadratic otherwise.
      return rest.split(new RegExp(`[${SPACE}]+`)).filter((word) => word !== '');
    }
    let cut = fromRight ? rest.length : 0;
    if (fromRight) while (cut > 0 && !ONE_SPACE.test(rest[cut - 1]!)) cut--;
    else while (cut < rest.length && !ONE_SPACE.test(rest[cut]!)) cut++;
    found.push(fromRight ? rest.slice(cut) : rest.slice(0, cut));
    rest = fromRight ? rest.slice(0, cut) : rest.slice(cut);
    spendOnLength(rest.length);
  }
  return fromRight ? found.reverse() : found;
}

export function lines(text: string, keepEnds = false): string[] {
  spendOnLength(text.length);
  const found: string[] = [];
  let start = 0;
  for (const match of text.matchAll(LINE_END)) {
    found.push(text.slice(start, keepEnds ? match.index + match[0].length : match.index));
    start = match.index + match[0].length;
  }
  if (start < text.length) found.push(text.slice(start));
  return found;
}

/** str.capitalize; the first letter in title case, which for a few digraphs is not their upper case. */
export function capitalize(text: string): string {
  const [first = '', ...rest] = points(text);
  return titleCase(first) + rest.join('').toLowerCase();
}

function titleCase(letter: string): string {
  if (/[\u01c4-\u01cc\u01f1-\u01f3\u1f80-\u1ffc]/.test(letter))
    throw new NotSupported(`the title case of "${letter}"`);
  const upper = letter.toUpperCase();
  // ß is SS in capitals and Ss at the start of a title.
  return upper.length > letter.length ? upper[0] + upper.slice(1).toLowerCase() : upper;
}

const CASED = /[\p{Uppercase}\p{Lowercase}\p{Lt}]/u;

/** str.title: a letter after what is not a letter begins a word. */
export function title(text: string): string {
  let cased = false;
  return points(text)
    .map((point) => {
      const changed = cased ? point.toLowerCase() : titleCase(point);
      cased = CASED.test(point);
      return changed;
    })
    .join('');
}

export function isTitle(text: string): boolean {
  let cased = false;
  let any = false;
  for (const point of points(text)) {
    if (/[\p{Lu}\p{Lt}]/u.test(point)) {
      if (cased) return false;
      cased = any = true;
    } else if (/\p{Lowercase}/u.test(point)) {
      if (!cased) return false;
      any = true;
    } else cased = false;
  }
  return any;
}

export function swapCase(text: string): string {
  return points(text)
    .map((point) => (/\p{Uppercase}/u.test(point) ? point.toLowerCase() : point.toUpperCase()))
    .join('');
}

/** str.casefold, which is lower case but for the letters below. */
export function caseFold(text: string): string {
  const odd =
    /[^\p{ASCII}\p{Script=Latin}\p{Script=Cyrillic}\p{Script=Han}\p{P}\p{N}\p{Z}\p{S}]|[\u0149\u01f0\u1e96-\u1e9e\ufb00-\ufb06\xb5\u017f]/u;
  if (odd.test(text)) throw new NotSupported('casefold() of these letters');
  return text.toLowerCase().replaceAll('ß', 'ss');
}

/** Python compares texts by code points, JavaScript by code units. */
export function compareTexts(a: string, b: string): number {
  if (a === b) return 0;
  if (!hasPairs(a) || !hasPairs(b)) {
    if (!hasPairs(a) && !hasPairs(b)) return a < b ? -1 : 1;
  }
  const [left, right] = [points(a), points(b)];
  for (let index = 0; index < Math.min(left.length, right.length); index++) {
    const difference = left[index]!.codePointAt(0)! - right[index]!.codePointAt(0)!;
    if (difference !== 0) return difference;
  }
  return left.length - right.length;
}
