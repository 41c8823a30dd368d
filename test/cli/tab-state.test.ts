import { expect, it } from 'vitest';
import { parseStateLine } from '../../src/cli/browser/tab-state.ts';
import { IDLE } from '../../src/page/contributor-state.ts';

it('reads what the page reports', () => {
  const failed = { ...IDLE, phase: 'failed', error: { code: 'NO_ADAPTER', message: 'no adapter' } };
  expect(parseStateLine(`shoal-state ${JSON.stringify(failed)}`)).toMatchObject({
    phase: 'failed',
    error: { code: 'NO_ADAPTER', message: 'no adapter' },
  });
});

it.each(['hello', 'shoal-state', 'shoal-state {', 'shoal-state {"phase":1,"detail":""}'])(
  'passes over %j',
  (line) => {
    expect(parseStateLine(line)).toBeNull();
  },
);
