import { expect, it } from 'vitest';
import { EarliestTimer } from '../../src/server/earliest-timer.ts';
import { FakeTimers } from '../support/fake-timers.ts';

function counting() {
  const timers = new FakeTimers();
  const ranAt: number[] = [];
  const timer = new EarliestTimer(timers, () => ranAt.push(timers.now()));
  return { timers, timer, ranAt };
}

it('runs once, at the earliest time that was asked for, and then anew', async () => {
  const { timers, timer, ranAt } = counting();
  for (const ms of [300, 100, 200]) timer.within(ms);
  expect(timer.isDue).toBe(true);
  await timers.advance(1_000);
  expect([ranAt, timer.isDue]).toEqual([[100], false]);
  timer.within(50);
  await timers.advance(1_000);
  expect(ranAt).toEqual([100, 1_050]);
});

it('does not run once it is stopped', async () => {
  const { timers, timer, ranAt } = counting();
  timer.within(100);
  timer.stop();
  timer.within(100);
  await timers.advance(1_000);
  expect([ranAt, timer.isDue, timers.pending]).toEqual([[], false, 0]);
});
