import { expect, it } from 'vitest';
import {
  type Check,
  failure,
  findingLines,
  ok,
  runChecks,
  warning,
} from '../../../src/cli/doctor/finding.ts';
import { ShoalError } from '../../../src/config/errors.ts';

const never = new AbortController().signal;

it('tells findings in the order of the checks, though a later one is done first', async () => {
  let finishFirst = () => {};
  const first = new Promise<void>((resolve) => {
    finishFirst = resolve;
  });
  const told: string[] = [];
  const checks: Check[] = [
    { name: 'slow', run: () => first.then(() => ok('a')) },
    {
      name: 'quick',
      run: async () => {
        finishFirst();
        return warning('b', 'c');
      },
    },
  ];
  const found = await runChecks(checks, never, ({ name }) => told.push(name));
  expect(told).toEqual(['slow', 'quick']);
  expect(found).toEqual([
    { name: 'slow', state: 'ok', detail: 'a' },
    { name: 'quick', state: 'warning', detail: 'b', remedy: 'c' },
  ]);
});

it('takes what a check throws as its failure, and goes on', async () => {
  const checks: Check[] = [
    { name: 'broken', run: async () => Promise.reject(new ShoalError('MODEL_NOT_FOUND', 'no such model')) },
    { name: 'fine', run: async () => ok('x') },
  ];
  expect(await runChecks(checks, never)).toEqual([
    { name: 'broken', state: 'failure', detail: 'no such model' },
    { name: 'fine', state: 'ok', detail: 'x' },
  ]);
});

it('prints a line each, with what follows below the first', () => {
  expect(findingLines({ name: 'port', ...ok('free') }, false)).toBe('✓ port        free\n');
  expect(findingLines({ name: 'config', ...failure('one\ntwo', 'mend it') }, false)).toBe(
    '✗ config      one\n              two\n              → mend it\n',
  );
  expect(findingLines({ name: 'port', ...warning('x', 'y') }, true)).toContain('\x1b[33m!\x1b[0m');
});
