import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { probeTuning } from '../../src/gpu/autotune.ts';
import { bitsClass } from '../../src/gpu/bits-class.ts';
import type { GpuDevice } from '../../src/gpu/device.ts';
import type { ShaderSource } from '../../src/gpu/shaders.ts';
import { openDevice, testShaders } from '../support/gpu.ts';

/** Adapters that compute the same bits have one class, others another: docs/KERNELS.md, "Classes of adapters". */

let device: GpuDevice;
let shaders: ShaderSource;
beforeAll(async () => {
  device = await openDevice();
  shaders = await testShaders();
});
afterAll(() => device.destroy());

/** The shaders with one place of one file changed. */
function changed(file: string, from: string, to: string): ShaderSource {
  const text = shaders.get(file)!;
  expect(text.split(from)).toHaveLength(2);
  return new Map([...shaders, [file, text.replace(from, to)]]);
}

it('two devices of one adapter have one class, in every run', async () => {
  const other = await openDevice();
  const { bitsClass: first } = await probeTuning(device, shaders);
  expect(first).toMatch(/^[0-9a-f]{32}$/);
  expect((await probeTuning(other, shaders)).bitsClass).toBe(first);
  expect((await probeTuning(device, shaders)).bitsClass).toBe(first);
  expect(device.liveBuffers).toBe(0);
  other.destroy();
});

describe('another class is what computes other bits:', () => {
  it.each([
    ['exp in attention', 'bits_class.wgsl', 'exp(v * SCALE - highest)', 'exp(v * SCALE - highest + 1e-6)'],
    ['exp in silu', 'bits_class.wgsl', 'exp(-a)', '(exp(-a) * 1.0000002)'],
    ['a root', 'bits_class.wgsl', '1e-5', '1.1e-5'],
    ['a division', 'bits_class.wgsl', 'o / sum', 'o * (1.0 / sum)'],
    ['the order of a few', 'bits_class.wgsl', 'dot * scale + b + c', 'dot * scale + (b + c)'],
    [
      'the order of a sum',
      'bits_class.wgsl',
      'let v = x[at + k];\n    dot = fma(weight4(i, 0u, k / 4u, scale)[k % 4u], v, dot);',
      'let v = x[at + 31u - k];\n    dot = fma(weight4(i, 0u, (31u - k) / 4u, scale)[3u - k % 4u], v, dot);',
    ],
    ['rounding to f16', 'half.wgsl', '0xfffu', '0x1000u'],
    ['rounding of subnormals', 'half.wgsl', 'u32(round(', 'u32(floor(0.5 + '],
    ['subnormals of f16', 'half.wgsl', 'f32(m) * 5.9604644775390625e-8', 'f32(m) * 0.0'],
    ['q8 scales', 'weights_q8.wgsl', '* scale;', '* (scale * 1.0001);'],
  ])('%s', async (_, file, from, to) => {
    const own = await bitsClass(device, shaders, []);
    expect(await bitsClass(device, changed(file, from, to), [])).not.toBe(own);
    expect(device.liveBuffers).toBe(0);
  });

  it('the products and the norms that the probe runs', async () => {
    const { bitsClass: own, tuning } = await probeTuning(device, shaders);
    for (const [file, from, to] of [
      ['epilogue_store.wgsl', 'var v = dot;', 'var v = dot * 1.0000002;'],
      [`rmsnorm_${tuning.reduction}.wgsl`, '/ HIDDEN + EPS);', '/ HIDDEN + 2.0 * EPS);'],
    ] as const) {
      expect((await probeTuning(device, changed(file, from, to))).bitsClass, file).not.toBe(own);
    }
  });

  it('any bit of the kernels that the probe measured', async () => {
    const measured = [Uint32Array.of(1, 2), Uint32Array.of(3)];
    const own = await bitsClass(device, shaders, measured);
    expect(await bitsClass(device, shaders, [Uint32Array.of(1, 2), Uint32Array.of(2)])).not.toBe(own);
    expect(await bitsClass(device, shaders, measured)).toBe(own);
  });
});
