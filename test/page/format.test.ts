import { describe, expect, it } from 'vitest';
import { formatBytes, formatRate } from '../../src/page/format.ts';

describe('formatBytes', () => {
  it.each([
    [0, '0 B'],
    [999, '999 B'],
    [1_000, '1.0 kB'],
    [12_067_328, '12 MB'],
    [999_960, '1.0 MB'],
    [1_234_567_890, '1.2 GB'],
    [5e15, '5000 TB'],
  ])('%i → %s', (bytes, text) => expect(formatBytes(bytes)).toBe(text));
});

describe('formatRate', () => {
  it.each([
    [37.2e6, '37 MMAC/s'],
    [1.25e9, '1.3 GMAC/s'],
    [3e12, '3.0 TMAC/s'],
  ])('%d → %s', (rate, text) => expect(formatRate(rate)).toBe(text));
});
