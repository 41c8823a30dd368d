import { describe, expect, it } from 'vitest';
import { pickBatch } from '../../src/worker/batching.ts';
import type { LayerRange } from '../../src/worker/stage-place.ts';

const row = (sequence: number, count = 1, wire: 'f16' | 'f32' = 'f16', layers: LayerRange = [0, 8]) => ({
  sequence,
  count,
  wire,
  layers,
});
const always = () => true;

describe('pickBatch', () => {
  it('takes nothing from an empty or a blocked queue', () => {
    expect(pickBatch([], always)).toEqual([]);
    expect(pickBatch([row(1), row(2)], () => false)).toEqual([]);
  });

  it('merges decode rows of different sequences', () => {
    expect(pickBatch([row(1), row(2), row(3)], always)).toEqual([0, 1, 2]);
  });

  it('takes the earliest entry of a sequence and no second one', () => {
    expect(pickBatch([row(1, 8), row(1, 8), row(2)], always)).toEqual([0, 2]);
  });

  it('never lets a later entry of a sequence overtake one that is not ready', () => {
    const blocked = row(1, 8);
    const queue = [blocked, row(1), row(2)];
    expect(pickBatch(queue, (candidate) => candidate !== blocked)).toEqual([2]);
  });

  it('never lets a later entry overtake one that does not fit', () => {
    expect(pickBatch([row(1, 60), row(2, 5), row(2, 1), row(3, 4)], always)).toEqual([0, 3]);
  });

  it('keeps to the wire of the first entry', () => {
    expect(pickBatch([row(1), row(2, 1, 'f32'), row(3)], always)).toEqual([0, 2]);
  });

  it('keeps to the layers of the first entry', () => {
    expect(pickBatch([row(1), row(2, 1, 'f16', [0, 4]), row(3), row(4, 1, 'f16', [4, 8])], always)).toEqual([
      0, 2,
    ]);
  });

  it('keeps to the bounds on rows and entries', () => {
    expect(pickBatch([row(1, 40), row(2, 24), row(3)], always)).toEqual([0, 1]);
    expect(pickBatch([row(1), row(2), row(3)], always, 64, 2)).toEqual([0, 1]);
  });
});
