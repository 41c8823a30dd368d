/**
 * JSON with numbers that a double cannot hold (integers beyond 2⁵³, 1e400), through a translation and out again with every
 * digit. Such a number is a string with a mark in between, which schemas pass where they take anything, and `JSON.parse` does
 * the work: a parser in JavaScript with numbers of a class of its own would hold the server up over a picture of 20 MB.
 * What is marked must be written by `exactJson`.
 */
import { memberText, stringEnd } from './json-text.ts';

/** Not to be guessed, so that no client's text can pass for a number. */
const MARK = `\u0001${Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('')}:`;
const IN_JSON = JSON.stringify(MARK).slice(0, -1);
/** A number and nothing else: whoever learned the mark could write no JSON with it. */
const MARKED = new RegExp(`${IN_JSON.replaceAll('\\', '\\\\')}(-?\\d[\\d.eE+-]*)"`, 'g');

const NUMBER = /-?\d[\d.eE+-]*/y;
/** As long as 2⁵³, or an exponent that leaves the doubles: few texts have either. */
const SUSPICIOUS = /\d{16}|[eE]\+?\d{3}/;

/** @throws SyntaxError */
export function parseExactly(json: string): unknown {
  return JSON.parse(SUSPICIOUS.test(json) ? marked(json) : json);
}

/** As JSON.stringify, with the digits of what `parseExactly` marked. */
export function exactJson(value: unknown): string {
  const json = JSON.stringify(value);
  return json.includes(IN_JSON) ? json.replaceAll(MARKED, '$1') : json;
}

function marked(json: string): string {
  const parts: string[] = [];
  let copied = 0;
  for (let at = 0; at < json.length; at++) {
    const first = json[at]!;
    if (first === '"') {
      at = stringEnd(json, at) - 1;
      continue;
    }
    if (first !== '-' && (first < '0' || first > '9')) continue;
    NUMBER.lastIndex = at;
    const number = NUMBER.exec(json)?.[0];
    if (number === undefined) continue;
    if (!isExact(number)) {
      parts.push(json.slice(copied, at), `${IN_JSON}${number}"`);
      copied = at + number.length;
    }
    at += number.length - 1;
  }
  return copied === 0 ? json : parts.join('') + json.slice(copied);
}

/** A fraction's digits beyond the seventeenth change no double, and no reader of fractions has more. */
function isExact(number: string): boolean {
  if (!/^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/.test(number)) return true;
  const value = Number(number);
  return /^-?\d+$/.test(number) ? String(value) === number : Number.isFinite(value);
}

/**
 * `body` with some of its members read exactly.
 *
 * @param text what `body` was parsed from; undefined: it stays as it is
 */
export function withExact(body: unknown, text: string | undefined, names: readonly string[]): unknown {
  if (text === undefined || !SUSPICIOUS.test(text)) return body;
  const exact = names.flatMap((name) => {
    const json = memberText(text, name);
    return json === undefined ? [] : [[name, parseExactly(json)] as const];
  });
  return { ...(body as object), ...Object.fromEntries(exact) };
}

/** What `exactJson` writes, and the same with doubles for those who read it here. */
export function unmarked(value: object): { readonly value: unknown; readonly text: string } {
  const marks = JSON.stringify(value);
  if (!marks.includes(IN_JSON)) return { value, text: marks };
  const text = exactJson(value);
  return { value: JSON.parse(text), text };
}
