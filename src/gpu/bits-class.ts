import { BLOCK } from '../model/weight-layout.ts';
import { MAP_MODE_READ, USAGE } from './buffer-usage.ts';
import type { GpuDevice } from './device.ts';
import { f16Bits } from './half.ts';
import { compilerFor, type Kernel } from './kernels.ts';
import { Matrix } from './matrix.ts';
import { drawAt } from './random.ts';
import type { ShaderSource } from './shaders.ts';

/** See bits_class.wgsl. */
const ROWS = 64;
const K = 32;
const VALUES = 8 * (ROWS - 1) + K;
const RESULTS = 11;
const CLASS_HEX_DIGITS = 32;

/**
 * The class of an adapter: a digest of the bits that it computes. Adapters of one class compute the same tokens; those of
 * different classes may not. An answer goes on with the same words where its replica is of the same class.
 *
 * @param measured bits of the kernels that this adapter will run, from the probe
 * @returns 32 hexadecimal digits, the same in every run on one adapter and driver
 * @throws SHADER_INVALID, DEVICE_LOST
 */
export async function bitsClass(
  device: GpuDevice,
  shaders: ShaderSource,
  measured: readonly Uint32Array[],
): Promise<string> {
  const parts = [...measured, await computedBits(device, shaders)];
  const words = new Uint32Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    words.set(part, at);
    at += part.length;
  }
  // WebGPU is only there in secure contexts, and so is this.
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', words));
  const hex = Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
  return hex.slice(0, CLASS_HEX_DIGITS);
}

/** Compiled once a device: the probe begins with it while it waits for its own kernels. @throws SHADER_INVALID */
export function classKernel(device: GpuDevice, shaders: ShaderSource): Promise<Kernel> {
  return compilerFor(device, shaders).kernel({
    file: 'bits_class.wgsl',
    constants: { BLOCKS: Math.ceil(K / BLOCK) },
    bindings: ['read', 'read', 'read', 'write'],
  });
}

/** What bits_class.wgsl gives for fixed values. */
async function computedBits(device: GpuDevice, shaders: ShaderSource): Promise<Uint32Array> {
  const { STORAGE, COPY_DST, COPY_SRC, MAP_READ } = USAGE;
  const compiler = compilerFor(device, shaders);
  const bytes = ROWS * RESULTS * 4;
  const matrix = new Matrix(device, { name: 'class weights', outputs: ROWS, k: K, paired: false }, 'q8');
  const x = device.create('class x', VALUES * 4, STORAGE | COPY_DST);
  const y = device.create('class y', bytes, STORAGE | COPY_SRC);
  const readback = device.create('class readback', bytes, MAP_READ | COPY_DST);
  const uniform = compiler.stepUniform(1);
  try {
    const weights = Uint16Array.from({ length: ROWS * K }, (_, i) => f16Bits(drawAt(3, i) - 0.5));
    const tensor = { name: 'class', shape: [ROWS, K], bytes: new Uint8Array(weights.buffer) };
    matrix.upload({ ...tensor, dtype: 'F16' }, 0);
    device.raw.queue.writeBuffer(
      x,
      0,
      Float32Array.from({ length: VALUES }, (_, i) => 2 * drawAt(4, i) - 1),
    );
    const kernel = await classKernel(device, shaders);
    const { weights: packed, scales } = matrix.tiles[0]!;
    const encoder = device.raw.createCommandEncoder();
    const pass = encoder.beginComputePass();
    pass.setPipeline(kernel.pipeline);
    pass.setBindGroup(0, uniform.group, [0]);
    pass.setBindGroup(1, compiler.bind(kernel, [packed, scales, x, y]));
    pass.dispatchWorkgroups(1);
    pass.end();
    encoder.copyBufferToBuffer(y, 0, readback, 0, bytes);
    device.raw.queue.submit([encoder.finish()]);
    await readback.mapAsync(MAP_MODE_READ);
    return new Uint32Array(readback.getMappedRange(0, bytes).slice(0));
  } finally {
    matrix.destroy();
    for (const buffer of [x, y, readback, uniform.buffer]) device.free(buffer);
  }
}
