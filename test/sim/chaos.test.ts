import { describe, expect, it } from 'vitest';
import { runChaos } from '../../src/sim/chaos.ts';
import { FAULT_KINDS, planChaos } from '../../src/sim/chaos-plan.ts';
import { CHAOS_SEEDS } from './chaos-seeds.ts';

/** The rest of ten thousand runs by command: docs/SIMULATION.md. */
const SEEDS = 200;
const PER_TEST = 20;

const replay = (seed: number) => `npm run sim -- chaos --seed ${seed}`;

async function wrong(seeds: readonly number[]): Promise<string[]> {
  const found: string[] = [];
  for (const seed of seeds) {
    const { problems } = await runChaos(seed);
    if (problems.length > 0) found.push(`${replay(seed)}: ${problems.join('; ')}`);
  }
  return found;
}

describe('whatever goes wrong, an answer is the undisturbed one or ends with an error, and nothing is left of it', () => {
  for (let from = 1; from <= SEEDS; from += PER_TEST) {
    const seeds = Array.from({ length: PER_TEST }, (_, index) => from + index);
    it(`seeds ${from} to ${from + PER_TEST - 1}`, { timeout: 120_000 }, async () => {
      expect(await wrong(seeds)).toEqual([]);
    });
  }

  for (const [seed, what] of CHAOS_SEEDS) {
    it(`seed ${seed}, once: ${what}`, { timeout: 60_000 }, async () => {
      expect(await wrong([seed])).toEqual([]);
    });
  }
});

describe('a schedule', () => {
  it('is the same run each time, event for event', { timeout: 60_000 }, async () => {
    const [first, second] = [await runChaos(7), await runChaos(7)];
    expect(second).toEqual(first);
    expect((await runChaos(8)).digest).not.toBe(first.digest);
  });

  it('holds every kind of fault and one to six stages, with and without replicas', () => {
    const plans = Array.from({ length: SEEDS }, (_, index) => planChaos(index + 1));
    expect(new Set(plans.flatMap(({ faults }) => faults.map(({ kind }) => kind)))).toEqual(
      new Set(FAULT_KINDS),
    );
    expect(new Set(plans.map(({ stages }) => stages))).toEqual(new Set([1, 2, 3, 4, 5, 6]));
    expect(new Set(plans.map(({ stages, workers }) => workers >= 2 * stages))).toEqual(
      new Set([true, false]),
    );
  });
});
