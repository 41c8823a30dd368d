import { expect, it } from 'vitest';
import { MEASURED_TOKENS, PredictionLog } from '../../src/schedule/prediction-errors.ts';

const tokens = (log: PredictionLog, seconds: number, count = MEASURED_TOKENS) => {
  for (let i = 0; i < count; i++) log.token(seconds);
};

it('compares what was said of a placement with its first tokens, once', () => {
  const log = new PredictionLog();
  tokens(log, 0.1);
  expect(log.errors).toEqual({ speed: [], firstToken: [] });
  log.began(0.1);
  tokens(log, 0.08, MEASURED_TOKENS - 1);
  expect(log.errors.speed).toEqual([]);
  tokens(log, 0.08, 100);
  expect(log.errors.speed).toHaveLength(1);
  // Said 10 tokens a second, had 12.5.
  expect(log.errors.speed[0]).toBeCloseTo(0.2, 9);
  log.first(0.5, 1);
  log.first(9, 1);
  expect(log.errors.firstToken).toEqual([0.5]);
});

it('forgets a placement that gave too few, and all but the last ten', () => {
  const log = new PredictionLog();
  log.began(0.1);
  tokens(log, 5, 3);
  log.began(null);
  tokens(log, 5);
  log.first(1, 2);
  expect(log.errors).toEqual({ speed: [], firstToken: [] });
  for (let i = 0; i < 12; i++) {
    log.began(0.1);
    tokens(log, 0.1 * (i + 1));
  }
  expect(log.errors.speed).toHaveLength(10);
  expect(log.errors.speed[0]).toBeCloseTo(2, 6);
});
