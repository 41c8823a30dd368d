import { describe, expect, it } from 'vitest';
import { COALESCE_GAP_BYTES, MAX_COALESCE_WASTE } from '../../../src/config/limits.ts';
import { planRuns } from '../../../src/model/fetch/range-plan.ts';

const tensor = (start: number, end: number, file = 'a') => ({
  name: `${file}${start}`,
  entry: { file, start, end, dtype: 'F16' as const, shape: [(end - start) / 2], sha256: '0'.repeat(64) },
});
const ranges = (...tensors: ReturnType<typeof tensor>[]) =>
  planRuns(tensors).map(({ file, start, end, tensors: inRun }) => [file, start, end, inRun.length]);

const LARGE = 10_000_000;

describe('runs', () => {
  it('join what lies together, in any order, and never across files', () => {
    expect(ranges(tensor(20, 40), tensor(0, 20), tensor(40, 50, 'b'))).toEqual([
      ['a', 0, 40, 2],
      ['b', 40, 50, 1],
    ]);
  });

  it('bridge a gap that is short', () => {
    const gap = COALESCE_GAP_BYTES;
    expect(ranges(tensor(0, LARGE), tensor(LARGE + gap, LARGE + gap + 2))).toEqual([
      ['a', 0, LARGE + gap + 2, 2],
    ]);
    expect(ranges(tensor(0, LARGE), tensor(LARGE + gap + 1, LARGE + gap + 3))).toHaveLength(2);
  });

  it('never fetch more in vain than the share allowed, however many gaps there are', () => {
    // 100-byte tensors with 100-byte gaps: bridging all would double the bytes.
    const tensors = Array.from({ length: 500 }, (_, i) => tensor(i * 200, i * 200 + 100));
    const fetched = planRuns(tensors).reduce((sum, { start, end }) => sum + end - start, 0);
    expect(fetched).toBeGreaterThan(500 * 100);
    expect(fetched).toBeLessThanOrEqual(500 * 100 * (1 + MAX_COALESCE_WASTE));
    expect(planRuns(tensors).flatMap((run) => run.tensors)).toHaveLength(500);
  });

  it('read the same bytes twice for two names of them', () => {
    expect(ranges(tensor(0, 20), tensor(10, 30))).toEqual([
      ['a', 0, 20, 1],
      ['a', 10, 30, 1],
    ]);
  });
});
