import { describe, expect, it } from 'vitest';
import { VirtualClock } from '../../src/sim/clock.ts';
import { SeededRandom } from '../../src/sim/random.ts';

describe('VirtualClock', () => {
  it('runs events in order of time, then of being set, and stands at the end', async () => {
    const clock = new VirtualClock();
    const seen: string[] = [];
    for (const [ms, name] of [
      [20, 'c'],
      [10, 'a'],
      [10, 'b'],
      [31, 'never'],
    ] as const) {
      clock.after(ms, () => seen.push(`${name} ${clock.now()}`));
    }
    await clock.run(30);
    expect(seen).toEqual(['a 10', 'b 10', 'c 20']);
    expect(clock.now()).toBe(30);
    expect(clock.pending).toBe(1);
  });

  it('sorts a thousand events as a plain sort does, with half of them cancelled', async () => {
    const clock = new VirtualClock();
    const random = new SeededRandom(5);
    const seen: number[] = [];
    const times = Array.from({ length: 1_000 }, () => random.below(300));
    const cancels = times.map((ms, index) => clock.after(ms, () => seen.push(index)));
    const kept = times.map((_, index) => index).filter((index) => index % 2 === 0);
    for (const index of times.keys()) if (index % 2 === 1) cancels[index]!();
    expect(clock.pending).toBe(500);
    await clock.run(300);
    expect(seen).toEqual(kept.sort((a, b) => times[a]! - times[b]! || a - b));
    expect(clock.pending).toBe(0);
  });

  it('lets every promise settle before the next event, however deep the chain', async () => {
    const clock = new VirtualClock();
    const seen: string[] = [];
    clock.after(1, async () => {
      for (let depth = 0; depth < 5_000; depth++) await null;
      seen.push('settled');
      clock.after(0, () => seen.push('set by it'));
    });
    clock.after(1, () => seen.push('next event'));
    await clock.run(1);
    expect(seen).toEqual(['settled', 'next event', 'set by it']);
  });

  it('stops where it is told to, and goes on from there', async () => {
    const clock = new VirtualClock();
    let count = 0;
    const tick = () => {
      count += 1;
      clock.after(10, tick);
    };
    tick();
    await clock.run(1_000, () => count === 5);
    expect(clock.now()).toBe(40);
    await clock.run(100);
    expect(count).toBe(15);
  });

  it('ends with the error of an event, and takes one driver at a time', async () => {
    const clock = new VirtualClock();
    clock.after(1, () => {
      throw new Error('a bug');
    });
    const run = clock.run(10);
    expect(() => clock.run(10)).toThrow('one caller');
    await expect(run).rejects.toThrow('a bug');
    await clock.run(10);
  });

  it('takes microseconds an event', async () => {
    const clock = new VirtualClock();
    let count = 0;
    const tick = async () => {
      await null;
      if (++count < 100_000) clock.after(1, tick);
    };
    void tick();
    const startedMs = performance.now();
    await clock.run(200_000);
    expect(count).toBe(100_000);
    expect((performance.now() - startedMs) / 100_000).toBeLessThan(0.1);
  });
});

describe('SeededRandom', () => {
  it('gives the same numbers for the same seed, and others for another', () => {
    const numbers = (random: SeededRandom) => Array.from({ length: 5 }, () => random.u32());
    expect(numbers(new SeededRandom(1))).toEqual(numbers(new SeededRandom(1)));
    expect(numbers(new SeededRandom(1))).not.toEqual(numbers(new SeededRandom(2)));
  });

  it('forks into streams that do not move each other', () => {
    const random = new SeededRandom(9);
    const before = random.fork('faults').u32();
    random.fork('load').u32();
    expect(random.fork('faults').u32()).toBe(before);
    expect(random.fork('load').u32()).not.toBe(before);
  });

  it('is even', () => {
    const random = new SeededRandom(3);
    const buckets = new Array<number>(10).fill(0);
    for (let i = 0; i < 10_000; i++) buckets[random.below(10)]! += 1;
    for (const count of buckets) expect(Math.abs(count - 1_000)).toBeLessThan(150);
    const mean =
      Array.from({ length: 10_000 }, () => random.exponential(50)).reduce((a, b) => a + b) / 10_000;
    expect(Math.abs(mean - 50)).toBeLessThan(3);
    expect(random.shuffled([1, 2, 3, 4, 5]).sort()).toEqual([1, 2, 3, 4, 5]);
  });
});
