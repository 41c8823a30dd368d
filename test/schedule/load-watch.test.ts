import { describe, expect, it } from 'vitest';
import {
  GIB,
  LEAST_LOAD_BYTES_PER_SECOND,
  LOAD_LAG_MS,
  LOAD_SETUP_MS,
  LOAD_STALL_MS,
  MIB,
} from '../../src/config/limits.ts';
import { LoadWatch, loadDeadlineMs } from '../../src/schedule/load-watch.ts';

describe('a load', () => {
  it('that gives one more byte every 20 s lags at once and fails by the stall’s time', () => {
    const watch = new LoadWatch(GIB, 0);
    for (let ms = 20_000; ms < LOAD_STALL_MS; ms += 20_000) {
      watch.progress(ms / 20_000, false, ms);
      expect(watch.state(ms)).toBe('lagging');
    }
    expect(watch.state(LOAD_STALL_MS)).toBe('failed');
  });

  it('that moves is waited for until its deadline, which follows from its bytes', () => {
    const watch = new LoadWatch(100 * MIB, 0);
    const deadline = loadDeadlineMs(100 * MIB);
    expect(deadline).toBe(LOAD_SETUP_MS + 400_000);
    // A little faster than the least rate, and says that it has far more to load than it has.
    for (let ms = 1_000; ms < deadline; ms += 1_000) {
      watch.progress(ms * (LEAST_LOAD_BYTES_PER_SECOND / 900), false, ms);
      expect(watch.state(ms)).toBe('loading');
    }
    expect(watch.state(deadline)).toBe('failed');
    expect([deadline - 1, deadline].map((ms) => watch.isOverdue(ms))).toEqual([false, true]);
  });

  it('begins at 0 again with another phase', () => {
    const watch = new LoadWatch(GIB, 0);
    watch.progress(100 * MIB, false, 1_000);
    watch.progress(0, true, LOAD_LAG_MS);
    expect(watch.state(LOAD_LAG_MS + 1_000)).toBe('loading');
    watch.progress(0, false, LOAD_LAG_MS + 1_000);
    expect(watch.state(2 * LOAD_LAG_MS)).toBe('lagging');
  });

  it('tells when to look again', () => {
    const watch = new LoadWatch(GIB, 0);
    expect(watch.nextChangeMs(0)).toBe(LOAD_LAG_MS);
    expect(watch.nextChangeMs(LOAD_LAG_MS)).toBe(LOAD_STALL_MS);
    expect(watch.failsAtMs).toBe(LOAD_STALL_MS);
  });
});
