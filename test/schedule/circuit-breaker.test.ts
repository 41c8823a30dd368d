import { describe, expect, it } from 'vitest';
import {
  BREAKER_BACKOFF_MAX_MS,
  BREAKER_BACKOFF_MIN_MS,
  BREAKER_FAILURES,
  BREAKER_TRIAL_MS,
  BREAKER_WINDOW_MS,
} from '../../src/config/limits.ts';
import { CircuitBreaker } from '../../src/schedule/backends/circuit-breaker.ts';
import { seededRandom } from '../mesh/seeded.ts';

/** The longest back-off that chance allows, so that times are exact. */
const LONGEST = 1;
const fail = (breaker: CircuitBreaker, atMs: number, random = LONGEST) =>
  breaker.admit(atMs).failed(atMs, random);
const succeed = (breaker: CircuitBreaker, atMs: number) => breaker.admit(atMs).succeeded(atMs);

function opened(atMs = 0): CircuitBreaker {
  const breaker = new CircuitBreaker();
  for (let i = 0; i < BREAKER_FAILURES; i++) fail(breaker, atMs);
  return breaker;
}

describe('CircuitBreaker', () => {
  it('opens at failures in a row, and not at one fewer', () => {
    const breaker = new CircuitBreaker();
    for (let i = 1; i < BREAKER_FAILURES; i++) fail(breaker, 0);
    expect(breaker.state(0)).toBe('closed');
    fail(breaker, 0);
    expect(breaker.state(0)).toBe('open');
    expect(breaker.admits(0)).toBe(false);
    expect(breaker.waitMs(0)).toBe(BREAKER_BACKOFF_MIN_MS);
  });

  it('begins to count anew after a success', () => {
    const breaker = new CircuitBreaker();
    for (let i = 1; i < BREAKER_FAILURES; i++) fail(breaker, 0);
    succeed(breaker, 0);
    fail(breaker, 0);
    expect(breaker.state(0)).toBe('closed');
  });

  it('opens at half failures over the window, though never in a row', () => {
    const breaker = new CircuitBreaker();
    for (let i = 0; i < 4; i++) {
      succeed(breaker, i);
      fail(breaker, i);
    }
    expect(breaker.state(4)).toBe('closed');
    succeed(breaker, 4);
    fail(breaker, 4);
    expect(breaker.state(4)).toBe('open');
  });

  it('forgets outcomes that are older than the window', () => {
    const breaker = new CircuitBreaker();
    for (let i = 0; i < 4; i++) {
      succeed(breaker, 0);
      fail(breaker, 0);
    }
    const later = BREAKER_WINDOW_MS + 1;
    succeed(breaker, later);
    fail(breaker, later);
    expect(breaker.state(later)).toBe('closed');
  });

  it('admits one trial when the back-off has passed, and no second beside it', () => {
    const breaker = opened();
    expect(breaker.admits(BREAKER_BACKOFF_MIN_MS - 1)).toBe(false);
    expect(breaker.state(BREAKER_BACKOFF_MIN_MS)).toBe('half-open');
    const trial = breaker.admit(BREAKER_BACKOFF_MIN_MS);
    expect(breaker.admits(BREAKER_BACKOFF_MIN_MS)).toBe(false);
    expect(breaker.waitMs(BREAKER_BACKOFF_MIN_MS)).toBeGreaterThan(0);
    trial.succeeded(2_000);
    expect(breaker.state(2_000)).toBe('closed');
    expect(breaker.admits(2_000)).toBe(true);
  });

  it('admits another trial beside one that takes long, as answers do that are no streams', () => {
    const breaker = opened();
    const slow = breaker.admit(BREAKER_BACKOFF_MIN_MS);
    const later = BREAKER_BACKOFF_MIN_MS + BREAKER_TRIAL_MS;
    expect(breaker.admits(later - 1)).toBe(false);
    expect(breaker.admits(later)).toBe(true);
    const second = breaker.admit(later);
    expect(breaker.admits(later)).toBe(false);
    // The first no longer holds the place that the second has.
    slow.released();
    expect(breaker.admits(later)).toBe(false);
    second.succeeded(later + 1);
    expect(breaker.state(later + 1)).toBe('closed');
  });

  it('doubles the back-off with each trial that fails, up to its maximum', () => {
    const breaker = opened();
    let now = 0;
    const waits: number[] = [];
    for (let i = 0; i < 8; i++) {
      waits.push(breaker.waitMs(now));
      now += breaker.waitMs(now);
      fail(breaker, now);
    }
    expect(waits).toEqual([1, 2, 4, 8, 16, 30, 30, 30].map((seconds) => seconds * 1_000));
    expect(waits.at(-1)).toBe(BREAKER_BACKOFF_MAX_MS);
  });

  it('spreads the back-off by chance between half and whole', () => {
    const random = seededRandom(1);
    const waits = Array.from({ length: 200 }, () => {
      const breaker = opened(0);
      fail(breaker, BREAKER_BACKOFF_MIN_MS, random());
      return breaker.waitMs(BREAKER_BACKOFF_MIN_MS);
    });
    expect(Math.min(...waits)).toBeGreaterThanOrEqual(BREAKER_BACKOFF_MIN_MS);
    expect(Math.max(...waits)).toBeLessThan(2 * BREAKER_BACKOFF_MIN_MS);
    expect(new Set(waits).size).toBeGreaterThan(100);
  });

  it('gives the trial back when it ends without a verdict, so that it cannot stay half-open for good', () => {
    const breaker = opened();
    breaker.admit(1_000).released();
    expect(breaker.state(1_000)).toBe('half-open');
    expect(breaker.admits(1_000)).toBe(true);
  });

  it('closes on probation at the first byte: a break opens it with the longer back-off', () => {
    const breaker = opened();
    const trial = breaker.admit(1_000);
    trial.answering();
    expect(breaker.state(1_000)).toBe('closed');
    trial.failed(5_000, LONGEST);
    expect(breaker.state(5_000)).toBe('open');
    expect(breaker.waitMs(5_000)).toBe(2 * BREAKER_BACKOFF_MIN_MS);
  });

  it('ends the probation with the first whole answer', () => {
    const breaker = opened();
    const trial = breaker.admit(1_000);
    trial.answering();
    trial.succeeded(2_000);
    fail(breaker, 3_000);
    expect(breaker.state(3_000)).toBe('closed');
  });

  it('takes no notice of verdicts on requests from before it opened', () => {
    const breaker = new CircuitBreaker();
    const old = Array.from({ length: 4 }, () => breaker.admit(0));
    for (let i = 0; i < BREAKER_FAILURES; i++) fail(breaker, 0);
    old[0]!.failed(500, LONGEST);
    expect(breaker.waitMs(500)).toBe(BREAKER_BACKOFF_MIN_MS - 500);
    old[1]!.succeeded(500);
    expect(breaker.state(500)).toBe('open');
    const trial = breaker.admit(1_000);
    old[2]!.released();
    expect(breaker.admits(1_000)).toBe(false);
    trial.succeeded(1_000);
    old[3]!.failed(1_000, LONGEST);
    expect(breaker.state(1_000)).toBe('closed');
  });

  it('counts one verdict a request', () => {
    const breaker = new CircuitBreaker();
    const admission = breaker.admit(0);
    for (let i = 0; i < BREAKER_FAILURES; i++) admission.failed(0, LONGEST);
    expect(breaker.state(0)).toBe('closed');
  });

  it('closes on probation when a probe found the node back, for all and at once', () => {
    const breaker = opened();
    breaker.recovered();
    expect(breaker.state(10)).toBe('closed');
    const requests = Array.from({ length: 3 }, () => breaker.admit(10));
    requests[0]!.failed(10, LONGEST);
    expect(breaker.waitMs(10)).toBe(2 * BREAKER_BACKOFF_MIN_MS);
  });

  it('holds through random histories: open admits nothing, half-open one, and it always comes back', () => {
    for (let seed = 0; seed < 200; seed++) {
      const random = seededRandom(seed);
      const breaker = new CircuitBreaker();
      const running: ReturnType<CircuitBreaker['admit']>[] = [];
      let now = 0;
      for (let step = 0; step < 300; step++) {
        now += random() * 400;
        const before = breaker.state(now);
        if (before === 'open') expect(breaker.admits(now)).toBe(false);
        if (breaker.admits(now) && random() < 0.6) {
          running.push(breaker.admit(now));
          if (before === 'half-open') expect(breaker.admits(now)).toBe(false);
        } else if (running.length > 0) {
          const [request] = running.splice(Math.floor(random() * running.length), 1);
          const chance = random();
          if (chance < 0.2) request!.released();
          else if (chance < 0.7) request!.failed(now, random());
          else request!.succeeded(now);
        }
      }
      for (const request of running) request.released();
      now += BREAKER_BACKOFF_MAX_MS;
      expect(breaker.admits(now)).toBe(true);
      breaker.admit(now).succeeded(now);
      expect(breaker.state(now)).toBe('closed');
    }
  });
});
