import { describe, expect, it } from 'vitest';
import {
  MIN_PATIENCE_MS,
  PATIENCE_ROUNDS,
  PREFILL_MS_PER_POSITION,
  ROUND_PATIENCE,
  TOKEN_DEADLINE_MS,
  UNMEASURED_PATIENCE_MS,
} from '../../src/config/limits.ts';
import { positionDeadlineMs, RoundTimes, tokenDeadlineMs } from '../../src/schedule/token-deadline.ts';

const deadline = (longMs: readonly (number | null)[], expectedMs = 0, waitingMs = 0) =>
  tokenDeadlineMs({ longMs, expectedMs, waitingMs });

describe('how long a token may take', () => {
  it.each([
    ['quick workers: the floor', deadline([20, 50]), MIN_PATIENCE_MS],
    ['slow ones: some of their long rounds', deadline([20, 3_000]), ROUND_PATIENCE * 3_000],
    ['one of which nothing is known', deadline([20, null]), UNMEASURED_PATIENCE_MS],
    ['what they say of themselves', deadline([20], 2_000), 20_000],
    ['prefill of others in between', deadline([20], 0, 2_000), MIN_PATIENCE_MS + 2_000],
    ['never longer than', deadline([50_000], 1e9, 1e9), TOKEN_DEADLINE_MS],
  ])('%s', (_what, ms, expected) => {
    expect(ms).toBe(expected);
  });

  it('counts a worker’s last rounds, once there are enough, and all but the longest in a hundred', () => {
    const times = new RoundTimes();
    for (let i = 0; i < 7; i++) times.note(100);
    expect(times.longMs).toBeNull();
    times.note(9_000);
    expect(times.longMs).toBe(9_000);
    for (let i = 8; i < PATIENCE_ROUNDS; i++) times.note(100);
    // One in 128 is within the longest hundredth.
    expect(times.longMs).toBe(100);
    for (let i = 0; i < PATIENCE_ROUNDS; i++) times.note(i % 32 === 0 ? 700 : 50);
    expect(times.longMs).toBe(700);
  });

  it('has the same percentile as all of the last rounds sorted, whatever came', () => {
    const times = new RoundTimes();
    const all: number[] = [];
    for (let i = 0; i < 5 * PATIENCE_ROUNDS; i++) {
      const ms = (i * 7_919) % 251;
      times.note(ms);
      all.push(ms);
      const last = all.slice(-PATIENCE_ROUNDS).sort((a, b) => a - b);
      if (last.length >= 8) expect(times.longMs).toBe(last[Math.ceil(0.99 * last.length) - 1]);
    }
  });
});

it.each([
  ['unknown', null, PREFILL_MS_PER_POSITION],
  ['none', 0, PREFILL_MS_PER_POSITION],
  ['slower than any adapter', 10, PREFILL_MS_PER_POSITION],
  ['a GPU’s', 2_000, 5],
])('a position of a prompt where the measured rate is %s', (_what, rate, ms) => {
  expect(positionDeadlineMs(rate)).toBe(ms);
});
