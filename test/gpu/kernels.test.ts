import { afterAll, beforeAll, expect, it } from 'vitest';
import type { GpuDevice } from '../../src/gpu/device.ts';
import { openDevice, testShaders } from '../support/gpu.ts';
import { KernelBench } from './kernel-bench.ts';
import { PARITY_CASES } from './parity-cases.ts';

let device: GpuDevice;
beforeAll(async () => {
  device = await openDevice();
});
afterAll(() => {
  expect(device.liveBuffers).toBe(0);
  device.destroy();
});

it.each(PARITY_CASES)('$name within $tolerance', async ({ run, tolerance }) => {
  const bench = new KernelBench(device, await testShaders());
  try {
    expect(await run(bench)).toBeLessThanOrEqual(tolerance);
  } finally {
    bench.destroy();
  }
});
