import { describe, expect, it } from 'vitest';
import type { SpareReason } from '../../src/mesh/protocol/status.ts';
import { spareText } from '../../src/page/spare-text.ts';

const DETAIL = 'minnow is not served: the rest loads';

describe('a tab that joined and holds nothing is told', () => {
  it.each([
    [{ why: 'placing' }, 'waiting', /hands out the layers/],
    [{ why: 'expecting', joined: 2, expected: 3 }, 'waiting', /2 of 3 expected workers/],
    [{ why: 'missing', missingBytes: 12_340_000 }, 'waiting', /12 MB are missing.*another device/],
    [{ why: 'missing', missingBytes: null }, 'waiting', /the rest loads/],
    [{ why: 'later' }, 'waiting', /When they are through/],
    [{ why: 'answers-first' }, 'waiting', /answers that run have ended/],
    [{ why: 'full', stages: 8 }, 'spare', /complete: it has 8 stages.*when one of its workers leaves/],
    [{ why: 'full', stages: 1 }, 'spare', /1 stage,/],
    [{ why: 'no-gain' }, 'spare', /complete.*when one of its workers leaves/],
    [{ why: 'slow' }, 'spare', /slower.*without you/],
    [{ why: 'small-memory', neededBytes: 612e6, lentBytes: 5e8 }, 'spare', /500 MB.*612 MB.*lend more/],
    [{ why: 'small-buffers', neededBytes: 256e6, lentBytes: 128e6 }, 'spare', /128 MB.*256 MB/],
    [{ why: 'left-out', seconds: 8 }, 'spare', /again in 8 s/],
  ] as [SpareReason, string, RegExp][])('%j', (spare, label, words) => {
    const text = spareText(spare, DETAIL);
    expect(text.label).toBe(label);
    expect(`${text.why} ${text.until}`).toMatch(words);
    for (const sentence of [text.why, text.until]) expect(sentence).toMatch(/^[A-Z0-9m].*\.$/);
  });
});
