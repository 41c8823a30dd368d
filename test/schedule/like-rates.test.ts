import { describe, expect, it } from 'vitest';
import { LikeRates, type LikeSample, Share } from '../../src/schedule/like-rates.ts';

const stepOf = (macs: number, busy = 1) => busy * (0.002 + macs / 50_000);
const sample = (worker: string, macs: number, atMs: number, over: Partial<LikeSample> = {}): LikeSample => ({
  worker,
  macs,
  seconds: stepOf(macs),
  probedMacsPerSecond: 10_000,
  prefillMacsPerSecond: null,
  atMs,
  ...over,
});

describe('what workers of a class have in common', () => {
  it('is a step’s own time and that of its matrices, from ranges of different workers', () => {
    const likes = new LikeRates();
    expect(likes.of('c')).toBeNull();
    for (const [index, macs] of [1_000, 3_000, 4_000].entries())
      likes.note('c', sample(`w${index}`, macs, 0));
    const { cost } = likes.of('c')!;
    expect(cost.stepSeconds).toBeCloseTo(0.002, 9);
    expect(cost.macsPerSecond).toBeCloseTo(50_000, 3);
    expect(likes.of('another')).toBeNull();
  });

  it('is of one time: what was measured on a quiet machine is not held against what came on a busy one', () => {
    const likes = new LikeRates();
    likes.note('c', sample('w1', 8_000, 0));
    const later = 120_000;
    for (const macs of [1_000, 3_000]) {
      likes.note('c', sample('w1', macs, later, { seconds: stepOf(macs, 3) }));
    }
    const { cost } = likes.of('c')!;
    expect(cost.stepSeconds + 4_000 / cost.macsPerSecond).toBeCloseTo(stepOf(4_000, 3), 9);
  });

  it('is not what one of many says', () => {
    const likes = new LikeRates();
    for (let i = 0; i < 6; i++) likes.note('c', sample(`w${i}`, 1_000 * (1 + (i % 3)), 0));
    likes.note('c', sample('liar', 2_000, 0, { seconds: 1e-9 }));
    likes.note('c', sample('liar', 3_000, 0, { seconds: 1e-9 }));
    const { cost } = likes.of('c')!;
    expect(cost.stepSeconds + 2_000 / cost.macsPerSecond).toBeGreaterThan(0.6 * stepOf(2_000));
  });

  it('keeps a bounded number of classes and samples', () => {
    const likes = new LikeRates();
    for (let i = 0; i < 200; i++) likes.note(`c${i}`, sample('w', 1_000, 0));
    expect(likes.of('c0')).toBeNull();
    expect(likes.of('c199')).not.toBeNull();
    for (let i = 0; i < 1_000; i++)
      likes.note('c199', sample(`w${i}`, 1_000, 0, { seconds: i < 900 ? 1 : 2 }));
    const { cost } = likes.of('c199')!;
    expect(cost.stepSeconds + 1_000 / cost.macsPerSecond).toBeCloseTo(2, 6);
  });
});

describe('a worker’s share', () => {
  const like = { stepSeconds: 0.002, macsPerSecond: 50_000 };

  it('is how it stood to the others, whatever came of them since', () => {
    const share = new Share();
    for (const macs of [1_000, 2_000, 3_000]) share.note(macs, 1.5 * stepOf(macs), like);
    const busy = { stepSeconds: 0.006, macsPerSecond: 50_000 / 3 };
    const { stepSeconds, macsPerSecond } = share.of(busy, 1);
    expect(stepSeconds + 4_000 / macsPerSecond).toBeCloseTo(1.5 * stepOf(4_000, 3), 9);
  });

  it('is what the probe says before it has served', () => {
    expect(new Share().of(like, 2)).toEqual({ stepSeconds: 0.004, macsPerSecond: 25_000 });
  });
});
