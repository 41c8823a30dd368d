import { expect, it } from 'vitest';
import { Backoff } from '../../src/cli/backoff.ts';
import {
  BROWSER_RESTART_MAX_MS,
  BROWSER_RESTART_MIN_MS,
  BROWSER_STABLE_MS,
} from '../../src/config/limits.ts';

it('doubles from the shortest wait to the longest', () => {
  const backoff = new Backoff();
  const waits = Array.from({ length: 10 }, () => backoff.afterFailure(0));
  expect(waits.slice(0, 3)).toEqual([1, 2, 4].map((factor) => factor * BROWSER_RESTART_MIN_MS));
  expect(waits.at(-1)).toBe(BROWSER_RESTART_MAX_MS);
});

it('is quick again after a healthy run', () => {
  const backoff = new Backoff();
  for (let i = 0; i < 5; i++) backoff.afterFailure(0);
  expect(backoff.afterFailure(BROWSER_STABLE_MS)).toBe(BROWSER_RESTART_MIN_MS);
});
