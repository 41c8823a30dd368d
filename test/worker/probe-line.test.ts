import { expect, it } from 'vitest';
import { FALLBACK_TUNING, HARDWARE_TUNING } from '../../src/gpu/tuning.ts';
import { parseProbeLine, probeLine } from '../../src/worker/probe-line.ts';

it('tells which kernels were chosen, and by what numbers', () => {
  const line = probeLine({
    tuning: FALLBACK_TUNING,
    gemvMacsPerSecond: 120_400_000,
    measuredMs: { matmul_thread: 8.7123, rmsnorm_thread: 0.04567 },
    bitsClass: '0123456789abcdef0123456789abcdef',
  });
  expect(parseProbeLine(line)).toBe(
    'kernels: thread (few rows), thread_rows (many), thread (norms, attention), f16 weights as f32; 120 MMAC/s; class 01234567; matmul_thread 8.7 ms, rmsnorm_thread 0.046 ms',
  );
  const hardware = probeLine({
    tuning: HARDWARE_TUNING,
    gemvMacsPerSecond: 5e10,
    measuredMs: {},
    bitsClass: 'f',
  });
  expect(hardware).not.toContain('as f32');
});

it('passes over other lines of the console', () => {
  expect(parseProbeLine('shoal-state {}')).toBeNull();
});
