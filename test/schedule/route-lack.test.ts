import { expect, it } from 'vitest';
import { type RouteLackView, routeLack } from '../../src/schedule/route-lack.ts';

const view = (over: Partial<RouteLackView> = {}): RouteLackView => ({
  layers: 8,
  ranges: [{ worker: 'a', start: 0, end: 4, isHeld: true }],
  idle: [],
  missingLinks: [],
  proving: null,
  ...over,
});
const b = { worker: 'b', start: 4, end: 8, isHeld: true };

it('names the layers that are missing, and who could bring them', () => {
  expect(routeLack(view())).toBe('layers 4–7 are held by nobody; somebody else has to join for them');
  expect(routeLack(view({ idle: ['c', 'd'] }))).toBe('layers 4–7 are held by nobody, c, d could take them');
  expect(routeLack(view({ idle: ['c', 'd', 'e', 'f'] }))).toContain('c, d, e and 1 others could take them');
  const loading = { ...b, isHeld: false };
  expect(routeLack(view({ ranges: [...view().ranges, loading] }))).toContain(
    'held by nobody yet, b load them',
  );
  expect(routeLack(view({ layers: 5 }))).toContain('layer 4 is held by nobody');
});

it('names the link that is missing, and whom a token has to come round', () => {
  const ranges = [...view().ranges, b];
  expect(routeLack(view({ ranges, missingLinks: [['a', 'b']] }))).toContain('no link between a and b');
  expect(routeLack(view({ ranges, proving: ['a', 'b'] }))).toBe('a first token has to come round a, b');
  expect(routeLack(view({ ranges }))).toContain('do not follow each other');
});
