/**
 * The tables of docs/LIMITS.md, made from src/config/limits.ts: `npx tsx tools/limits-page.ts` writes them into the page
 * between its two markers. test/config/limits.test.ts fails when the page is behind.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import * as limits from '../src/config/limits.ts';

const SOURCE = new URL('../src/config/limits.ts', import.meta.url);
export const PAGE = new URL('../docs/LIMITS.md', import.meta.url);
const BEGIN = '<!-- tables: written by tools/limits-page.ts -->';
const END = '<!-- end of tables -->';

interface Row {
  readonly names: string[];
  readonly reason: string;
}

/** Sections by title. A constant without a comment of its own belongs to the comment above it. */
function readSections(source: string): Map<string, Row[]> {
  const sections = new Map<string, Row[]>();
  let rows: Row[] | undefined;
  let comment: string | undefined;
  for (const line of source.split('\n')) {
    const title = /^\/\/ — (.+?) —+$/.exec(line)?.[1];
    const reason = /^\/\*\* (.+) \*\/$/.exec(line)?.[1];
    const name = /^export const ([A-Z0-9_]+) =/.exec(line)?.[1];
    if (title !== undefined) {
      rows = [];
      sections.set(title, rows);
    } else if (reason !== undefined) {
      comment = reason;
    } else if (name !== undefined && rows !== undefined) {
      if (comment !== undefined) rows.push({ names: [name], reason: comment });
      else if (rows.at(-1) === undefined)
        throw new Error(`${name} has no reason: write a one-line /** comment */ above it`);
      else rows.at(-1)!.names.push(name);
      comment = undefined;
    }
  }
  return sections;
}

const number = (value: number) => value.toLocaleString('en');

function shown(name: string): string {
  const value: unknown = Reflect.get(limits, name);
  if (typeof value !== 'number') return String(value);
  if (name.includes('BYTES')) {
    for (const [unit, size] of [
      ['GiB', limits.GIB],
      ['MiB', limits.MIB],
      ['KiB', limits.KIB],
    ] as const) {
      if (value >= size && value % (size / 4) === 0) return `${number(value / size)} ${unit}`;
    }
    return `${number(value)} B`;
  }
  if (name.endsWith('_MS')) {
    if (value >= 60_000 && value % 60_000 === 0) return `${number(value / 60_000)} min`;
    return value >= 1_000 ? `${number(value / 1_000)} s` : `${number(value)} ms`;
  }
  return number(value);
}

/** A row per comment; `|` would end a cell. */
function table(rows: readonly Row[]): string {
  const lines = rows.map(({ names, reason }) => {
    const cells = [
      names.map((name) => `\`${name}\``).join(', '),
      names.map(shown).join(', '),
      reason.replaceAll('|', '\\|'),
    ];
    return `| ${cells.join(' | ')} |`;
  });
  return ['| limit | value | why, and when to revisit |', '|---|---|---|', ...lines].join('\n');
}

/** `page` with its tables brought up to date. */
export function withTables(page: string): string {
  const begin = page.indexOf(BEGIN);
  const end = page.indexOf(END);
  if (begin < 0 || end < begin) throw new Error('docs/LIMITS.md lacks the markers of its tables');
  const sections = [...readSections(readFileSync(SOURCE, 'utf8'))];
  const tables = sections.map(
    ([title, rows]) => `### ${title[0]!.toUpperCase()}${title.slice(1)}\n\n${table(rows)}`,
  );
  return `${page.slice(0, begin + BEGIN.length)}\n\n${tables.join('\n\n')}\n\n${page.slice(end)}`;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  writeFileSync(PAGE, withTables(readFileSync(PAGE, 'utf8')));
}
