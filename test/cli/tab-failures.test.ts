import { expect, it } from 'vitest';
import { TabFailures } from '../../src/cli/browser/tab-failures.ts';
import { lostState, type TabState } from '../../src/cli/browser/tab-state.ts';
import type { ErrorCode } from '../../src/config/errors.ts';

const failed = (code: ErrorCode): TabState => ({
  phase: 'failed',
  detail: 'x',
  error: { code, message: `because of ${code}` },
});
const detecting: TabState = { phase: 'detecting', detail: 'Looking for a GPU.' };
const serving: TabState = { phase: 'serving', detail: 'Serving layers 0–7.' };

it('gives up once every tab has failed, though they were started again in between', () => {
  const failures = new TabFailures();
  for (const tab of ['tab-1', 'tab-2', 'tab-3']) {
    expect(failures.reason(3)).toBeNull();
    failures.note(tab, failed('NO_ADAPTER'));
    failures.note(tab, lostState(failed('NO_ADAPTER'), 'the worker failed', 1_000));
    failures.note(tab, detecting);
  }
  expect(failures.reason(3)).toMatchObject({ code: 'NO_ADAPTER', message: 'because of NO_ADAPTER' });
});

it('waits for tabs whose trouble may pass', () => {
  const failures = new TabFailures();
  failures.note('tab-1', failed('NO_ADAPTER'));
  failures.note('tab-2', failed('DEVICE_LOST'));
  failures.note('tab-2', failed('LINK_FAILED'));
  expect(failures.reason(2)).toBeNull();
});

it('forgets the failure of a tab that serves', () => {
  const failures = new TabFailures();
  failures.note('tab-1', { ...failed('OUT_OF_MEMORY'), phase: 'waiting' });
  failures.note('tab-1', serving);
  expect(failures.reason(1)).toBeNull();
});

it('says that the model does not fit, and what to change', () => {
  const failures = new TabFailures();
  failures.note('tab-1', { ...failed('SHARD_TOO_LARGE'), phase: 'waiting' });
  failures.note('tab-2', { ...failed('OUT_OF_MEMORY'), phase: 'waiting' });
  const reason = failures.reason(2);
  expect(reason?.code).toBe('SHARD_TOO_LARGE');
  expect(reason?.message).toMatch(
    /^the model does not fit into 2 tabs: because of SHARD_TOO_LARGE.*--memory/,
  );
});

it('keeps the reason with a tab that waits for its restart', () => {
  expect(lostState(failed('NO_WEBGPU'), 'the worker failed', 1_500)).toEqual({
    phase: 'lost',
    detail: 'the worker failed; starting again in 1.5 s',
    error: { code: 'NO_WEBGPU', message: 'because of NO_WEBGPU' },
  });
  expect(lostState(serving, 'the tab crashed', 1_000).error).toBeUndefined();
  expect(lostState(undefined, 'the tab crashed', 1_000).error).toBeUndefined();
});
