import { describe, expect, it } from 'vitest';
import { StageCosts } from '../../src/schedule/stage-costs.ts';
import { runChurn } from '../../src/sim/churn/churn.ts';
import { drawMachine, ROOM_MODEL, roundTripSeconds } from '../../src/sim/churn/machines.ts';
import { parallaxPolicy, petalsPolicy, shoalPolicy } from '../../src/sim/churn/policies.ts';
import { runStreams } from '../../src/sim/churn/streams.ts';
import { placementTable, tableText } from '../../src/sim/churn/table.ts';
import { SeededRandom } from '../../src/sim/random.ts';

const costs = new StageCosts(ROOM_MODEL);
const TOTAL = costs.macs(0, costs.layers);
const RATE = 1e11;
const near = () => 0.02;
const whole = (worker: string) => ({ worker, range: { start: 0, end: costs.layers }, macsPerSecond: RATE });

describe('streams', () => {
  it('alone on one worker take its time, and two share it', () => {
    const one = runStreams(costs, [whole('a')], near, 1);
    expect(one.quickest).toEqual([{ worker: 'a', start: 0, end: costs.layers }]);
    expect(one.tokensPerSecond).toBeCloseTo(1 / (0.001 + TOTAL / RATE));
    const two = runStreams(costs, [whole('a')], near, 2);
    expect(two.tokensPerSecond / one.tokensPerSecond).toBeCloseTo(1, 1);
    const apart = runStreams(costs, [whole('a'), whole('b')], near, 2);
    expect(apart.tokensPerSecond).toBeCloseTo(2 * one.tokensPerSecond);
  });

  it('pay for hops there and back, and overlap on a pipeline', () => {
    const half = costs.layers / 2;
    const pipeline = [
      { worker: 'a', range: { start: 0, end: half }, macsPerSecond: RATE },
      { worker: 'b', range: { start: half, end: costs.layers }, macsPerSecond: RATE },
    ];
    const { tokensPerSecond } = runStreams(costs, pipeline, near, 1);
    // Two steps; half a round trip and what a hop costs beside it, twice.
    expect(1 / tokensPerSecond).toBeCloseTo(0.002 + TOTAL / RATE + 2 * 0.011);
    const many = runStreams(costs, pipeline, near, 8).tokensPerSecond;
    const bottleneck = 1 / (0.001 + costs.macs(half, costs.layers) / RATE);
    expect(many).toBeGreaterThan(1.5 * tokensPerSecond);
    expect(many).toBeLessThanOrEqual(1.05 * bottleneck);
  });

  it('get nothing while a layer is held by nobody', () => {
    const part = { worker: 'a', range: { start: 0, end: 31 }, macsPerSecond: RATE };
    expect(runStreams(costs, [part], near, 1)).toEqual({ quickest: null, tokensPerSecond: 0 });
  });
});

describe('machines', () => {
  it('are drawn by seed, unequal, and as far from each other as back', () => {
    const machines = Array.from({ length: 200 }, (_, index) => drawMachine(new SeededRandom(index), index));
    const [a, b] = [machines[0]!, machines[1]!];
    expect(drawMachine(new SeededRandom(0), 0)).toEqual(a);
    expect(roundTripSeconds(a, b)).toBe(roundTripSeconds(b, a));
    expect(roundTripSeconds(a, a)).toBe(0);
    const rates = machines.map(({ view }) => view.macsPerSecond);
    expect(Math.max(...rates) / Math.min(...rates)).toBeGreaterThan(100);
    expect(machines.filter(({ view }) => view.isFallback).length).toBeGreaterThan(5);
  });
});

describe('a room in which machines come and go', () => {
  const options = { seed: 2, workers: 40, seconds: 120, stepSeconds: 10, concurrency: 2 };

  it('is the same each time for the same seed, but for how long deciding took', () => {
    const run = () => ({ ...runChurn({ ...options, policy: petalsPolicy }), decideMs: null });
    expect(run()).toEqual(run());
  });

  it('is placed by each rule, and no rule beats the bound', { timeout: 60_000 }, () => {
    for (const policy of [() => shoalPolicy(), petalsPolicy, () => parallaxPolicy()]) {
      const result = runChurn({ ...options, policy });
      expect(result.coverage).toBeGreaterThan(0.5);
      expect(result.tokensPerSecond).toBeGreaterThan(0);
      expect(result.tokensPerSecond).toBeLessThanOrEqual(result.bound * 1.001);
      expect(result.firstTokenSeconds).toBeGreaterThan(0);
    }
  });

  it('makes a table of the rules, a row each', { timeout: 60_000 }, () => {
    const [row] = placementTable([6], 1, 1);
    const lines = tableText([row!]).trim().split('\n');
    expect(lines).toHaveLength(3);
    expect(new Set(lines.map((line) => line.split('|').length)).size).toBe(1);
    expect(lines[2]).toContain('| 6 | Shoal |');
  });
});
