import { afterEach, describe, expect, it, vi } from 'vitest';
import { Placing } from '../../src/server/mesh/placing/placing.ts';
import { Planner } from '../../src/server/mesh/placing/planner.ts';
import { runLoad } from '../../src/sim/load.ts';

/** Eighty workers are a large mesh here, as ten thousand are elsewhere. */
vi.mock('../../src/config/limits.ts', async (original) => ({
  ...(await original<typeof import('../../src/config/limits.ts')>()),
  PLACEMENT_REST_MS_A_WORKER: 50,
  SETTLE_REST_MS_A_WORKER: 1,
  MAX_STATUS_WORKERS: 8,
}));

afterEach(() => vi.restoreAllMocks());

describe('a large mesh in which somebody comes and goes every moment', () => {
  it('is placed and settled a few times, and everybody is heard', { timeout: 120_000 }, async () => {
    const plans = vi.spyOn(Planner.prototype, 'plan');
    const settles = vi.spyOn(Placing.prototype, 'settle');
    const result = await runLoad({ workers: 80, seconds: 10, churnPerSecond: 10, seed: 5, replicas: 80 });
    expect(result).toMatchObject({ missed: 0, isReady: true });
    // 180 came and 100 went in 71 seconds: once in four seconds, and what the first placements took.
    expect(plans.mock.calls.length).toBeLessThan(15);
    // Ten times a second at most, though each has a dozen links that come up, and is told when it holds layers.
    expect(settles.mock.calls.length).toBeLessThan(71 * 10);
    // Those of the pipeline, and eight.
    expect(result.status.bytes).toBeLessThan(16_384);
  });
});
