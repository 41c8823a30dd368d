import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import * as limits from '../../src/config/limits.ts';
import { PAGE, withTables } from '../../tools/limits-page.ts';

const UNITS = ['KIB', 'MIB', 'GIB'];
const names = Object.keys(limits).filter((name) => !UNITS.includes(name));
const page = readFileSync(PAGE, 'utf8');

describe('docs/LIMITS.md', () => {
  it('has the values and reasons of limits.ts; else run: npx tsx tools/limits-page.ts', () => {
    expect(page).toBe(withTables(page));
  });

  it.each(names)('explains %s', (name) => {
    expect(page).toContain(`\`${name}\``);
  });

  it('names no limit that does not exist', () => {
    const named = [...page.matchAll(/`([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)`/g)].map(([, name]) => name!);
    expect(named.filter((name) => !names.includes(name))).toEqual([]);
  });
});

it.each(names)('%s is a positive, finite number', (name) => {
  const value: unknown = Reflect.get(limits, name);
  expect(value).toBeTypeOf('number');
  expect(Number.isFinite(value) && (value as number) > 0).toBe(true);
});
