import { describe, expect, it } from 'vitest';
import {
  type ClassedRange,
  coveringClasses,
  crossedLayers,
  isOfOneClass,
  withinClass,
} from '../../src/schedule/classes.ts';

const on = (worker: string, name: string | null, start: number, end: number): ClassedRange => ({
  worker,
  class: name,
  start,
  end,
});

describe('crossing', () => {
  const before = [on('w1', 'a', 0, 4), on('w2', 'b', 4, 8)];

  it('is a layer that another class goes on with, not a route of several', () => {
    expect(crossedLayers(before, before)).toBe(0);
    expect(crossedLayers(before, [on('w3', 'a', 0, 4), on('w4', 'b', 4, 8)])).toBe(0);
    expect(crossedLayers(before, [on('w3', 'a', 0, 8)])).toBe(4);
    expect(crossedLayers(before, [on('w3', 'a', 0, 3), on('w2', 'b', 3, 8)])).toBe(1);
  });

  it('is a class that nobody knows too, unless the worker is the same', () => {
    const unknown = [on('w1', null, 0, 8)];
    expect(crossedLayers(unknown, unknown)).toBe(0);
    expect(crossedLayers(unknown, [on('w2', null, 0, 8)])).toBe(8);
    expect(isOfOneClass([on('w1', null, 0, 4), on('w2', null, 4, 8)])).toBe(false);
    expect(isOfOneClass([on('w1', 'a', 0, 4), on('w2', 'a', 4, 8)])).toBe(true);
  });
});

it('a class covers a model where its ranges reach over all of it, whoever holds them', () => {
  const ranges = [
    on('w1', 'gap', 0, 3),
    on('w2', 'gap', 4, 8),
    on('w3', null, 0, 8),
    on('w4', 'two', 4, 8),
    on('w5', 'two', 0, 5),
    on('w6', 'one', 0, 8),
  ];
  expect(coveringClasses(ranges, 8)).toEqual(['two', 'one']);
});

describe('the quickest within a class', () => {
  const route = (seconds: number, doubtful = 0) => ({ seconds, doubtful });

  it('is taken up to a factor of the time', () => {
    const quickest = route(1);
    const [near, far] = [route(1.9), route(2.1)];
    expect(withinClass(quickest, [far, near], 2)).toBe(near);
    expect(withinClass(quickest, [far], 2)).toBe(quickest);
    expect(withinClass(quickest, [], 2)).toBe(quickest);
  });

  it('not where it needs somebody who is to be used only where there is nothing else', () => {
    const quickest = route(1);
    expect(withinClass(quickest, [route(1, 1)], 2)).toBe(quickest);
    const doubtful = route(1, 1);
    const sure = route(1.5);
    expect(withinClass(doubtful, [sure], 2)).toBe(sure);
  });
});
