import { describe, expect, it } from 'vitest';
import { MAX_BATCH_ROWS, MAX_FRAME_ENTRIES } from '../../src/config/limits.ts';
import { pickBatch, type Turn } from '../../src/worker/batching.ts';
import type { LayerRange } from '../../src/worker/stage-place.ts';

const row = (sequence: number, count = 1, wire: 'f16' | 'f32' = 'f16', layers: LayerRange = [0, 8]) => ({
  sequence,
  count,
  sample: count === 1,
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
    const many = Array.from({ length: MAX_FRAME_ENTRIES + 5 }, (_, sequence) => row(sequence));
    expect(pickBatch(many, always)).toHaveLength(Math.min(MAX_FRAME_ENTRIES, MAX_BATCH_ROWS));
  });

  it('takes tokens of answers before chunks of prompts in their turn, and what fits beside them', () => {
    const queue = [row(1, 64), row(2, 64), row(3), row(4, 20), row(5)];
    expect(pickBatch(queue, always, 'decode')).toEqual([2, 4, 3]);
    expect(pickBatch(queue, always, 'prefill')).toEqual([0]);
    expect(pickBatch([row(1, 20), row(2), row(3, 40)], always, 'prefill')).toEqual([0, 2, 1]);
  });

  it('takes the other kind where there is nothing of the one', () => {
    expect(pickBatch([row(1, 64), row(2, 64)], always, 'decode')).toEqual([0]);
    expect(pickBatch([row(1), row(2)], always, 'prefill')).toEqual([0, 1]);
    const blocked = row(3);
    expect(pickBatch([row(1, 64), blocked], (candidate) => candidate !== blocked, 'decode')).toEqual([0]);
  });

  it('by turns lets no token wait for more than one chunk, and no chunk for more than one step of tokens', () => {
    // Ten prompts of four chunks, and answers that ask for the next row as soon as they have theirs.
    const prompts = Array.from({ length: 40 }, (_, index) => row(100 + (index % 10), 64));
    let queue = [...prompts, row(1), row(2)];
    let turn: Turn = 'prefill';
    const steps: ('chunk' | 'tokens')[] = [];
    const order: number[] = [];
    while (queue.some(({ count }) => count > 1)) {
      const batch = pickBatch(queue, always, turn).map((index) => queue[index]!);
      turn = turn === 'decode' ? 'prefill' : 'decode';
      steps.push(batch.some(({ count }) => count > 1) ? 'chunk' : 'tokens');
      order.push(...batch.filter(({ count }) => count > 1).map(({ sequence }) => sequence));
      queue = queue.filter((work) => !batch.includes(work));
      for (const { sequence, count } of batch) if (count === 1) queue.push(row(sequence));
    }
    expect(steps).toEqual(Array.from({ length: 79 }, (_, index) => (index % 2 === 0 ? 'chunk' : 'tokens')));
    expect(order).toEqual(prompts.map(({ sequence }) => sequence));
  });
});
