import { describe, expect, it } from 'vitest';
import { areFinite } from '../../src/worker/finite-rows.ts';

const f32 = (...values: number[]) => new Uint8Array(Float32Array.from(values).buffer);
const f16 = (...bits: number[]) => new Uint8Array(Uint16Array.from(bits).buffer);

describe('rows that come in', () => {
  it.each([
    ['numbers, the largest and the smallest', f32(0, -1.5, 3.4e38, -3.4e38, 1e-45), true],
    ['Inf', f32(1, Number.POSITIVE_INFINITY), false],
    ['−Inf', f32(Number.NEGATIVE_INFINITY, 1), false],
    ['NaN', f32(1, 2, Number.NaN), false],
  ])('are %s in f32', (_what, rows, expected) => {
    expect(areFinite(rows, 'f32')).toBe(expected);
  });

  it.each([
    ['numbers, the largest and the smallest', f16(0, 0x7bff, 0xfbff, 1, 0x8001), true],
    ['Inf', f16(0x3c00, 0x7c00), false],
    ['−Inf', f16(0xfc00), false],
    ['NaN', f16(0x3c00, 0x7e01), false],
  ])('are %s in f16', (_what, rows, expected) => {
    expect(areFinite(rows, 'f16')).toBe(expected);
  });

  it('are looked at wherever they stand in a frame', () => {
    const frame = new Uint8Array(9);
    frame.set(f32(1, Number.NaN), 1);
    expect(areFinite(frame.subarray(1), 'f32')).toBe(false);
  });
});
