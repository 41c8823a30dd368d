import { describe, expect, it } from 'vitest';
import {
  coverage,
  type HeldLayers,
  heldLayers,
  replicas,
  replicaText,
} from '../../src/mesh/protocol/layers-held.ts';

const row = (name: string, start: number, end: number, change: Partial<HeldLayers> = {}): HeldLayers => ({
  peer: `p-${name}`,
  name,
  layers: [start, end],
  state: 'held',
  sequences: 0,
  ...change,
});

const shown = (held: readonly HeldLayers[], layers: number) =>
  coverage(held, layers).map((part) => [
    part.start,
    part.end,
    part.by.map(({ name }) => name).join(' '),
    replicas(part),
  ]);

describe('who holds which layers', () => {
  it('is cut where the holders change, and a part without any is a gap', () => {
    expect(shown([row('a', 0, 4), row('b', 2, 6), row('c', 0, 2)], 8)).toEqual([
      [0, 2, 'a c', 2],
      [2, 4, 'a b', 2],
      [4, 6, 'b', 1],
      [6, 8, '', 0],
    ]);
    expect(shown([], 3)).toEqual([[0, 3, '', 0]]);
  });

  it('counts only who can compute now, and each once', () => {
    const held = [
      row('a', 0, 4),
      row('a', 0, 2, { state: 'retiring' }),
      row('a', 1, 4),
      row('b', 0, 4, { state: 'loading' }),
      row('c', 0, 4, { state: 'away' }),
    ];
    expect(coverage(held, 4).map(replicas)).toEqual([1, 1, 1]);
  });

  it('takes no layer for real that the model does not have', () => {
    expect(shown([row('a', 0, 99)], 4)).toEqual([[0, 4, 'a', 1]]);
  });

  it('is told of the pipeline alone where the server says no more', () => {
    const workers = [
      { peer: 'p-b', name: 'b', layers: [4, 8] },
      { peer: 'p-a', name: 'a', layers: [0, 4] },
      { peer: 'p-c', name: 'c', layers: null },
    ] as never;
    expect(heldLayers({ workers }).map(({ name, layers }) => [name, layers])).toEqual([
      ['a', [0, 4]],
      ['b', [4, 8]],
    ]);
    const layers = [row('z', 4, 8), row('y', 0, 2), row('x', 0, 4)];
    expect(heldLayers({ workers, layers }).map(({ name }) => name)).toEqual(['x', 'y', 'z']);
  });

  it.each([
    [[1, 1], 'Every layer is held once.'],
    [[2, 2], 'Every layer is held twice.'],
    [[1, 3], 'Every layer is held once at least, some 3 times.'],
    [[0, 2], 'Some layers are held by nobody yet.'],
  ])('%j in words', (counts, text) => expect(replicaText(counts)).toBe(text));
});
