/**
 * A template's text as tokens, with jinja2's rules for white space around tags: trim_blocks (the line end after a tag goes),
 * lstrip_blocks (so do the blanks before one that begins its line), `-` and `+` in a tag, and one line end at the end of the file.
 */
import { NotSupported, TemplateError } from './errors.ts';
import { isSpace, SPACES } from './python-text.ts';
import { escaped } from './repr.ts';

export interface Token {
  readonly kind:
    | 'data'
    | 'variable_begin'
    | 'variable_end'
    | 'block_begin'
    | 'block_end'
    | 'name'
    | 'string'
    | 'integer'
    | 'float'
    | 'operator'
    | 'eof';
  readonly text: string;
  /** Counted from 1, for messages. */
  readonly line: number;
}

const SPACE = SPACES.source.slice(0, -1);
const TAG = /\{%|\{\{|\{#/g;
const RAW = new RegExp(`\\{%([-+]?)${SPACE}*raw${SPACE}*(?:-%\\}${SPACE}*|%\\})`, 'y');
const END_RAW = new RegExp(`\\{%([-+]?)${SPACE}*endraw${SPACE}*(?:\\+%\\}|-%\\}${SPACE}*|%\\}\\n?)`, 'y');
const END_COMMENT = new RegExp(`\\+#\\}|-#\\}${SPACE}*|#\\}\\n?`, 'g');
const END_BLOCK = new RegExp(`\\+%\\}|-%\\}${SPACE}*|%\\}\\n?`, 'y');
const END_VARIABLE = new RegExp(`-\\}\\}${SPACE}*|\\}\\}`, 'y');
const FLOAT = /(?<!\.)(?:\d+_)*\d+(?:(?:\.(?:\d+_)*\d+)?e[+-]?(?:\d+_)*\d+|\.(?:\d+_)*\d+)/iy;
const INTEGER = /0b(?:_?[01])+|0o(?:_?[0-7])+|0x(?:_?[\da-f])+|[1-9](?:_?\d)*|0(?:_?0)*/iy;
const NAME = /[\p{L}\p{N}\p{M}\p{Pc}\u00b7]+/uy;
const STRING = /'[^'\\]*(?:\\[\s\S][^'\\]*)*'|"[^"\\]*(?:\\[\s\S][^"\\]*)*"/y;
const OPERATOR = /\/\/|\*\*|==|!=|>=|<=|[-+/*%~[\](){}<>=.:|,;]/y;
const CLOSING: Record<string, string> = { '(': ')', '[': ']', '{': '}' };

/** @throws TemplateError */
export function tokenize(template: string): Token[] {
  let source = template.replaceAll(/\r\n?/g, '\n');
  if (source.endsWith('\n')) source = source.slice(0, -1);
  const tokens: Token[] = [];
  let at = 0;
  let line = 1;
  // Whether what was read last ended a line: only there are blanks before a tag indentation.
  let lineStarts = true;
  const add = (kind: Token['kind'], text: string) => {
    if (kind !== 'data' || text !== '') tokens.push({ kind, text, line });
  };
  const match = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at;
    return pattern.exec(source);
  };
  const advance = (to: number) => {
    for (
      let index = source.indexOf('\n', at);
      index !== -1 && index < to;
      index = source.indexOf('\n', index + 1)
    )
      line++;
    lineStarts = source[to - 1] === '\n';
    at = to;
  };
  /** The text before a tag, less what the tag's sign or the settings take from its end. */
  const before = (end: number, sign: string, isVariable: boolean): string => {
    const text = source.slice(at, end);
    if (sign === '-') return withoutSpaceAtEnd(text);
    if (sign === '+' || isVariable) return text;
    const lineStart = text.lastIndexOf('\n') + 1;
    return (lineStart > 0 || lineStarts) && isSpace(text.slice(lineStart)) ? text.slice(0, lineStart) : text;
  };

  while (at < source.length) {
    const opening = match(TAG);
    if (opening === null) {
      add('data', source.slice(at));
      break;
    }
    const start = opening.index;
    RAW.lastIndex = start;
    const raw = RAW.exec(source);
    if (raw !== null) {
      add('data', before(start, raw[1]!, false));
      advance(start + raw[0].length);
      const end = endOfRaw(source, at);
      add('data', before(end.index, end[1]!, false));
      advance(end.index + end[0].length);
      continue;
    }
    const sign = '-+'.includes(source[start + 2] ?? ' ') ? source[start + 2]! : '';
    add('data', before(start, sign, opening[0] === '{{'));
    advance(start + 2 + sign.length);
    if (opening[0] === '{#') {
      const end = match(END_COMMENT);
      if (end === null) throw new TemplateError(`line ${line}: Missing end of comment tag`);
      advance(end.index + end[0].length);
    } else readTag(opening[0] === '{{');
  }
  tokens.push({ kind: 'eof', text: '', line });
  return tokens;

  function readTag(isVariable: boolean): void {
    const [begin, end, ending] = isVariable
      ? (['variable_begin', 'variable_end', END_VARIABLE] as const)
      : (['block_begin', 'block_end', END_BLOCK] as const);
    add(begin, '');
    const open: string[] = [];
    while (at < source.length) {
      const close = open.length === 0 ? match(ending) : null;
      if (close !== null) {
        add(end, '');
        advance(at + close[0].length);
        return;
      }
      const space = match(SPACES);
      if (space !== null) {
        advance(at + space[0].length);
        continue;
      }
      readToken(open);
    }
  }

  function readToken(open: string[]): void {
    for (const [kind, pattern] of [
      ['float', FLOAT],
      ['integer', INTEGER],
      ['name', NAME],
      ['string', STRING],
      ['operator', OPERATOR],
    ] as const) {
      const found = match(pattern);
      if (found === null) continue;
      const [text] = found;
      if (kind === 'name' && !/^[\p{ID_Start}_]\p{ID_Continue}*$/u.test(text)) {
        throw new TemplateError(`line ${line}: Invalid character in identifier`);
      }
      if (kind === 'operator') {
        if (CLOSING[text] !== undefined) open.push(CLOSING[text]);
        else if (')]}'.includes(text) && open.pop() !== text)
          throw new TemplateError(`line ${line}: unexpected '${text}'`);
      }
      add(kind, kind === 'string' ? unescaped(text.slice(1, -1), line) : text);
      advance(at + text.length);
      return;
    }
    throw new TemplateError(
      `line ${line}: unexpected char '${String.fromCodePoint(source.codePointAt(at)!)}'`,
    );
  }
}

function endOfRaw(source: string, from: number): RegExpExecArray {
  for (let at = source.indexOf('{%', from); at !== -1; at = source.indexOf('{%', at + 1)) {
    END_RAW.lastIndex = at;
    const found = END_RAW.exec(source);
    if (found !== null) return found;
  }
  throw new TemplateError('Missing end of raw directive');
}

function withoutSpaceAtEnd(text: string): string {
  let end = text.length;
  while (end > 0 && isSpace(text[end - 1]!)) end--;
  return text.slice(0, end);
}

const SIMPLE: Record<string, string> = {
  '\n': '',
  '\\': '\\',
  "'": "'",
  '"': '"',
  a: '\x07',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
};

const HEX_DIGITS: Record<string, number> = { x: 2, u: 4, U: 8 };

/** A string literal's escapes, as Python's unicode-escape reads them; one it does not know stays, with its backslash. */
function unescaped(body: string, line: number): string {
  if (!body.includes('\\')) return body;
  // jinja2 makes the literal ASCII first, so that a backslash before another letter escapes the escape of that letter.
  const text = body.replace(/\\?\P{ASCII}/gu, (found) =>
    found.startsWith('\\') ? `\\${escaped(found.slice(1))}` : found,
  );
  return text.replace(
    /\\(?:([0-7]{1,3})|([\s\S]))([\da-fA-F]{0,8})/g,
    (whole, octal, letter, hex: string) => {
      if (octal !== undefined) return String.fromCharCode(Number.parseInt(octal, 8)) + hex;
      if (letter === 'N') throw new NotSupported('\\N{…} in a text');
      const digits = HEX_DIGITS[letter];
      if (digits === undefined) return (SIMPLE[letter] ?? `\\${letter}`) + hex;
      const code = Number.parseInt(hex.slice(0, digits), 16);
      if (hex.length < digits || code > 0x10ffff)
        throw new TemplateError(`line ${line}: ${whole} is not an escape`);
      if (code >= 0xd800 && code <= 0xdfff) throw new NotSupported(`the surrogate ${whole} in a text`);
      return String.fromCodePoint(code) + hex.slice(digits);
    },
  );
}
