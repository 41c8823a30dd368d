import { expect, it } from 'vitest';
import { didYouMean, nearest, nearestFew } from '../../src/config/nearest.ts';

it('names what was meant, where something is close', () => {
  expect(nearest('minow1', ['whale', 'minnow-1'])).toBe('minnow-1');
  expect(didYouMean('topp', ['top_p', 'top_k'])).toBe('; did you mean top_p?');
  expect(didYouMean('elephant', ['whale'])).toBe('');
});

// Compared all with all, these took eight seconds, in which a server answers nobody.
it('gives up on floods of names and on endless ones', { timeout: 4_000 }, () => {
  const flood = Array.from({ length: 64 * 512 }, (_, i) => `${'x'.repeat(250)}${i}`);
  const short = Array.from({ length: 64 * 512 }, (_, i) => `${'q'.repeat(58)}${i}`);
  for (const names of [flood, short]) {
    expect(nearest('y'.repeat(64), names)).toBeUndefined();
    expect(nearestFew('y'.repeat(64), names)).toEqual([]);
  }
  expect(nearest('minnow2', [...flood.slice(0, 900), 'minnow-2'])).toBe('minnow-2');
});
