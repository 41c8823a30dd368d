import { describe, expect, it } from 'vitest';
import { lossText, movedText, recoveryText } from '../../src/mesh/protocol/loss-text.ts';
import { nameList } from '../../src/mesh/protocol/name-list.ts';
import type { Loss, Status } from '../../src/mesh/protocol/status.ts';

const left = (worker: string): Loss => ({ worker, how: 'left' });

describe('what people read of lost workers', () => {
  it.each([
    [[left('tab-1')], 'tab-1 left'],
    [[left('tab-1'), left('tab-2')], 'tab-1 and tab-2 left'],
    [[left('tab-1'), { worker: 'tab-3', how: 'failed' }], 'tab-1 left, tab-3 failed'],
    [[left('tab-1'), left('tab-1')], 'tab-1 left'],
    [[{ worker: null, how: 'failed' }], 'a worker failed'],
    [[{ worker: null, how: 'stalled' }], 'no token came in time'],
    [[{ worker: null, how: 'precision' }], 'its numbers needed 32 bits'],
  ] as [Loss[], string][])('%j', (losses, text) => {
    expect(lossText(losses)).toBe(text);
    expect(movedText(losses.length, losses)).toBe(`moved ${losses.length}×: ${text}`);
  });

  it('an answer that stayed says nothing; one of an older server has no names', () => {
    expect(movedText(0, [])).toBe('');
    expect(movedText(2, [])).toBe('moved 2×');
    expect(movedText(1, [left('tab-1')], 1)).toBe(
      'moved 1×: tab-1 left; went on with another kind of GPU, so its words may differ',
    );
  });

  const recovery = (
    step: NonNullable<Status['recovery']>['step'],
    others: string[],
    bytes: [number, number] | null = null,
  ) =>
    recoveryText({
      recovery: { id: 1, lost: [left('tab-1')], step, with: others },
      loading: bytes && { stages: [], ready: 0, bytesDone: bytes[0], bytesTotal: bytes[1] },
    });

  it('names who left, with whom it goes on, and what is done', () => {
    const others = ['tab-2', 'tab-3'];
    const start = 'tab-1 left, goes on with tab-2 and tab-3: ';
    expect(recovery('placing', others)).toBe(`${start}handing out the layers anew`);
    expect(recovery('loading', others, [3.1e6, 9.8e6])).toBe(`${start}loading 3.1 of 9.8 MB`);
    expect(recovery('resuming', others)).toBe(`${start}picking up where it was`);
    expect(recovery('waiting', ['tab-2'])).toContain('tab-2 cannot hold the model alone');
    expect(recovery('waiting', [])).toContain('nobody is left');
    expect(recoveryText({ recovery: null, loading: null })).toBeNull();
  });

  it('never says 0.0 of 0.0 MB', () => {
    expect(recovery('loading', ['tab-2'], [0, 0])).toBe('tab-1 left, goes on with tab-2: loading');
    expect(recovery('loading', ['tab-2'])).not.toContain('MB');
  });

  it('cuts long lists of names', () => {
    expect(nameList([])).toBe('');
    expect(nameList(['a'])).toBe('a');
    expect(nameList(['a', 'b', 'c', 'd'])).toBe('a, b, c and d');
    expect(nameList(['a', 'b', 'c', 'd', 'e'])).toBe('a, b, c and 2 more');
  });
});
