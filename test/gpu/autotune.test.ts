import { expect, it } from 'vitest';
import { choosePair, probeTuning } from '../../src/gpu/autotune.ts';
import { openDevice, testShaders } from '../support/gpu.ts';

const bits = (...values: number[]) => Uint32Array.from(values);

it('measures this adapter, finds all variants in agreement, and frees what it used', async () => {
  const device = await openDevice();
  const result = await probeTuning(device, await testShaders());
  expect(result.gemvMacsPerSecond).toBeGreaterThan(1e5);
  expect(Object.keys(result.measuredMs).length).toBeGreaterThanOrEqual(5);
  expect(device.liveBuffers).toBe(0);
  device.destroy();
});

it('is aborted by its signal', async () => {
  const device = await openDevice();
  const probe = probeTuning(device, await testShaders(), { signal: AbortSignal.abort() });
  await expect(probe).rejects.toMatchObject({ code: 'ABORTED' });
  expect(device.liveBuffers).toBe(0);
  device.destroy();
});

it('takes the fastest pair', () => {
  const pair = choosePair({
    matmul_thread: { ms: 9, bits: bits(1, 2) },
    matmul_workgroup: { ms: 1, bits: bits(1, 2) },
    matmul_thread_rows: { ms: 2, bits: bits(1, 2) },
    matmul_workgroup_rows: { ms: 8, bits: bits(1, 2) },
  });
  expect(pair).toEqual(['workgroup', 'thread_rows']);
});

it('never mixes kernels whose bits differ', () => {
  const pair = choosePair({
    matmul_thread: { ms: 9, bits: bits(1, 2) },
    matmul_workgroup: { ms: 1, bits: bits(1, 3) },
    matmul_thread_rows: { ms: 2, bits: bits(1, 2) },
    matmul_workgroup_rows: { ms: 80, bits: bits(1, 3) },
  });
  expect(pair).toEqual(['thread', 'thread_rows']);
});
