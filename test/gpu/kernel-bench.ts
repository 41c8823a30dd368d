import { MAP_MODE_READ, USAGE } from '../../src/gpu/buffer-usage.ts';
import type { GpuDevice } from '../../src/gpu/device.ts';
import type { Dispatch, DispatchContext } from '../../src/gpu/dispatch.ts';
import { compilerFor, type KernelCompiler } from '../../src/gpu/kernels.ts';
import type { ShaderSource } from '../../src/gpu/shaders.ts';
import { FALLBACK_TUNING, type Tuning } from '../../src/gpu/tuning.ts';
import { STEP_SLOT_BYTES } from '../../src/model/gpu-bytes.ts';

export interface StepValues {
  readonly rows: number;
  readonly base?: number;
  readonly roundF16?: boolean;
  readonly blocks?: number;
}

/** Buffers for one kernel under test. Runs in Node and in a Web Worker: no test library here. */
export class KernelBench {
  readonly device: GpuDevice;
  readonly compiler: KernelCompiler;
  readonly shared: { readonly status: GPUBuffer; readonly empty: GPUBuffer };
  readonly #owned: GPUBuffer[] = [];

  constructor(device: GpuDevice, shaders: ShaderSource) {
    this.device = device;
    this.compiler = compilerFor(device, shaders);
    this.shared = { status: this.zeros(4), empty: this.zeros(4) };
  }

  context(tuning: Partial<Tuning> = {}): DispatchContext {
    const { device, compiler, shared } = this;
    return { device, compiler, shared, tuning: { ...FALLBACK_TUNING, ...tuning } };
  }

  zeros(count: number): GPUBuffer {
    const buffer = this.device.create('bench', count * 4, USAGE.STORAGE | USAGE.COPY_SRC | USAGE.COPY_DST);
    this.#owned.push(buffer);
    return buffer;
  }

  f32(values: ArrayLike<number>): GPUBuffer {
    const buffer = this.zeros(values.length);
    this.device.raw.queue.writeBuffer(buffer, 0, Float32Array.from(values));
    return buffer;
  }

  u32(values: ArrayLike<number>): GPUBuffer {
    const buffer = this.zeros(values.length);
    this.device.raw.queue.writeBuffer(buffer, 0, Uint32Array.from(values));
    return buffer;
  }

  async run(dispatches: readonly Dispatch[], step: StepValues, result: GPUBuffer): Promise<ArrayBuffer> {
    const uniform = this.compiler.stepUniform(1);
    const { rows, base = 0, roundF16 = false, blocks = 0 } = step;
    const words = new Uint32Array(STEP_SLOT_BYTES / 4);
    words.set([rows, base, roundF16 ? 1 : 0, blocks]);
    const { raw } = this.device;
    raw.queue.writeBuffer(uniform.buffer, 0, words);
    const encoder = raw.createCommandEncoder();
    const pass = encoder.beginComputePass();
    pass.setBindGroup(0, uniform.group, [0]);
    for (const dispatch of dispatches) dispatch(pass, { rows, blocks });
    pass.end();
    const readback = this.device.create('bench readback', result.size, USAGE.MAP_READ | USAGE.COPY_DST);
    encoder.copyBufferToBuffer(result, 0, readback, 0, result.size);
    raw.queue.submit([encoder.finish()]);
    await readback.mapAsync(MAP_MODE_READ);
    const data = readback.getMappedRange().slice(0);
    this.device.free(readback);
    this.device.free(uniform.buffer);
    this.device.check();
    return data;
  }

  destroy(): void {
    for (const buffer of this.#owned) this.device.free(buffer);
  }
}

/** Rows of `width` laid out with `stride`, zeros between. */
export function padRows(
  values: ArrayLike<number>,
  rows: number,
  width: number,
  stride: number,
): Float32Array {
  const out = new Float32Array(rows * stride);
  for (let row = 0; row < rows; row++) {
    for (let i = 0; i < width; i++) out[row * stride + i] = values[row * width + i]!;
  }
  return out;
}

/** The largest difference, relative to the largest expected value; Inf where a value is not finite. */
export function worstError(
  actual: Float32Array,
  expected: ArrayLike<number>,
  rows: number,
  width: number,
  stride = width,
): number {
  let worst = 0;
  let highest = 1e-30;
  for (let i = 0; i < rows * width; i++) highest = Math.max(highest, Math.abs(expected[i]!));
  for (let row = 0; row < rows; row++) {
    for (let i = 0; i < stride; i++) {
      const value = actual[row * stride + i]!;
      const difference = Math.abs(value - (i < width ? expected[row * width + i]! : 0));
      if (!Number.isFinite(value)) return Number.POSITIVE_INFINITY;
      worst = Math.max(worst, difference);
    }
  }
  return worst / highest;
}
