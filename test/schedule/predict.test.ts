import { describe, expect, it } from 'vitest';
import { Correction, corrected, predict } from '../../src/schedule/predict.ts';
import { ServedRate } from '../../src/schedule/served-rates.ts';
import { StageCosts } from '../../src/schedule/stage-costs.ts';
import { model, random } from './layout-cases.ts';

const costs = new StageCosts(model(8));

function servedOften(rate: ServedRate, macs: number, seconds: number, times = 5): ServedRate {
  for (let i = 0; i < times; i++) rate.served(macs, seconds);
  return rate;
}

describe('ServedRate', () => {
  it('is the probe’s until a range was served some times', () => {
    const rate = new ServedRate(5_000);
    expect(rate.cost).toEqual({ stepSeconds: 0, macsPerSecond: 5_000 });
    rate.served(1_000, 0.1);
    expect(rate.isServed).toBe(false);
    servedOften(rate, 1_000, 0.1);
    expect(rate.isServed).toBe(true);
    const { stepSeconds, macsPerSecond } = rate.cost;
    expect(stepSeconds + 1_000 / macsPerSecond).toBeCloseTo(0.1, 6);
  });

  it('tells a step’s own time from that of its matrices once two ranges were served', () => {
    const rate = new ServedRate(5_000);
    for (const macs of [1_000, 3_000]) servedOften(rate, macs, 0.05 + macs / 20_000);
    expect(rate.cost.stepSeconds).toBeCloseTo(0.05, 6);
    expect(rate.cost.macsPerSecond).toBeCloseTo(20_000, 3);
  });

  it('is not moved by a busy moment, nor by nonsense', () => {
    const rate = servedOften(new ServedRate(5_000), 1_000, 0.1, 9);
    const calm = rate.cost;
    rate.served(1_000, 4);
    rate.served(1_000, Number.NaN);
    rate.served(1_000, -1);
    rate.served(1_000, Number.POSITIVE_INFINITY);
    expect(rate.cost).toEqual(calm);
  });

  it('follows a worker that stays slower', () => {
    const rate = servedOften(new ServedRate(5_000), 1_000, 0.1, 9);
    servedOften(rate, 1_000, 0.4, 9);
    expect(1_000 / rate.cost.macsPerSecond).toBeGreaterThan(0.39);
  });

  it('is bounded by what the probe said, times 64', () => {
    expect(servedOften(new ServedRate(5_000), 1_000, 1e-9).cost.macsPerSecond).toBe(5_000 * 64);
    expect(servedOften(new ServedRate(5_000), 1_000, 1e9).cost.macsPerSecond).toBe(5_000 / 64);
  });
});

describe('predict', () => {
  const stage = (start: number, end: number, hopSeconds: number) => ({
    start,
    end,
    cost: { stepSeconds: 0.01, macsPerSecond: 10_000 },
    prefillRowsPerSecond: null,
    hopSeconds,
  });

  it('adds up stages and hops', () => {
    expect(predict(costs, [stage(0, 8, 0)], 1).tokensPerSecond).toBeCloseTo(1 / 0.86, 6);
    expect(predict(costs, [stage(0, 4, 0.05), stage(4, 8, 0.05)], 1).tokensPerSecond).toBeCloseTo(
      1 / 0.97,
      6,
    );
  });

  it('knows that chunks of a long prompt go through the stages one behind the other', () => {
    const measured = (start: number, end: number) => ({ ...stage(start, end, 0), prefillRowsPerSecond: 100 });
    const one = predict(costs, [measured(0, 8)], 1_024).firstTokenSeconds;
    const two = predict(costs, [measured(0, 4), measured(4, 8)], 1_024).firstTokenSeconds;
    expect(one).toBeCloseTo(10.24, 6);
    expect(two).toBeCloseTo(10.24 + 0.64, 6);
  });

  it('learns what is not in the stages, within a bound', () => {
    const correction = new Correction('token');
    expect(correction.factor(3)).toBe(1);
    for (let i = 0; i < 10; i++) correction.learn(3, 0.1, 0.15);
    expect(correction.factor(3)).toBeCloseTo(1.5, 6);
    expect(correction.factor(2)).toBeCloseTo(1.5, 6);
    for (let i = 0; i < 200; i++) correction.learn(2, 0.1, 100);
    expect(correction.factor(2)).toBeCloseTo(4, 3);
    for (const nonsense of [0, -1, Number.NaN]) correction.learn(2, 0.1, nonsense);
    expect(correction.factor(2)).toBeCloseTo(4, 3);
  });

  it('tells a busy machine, which all routes feel, from what more stages cost', () => {
    const correction = new Correction('token');
    const cost = [0, 1, 1.1, 1.2];
    for (let round = 0; round < 20; round++) {
      for (const stages of [1, 2, 3]) {
        for (let i = 0; i < 20; i++) correction.learn(stages, 0.1, 0.1 * cost[stages]!);
      }
    }
    for (const stages of [1, 2, 3]) expect(correction.factor(stages)).toBeCloseTo(cost[stages]!, 1);
    // Only routes of three are used while it is twice as slow: the others will find it so.
    for (let i = 0; i < 20; i++) correction.learn(3, 0.1, 0.2 * cost[3]!);
    expect(correction.factor(1)).toBeGreaterThan(1.5);
    expect(correction.factor(1)).toBeLessThan(correction.factor(3));
    // More stages than were ever on: as the most that were.
    expect(correction.factor(6)).toBe(correction.factor(3));
  });

  it('corrects both that is said by its own factor', () => {
    const before = predict(costs, [stage(0, 8, 0)], 1);
    const after = corrected(before, { token: 2, firstToken: 3 });
    expect(after.tokensPerSecond).toBeCloseTo(before.tokensPerSecond / 2, 9);
    expect(after.firstTokenSeconds).toBeCloseTo(before.firstTokenSeconds * 3, 9);
  });

  it('is within a fifth, as a median, for ten cuts never seen before on machines with noise', () => {
    const errors: number[] = [];
    for (let run = 0; run < 20; run++) {
      const next = random(run);
      const noise = () => 0.85 + 0.3 * next();
      const truth = Array.from({ length: 3 }, () => ({
        stepSeconds: 0.004 * next(),
        macsPerSecond: 20_000 + next() * 60_000,
      }));
      // The probe was taken on a busy machine, and all have in common what no stage tells.
      const rates = truth.map(({ macsPerSecond }) => new ServedRate(macsPerSecond * (0.3 + next())));
      const shared = 1 + next();
      const correction = new Correction('firstToken');
      for (let placement = 0; placement < 10; placement++) {
        const cut = 1 + Math.floor(next() * 6);
        const last = cut + 1 + Math.floor(next() * (7 - cut));
        const cuts = [
          [0, cut],
          [cut, last],
          [last, 8],
        ] as const;
        const said = predict(
          costs,
          cuts.map(([start, end], index) => ({
            start,
            end,
            cost: rates[index]!.cost,
            prefillRowsPerSecond: null,
            hopSeconds: 0.003,
          })),
          1,
        );
        let token = 0;
        for (const [index, [start, end]] of cuts.entries()) {
          const { stepSeconds, macsPerSecond } = truth[index]!;
          const step = () => (stepSeconds + costs.macs(start, end) / macsPerSecond) * noise();
          for (let report = 0; report < 5; report++) rates[index]!.served(costs.macs(start, end), step());
          token += step() + 0.003;
        }
        const measured = token * shared;
        const expected = corrected(said, { token: correction.factor(3), firstToken: 1 });
        errors.push(Math.abs(expected.tokensPerSecond * measured - 1));
        correction.learn(3, 1 / said.tokensPerSecond, measured);
      }
    }
    errors.sort((a, b) => a - b);
    expect(errors[errors.length >> 1]).toBeLessThan(0.2);
  });
});
