import { describe, expect, it } from 'vitest';
import { HopStats } from '../../src/worker/hop-stats.ts';
import { MiddleRate } from '../../src/worker/middle-rate.ts';

const step = (computeMs: number) => ({ uploadMs: 1, computeMs, readbackMs: 1 });

describe('a rate from serving', () => {
  it('is null before the first, and the mean of the first few', () => {
    const rate = new MiddleRate();
    expect(rate.msOfOne).toBeNull();
    rate.add(1, 4);
    rate.add(3, 8);
    expect(rate.msOfOne).toBe(3);
  });

  it('leaves out what took much longer, or much shorter, than the others', () => {
    const rate = new MiddleRate();
    for (let i = 0; i < 24; i++) rate.add(64, 128);
    for (let i = 0; i < 4; i++) rate.add(64, 60_000);
    for (let i = 0; i < 4; i++) rate.add(1, 128);
    expect(rate.msOfOne).toBe(2);
  });

  it('follows a machine that became slower, within as many steps as it looks at', () => {
    const rate = new MiddleRate();
    for (let i = 0; i < 500; i++) rate.add(1, 2);
    for (let i = 0; i < 24; i++) rate.add(1, 6);
    expect(rate.msOfOne).toBeGreaterThan(5);
    for (let i = 0; i < 8; i++) rate.add(1, 6);
    expect(rate.msOfOne).toBe(6);
  });
});

describe('what a hop costs', () => {
  it('has no timings and no rate before the first step', () => {
    expect(new HopStats().summary()).toEqual({
      timings: null,
      decodeSteps: 0,
      decodeRows: 0,
      prefillRows: 0,
      prefillRowsPerSecond: null,
    });
  });

  it('counts prefill only while it computed, with the rows of answers beside it', () => {
    const hop = new HopStats();
    hop.step(step(62), 0, 64);
    hop.step(step(62), 4, 60);
    expect(hop.summary()).toMatchObject({ prefillRows: 124, decodeRows: 4, timings: null });
    expect(hop.summary().prefillRowsPerSecond).toBe(1_000);
  });

  it('does not let one stalled step tell another decode time', () => {
    const hop = new HopStats();
    for (let i = 0; i < 9; i++) hop.step(step(5), 1, 0);
    hop.step(step(4_000), 1, 0);
    expect(hop.summary().timings).toMatchObject({ computeMs: 5, uploadMs: 1 });
    expect(hop.summary().prefillRowsPerSecond).toBeNull();
  });

  it('tells no rate where the clock saw no time', () => {
    const hop = new HopStats();
    hop.step({ uploadMs: 0, computeMs: 0, readbackMs: 0 }, 0, 64);
    expect(hop.summary().prefillRowsPerSecond).toBeNull();
  });
});
