import { expect, it } from 'vitest';
import { DrawPace } from '../../../src/page/chat/draw-pace.ts';

function setup(costMs: number) {
  let now = 0;
  let waiting: { at: number; then: () => void }[] = [];
  const drawnAt: number[] = [];
  const pace: DrawPace = new DrawPace(
    () => {
      drawnAt.push(now);
      now += costMs;
      pace.drawn();
    },
    { now: () => now, after: (ms, then) => waiting.push({ at: now + ms, then }) },
  );
  const pass = (ms: number) => {
    const until = now + ms;
    for (;;) {
      const next = waiting.filter(({ at }) => at <= until).toSorted((a, b) => a.at - b.at)[0];
      if (next === undefined) break;
      waiting = waiting.filter((one) => one !== next);
      now = Math.max(now, next.at);
      next.then();
    }
    now = Math.max(now, until);
  };
  return { pace, drawnAt, pass };
}

it('draws the first at once, and what comes within twenty milliseconds of each other together', () => {
  const { pace, drawnAt, pass } = setup(1);
  pace.request();
  pass(0);
  expect(drawnAt).toEqual([0]);
  for (let i = 0; i < 50; i++) {
    pace.request();
    pass(2);
  }
  expect(drawnAt.length).toBeLessThanOrEqual(3);
});

it('draws less often where drawing takes long: it has a share of the time and not more', () => {
  const { pace, drawnAt, pass } = setup(60);
  for (let i = 0; i < 1_000; i++) {
    pace.request();
    pass(10);
  }
  const share = (drawnAt.length * 60) / 10_000;
  expect(drawnAt.length).toBeGreaterThan(10);
  expect(share).toBeLessThan(0.15);
});

it('draws once what was asked for before it was drawn at once', () => {
  const { pace, drawnAt, pass } = setup(1);
  pace.now();
  pace.request();
  pace.now();
  pass(1_000);
  expect(drawnAt).toHaveLength(2);
});
