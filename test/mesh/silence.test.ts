import { describe, expect, it } from 'vitest';
import {
  LINK_DEAD_MS,
  LINK_IDLE_PING_MS,
  LINK_PAUSE_WINDOW_MS,
  LINK_PING_MS,
  LINK_SILENT_MAX_MS,
  LINK_SILENT_MIN_MS,
} from '../../src/config/limits.ts';
import { Silence } from '../../src/mesh/silence.ts';
import { seededRandom } from './seeded.ts';

/**
 * A link on a clock of its own: something is heard every ping, later by `jitter`, in order.
 * Asks as the link does, and notes when the verdict changed.
 */
class Watched {
  readonly silence: Silence;
  readonly verdicts: [atMs: number, verdict: string][] = [];
  nowMs = 0;
  #pingMs: number;
  readonly #jitterMs: () => number;
  #sentMs = 0;
  #arrivals: number[] = [];
  #checkMs: number;

  constructor(pingMs = LINK_PING_MS, jitterMs = () => 0) {
    this.#pingMs = pingMs;
    this.#jitterMs = jitterMs;
    this.silence = new Silence(0, pingMs);
    this.#checkMs = this.silence.planCheck(0);
  }

  pace(pingMs: number, roundTripMs = 0): void {
    this.#pingMs = pingMs;
    this.silence.pace(this.nowMs, pingMs, roundTripMs);
    this.#checkMs = this.nowMs + this.silence.planCheck(this.nowMs);
  }

  /** @param heard whether what the other side sends arrives */
  run(ms: number, heard = true): void {
    for (const untilMs = this.nowMs + ms; this.nowMs < untilMs; this.nowMs++) {
      if (this.nowMs >= this.#sentMs + this.#pingMs) {
        this.#sentMs = this.nowMs;
        const last = this.#arrivals.at(-1) ?? 0;
        if (heard) this.#arrivals.push(Math.max(last, this.nowMs + this.#jitterMs()));
      }
      while (this.#arrivals[0] !== undefined && this.#arrivals[0] <= this.nowMs) {
        this.#arrivals.shift();
        this.silence.heard(this.nowMs);
      }
      if (this.nowMs >= this.#checkMs) this.check();
    }
  }

  check(): void {
    const verdict = this.silence.check(this.nowMs);
    if (verdict !== (this.verdicts.at(-1)?.[1] ?? 'up')) this.verdicts.push([this.nowMs, verdict]);
    this.#checkMs = this.nowMs + this.silence.planCheck(this.nowMs);
  }
}

describe('a steady link', () => {
  it('is never silent', () => {
    const link = new Watched();
    link.run(60_000);
    expect(link.verdicts).toEqual([]);
  });

  it('is silent within half a second of its end, and dead after LINK_DEAD_MS', () => {
    for (let startMs = 20_000; startMs < 20_100; startMs += 7) {
      const link = new Watched();
      link.run(startMs);
      link.run(10_000, false);
      expect(link.verdicts.map(([, verdict]) => verdict)).toEqual(['silent', 'dead']);
      const [silentMs, deadMs] = link.verdicts.map(([atMs]) => atMs - startMs) as [number, number];
      expect(silentMs).toBeGreaterThanOrEqual(LINK_SILENT_MIN_MS - LINK_PING_MS);
      expect(silentMs).toBeLessThanOrEqual(500);
      expect(deadMs).toBeLessThanOrEqual(LINK_DEAD_MS + LINK_PING_MS);
    }
  });

  it('is up again when something is heard, and judged more mildly for a while', () => {
    const link = new Watched();
    link.run(20_000);
    link.run(900, false);
    link.run(300);
    expect(link.verdicts.map(([, verdict]) => verdict)).toEqual(['silent', 'up']);
    link.run(900, false);
    expect(link.verdicts).toHaveLength(2);
    link.run(3 * LINK_PAUSE_WINDOW_MS);
    link.run(900, false);
    expect(link.verdicts.map(([, verdict]) => verdict)).toEqual(['silent', 'up', 'silent']);
  });
});

describe('a jittery link', () => {
  it.each([150, 300])(
    'of up to %i ms is almost never called silent, and still in time when it is',
    (most) => {
      const random = seededRandom(most);
      const link = new Watched(LINK_PING_MS, () => (random() < 0.1 ? most * random() : 20 * random()));
      link.run(600_000);
      // Ten minutes: what its own past does not explain is rare.
      expect(link.verdicts.filter(([, verdict]) => verdict === 'silent').length).toBeLessThanOrEqual(2);
      const endMs = link.nowMs;
      const before = link.verdicts.length;
      link.run(10_000, false);
      const [silentMs] = link.verdicts[before]!;
      expect(silentMs - endMs).toBeLessThanOrEqual(LINK_SILENT_MAX_MS + most);
    },
  );
});

describe('a link that nothing waits for', () => {
  it('is pinged slowly and judged slowly', () => {
    const link = new Watched(LINK_IDLE_PING_MS);
    link.run(60_000);
    expect(link.verdicts).toEqual([]);
    const endMs = link.nowMs;
    link.run(10_000, false);
    const [[silentMs], [deadMs]] = link.verdicts as [[number, string], [number, string]];
    expect(silentMs - endMs).toBeGreaterThan(LINK_IDLE_PING_MS);
    expect(silentMs - endMs).toBeLessThanOrEqual(3 * LINK_IDLE_PING_MS);
    expect(deadMs - endMs).toBeLessThanOrEqual(LINK_DEAD_MS + LINK_IDLE_PING_MS);
  });

  it('has a round trip’s time to answer at its new pace: a far one is not silent for being far', () => {
    const tripMs = 280;
    const link = new Watched(LINK_IDLE_PING_MS, () => tripMs);
    link.run(9_000 + tripMs + LINK_IDLE_PING_MS / 2);
    link.pace(LINK_PING_MS, tripMs);
    link.run(5_000);
    expect(link.verdicts).toEqual([]);
    // And is noticed as soon as any when it is gone.
    link.run(LINK_SILENT_MIN_MS + tripMs + 2 * LINK_PING_MS, false);
    expect(link.verdicts.map(([, verdict]) => verdict)).toEqual(['silent']);
  });

  it('is judged by its new pace once a sequence needs it: slow pings before are no jitter', () => {
    const link = new Watched(LINK_IDLE_PING_MS);
    link.run(60_500);
    link.pace(LINK_PING_MS);
    link.run(2_000);
    expect(link.verdicts).toEqual([]);
    const endMs = link.nowMs;
    link.run(1_000, false);
    expect(link.verdicts.map(([atMs]) => atMs - endMs <= 500)).toEqual([true]);
  });
});

it('what was held up on this side is not held against the other', () => {
  const link = new Watched();
  link.run(20_000);
  // The thread stood still for 8 s; what came meanwhile waits to be read.
  link.nowMs += 8_000;
  link.check();
  expect(link.verdicts).toEqual([]);
  link.run(2_000);
  expect(link.verdicts).toEqual([]);
  link.run(LINK_SILENT_MAX_MS + 100, false);
  expect(link.verdicts.map(([, verdict]) => verdict)).toEqual(['silent']);
});
