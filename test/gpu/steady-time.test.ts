import { expect, it } from 'vitest';
import { steadyTime } from '../../src/gpu/steady-time.ts';

/** Attempts of given times, on a clock that only they and the pauses move. */
async function run(earlier: readonly number[], times: readonly number[], boundMs = 150) {
  let clock = 0;
  let made = 0;
  const ms = await steadyTime({
    earlier,
    boundMs,
    now: () => clock,
    sleep: async (pause) => {
      clock += pause;
    },
    attempt: async () => {
      const time = times[made++ % times.length]!;
      clock += time;
      return time;
    },
  });
  return { ms, made, clock };
}

it('waits for nothing where the attempts made before agree', async () => {
  expect(await run([4.1, 14, 4.3, 4.0], [])).toEqual({ ms: 4.0, made: 0, clock: 0 });
});

it('goes on until three of the best agree, and takes the best', async () => {
  const { ms, made } = await run([15, 14.9, 15.1].slice(0, 2), [4, 13, 4.2, 12, 4.1, 1]);
  expect(ms).toBe(4);
  expect(made).toBe(5);
});

it('pauses between attempts, so that they do not fall into one burst of others’ work', async () => {
  const { clock } = await run([], [4]);
  expect(clock).toBe(3 * 4 + 2 * 10);
});

it('ends with its bound where they never agree, and takes the best then too', async () => {
  const { ms, clock } = await run([40], [30, 24, 19, 15, 12]);
  expect(ms).toBe(12);
  expect(clock).toBeLessThanOrEqual(150 + 10 + 30);
});

it('an attempt that takes longer than the bound is the last', async () => {
  expect(await run([500], [400, 1])).toMatchObject({ ms: 400, made: 1 });
});
