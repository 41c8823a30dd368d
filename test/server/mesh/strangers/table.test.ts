import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';

const TABLE = new URL('README.md', import.meta.url);
const TESTS = new URL('../../../', import.meta.url);

const rows = readFileSync(TABLE, 'utf8')
  .split('\n')
  .filter((line) => line.startsWith('| '))
  .slice(1)
  .map((line) => line.split('|').map((cell) => cell.trim()))
  .map(([, what, file, test]) => ({ what: what!, file: file!, test: test! }));

it.each(rows)('$what: is tried by a test', ({ file, test }) => {
  const source = readFileSync(new URL(file, TESTS), 'utf8');
  expect(source.includes(`'${test}'`) || source.includes(`"${test}"`)).toBe(true);
});

it('has a row for each thing that a stranger may try', () => {
  expect(rows.length).toBeGreaterThan(20);
});
