import { ShoalError } from '../config/errors.ts';
import { STEP_SLOT_BYTES } from '../model/gpu-bytes.ts';
import { BLOCK } from '../model/weight-layout.ts';
import { bitsClass, classKernel } from './bits-class.ts';
import { MAP_MODE_READ, USAGE } from './buffer-usage.ts';
import { type GpuDevice, throwIfAborted } from './device.ts';
import { type Dispatch, linearDispatch, matmul } from './dispatch.ts';
import { f16Bits } from './half.ts';
import { compilerFor } from './kernels.ts';
import { lanesOf } from './lanes.ts';
import { Matrix } from './matrix.ts';
import { drawAt } from './random.ts';
import type { ShaderSource } from './shaders.ts';
import { steadyTime } from './steady-time.ts';
import { FALLBACK_TUNING, HARDWARE_TUNING, type Tuning } from './tuning.ts';

export interface ProbeOptions {
  readonly now?: () => number;
  readonly signal?: AbortSignal;
}

export interface ProbeResult {
  readonly tuning: Tuning;
  /** Multiply-accumulates per second of the chosen GEMV on f16 weights, as this adapter stores them: what placement reads. */
  readonly gemvMacsPerSecond: number;
  /** Milliseconds of one dispatch for each kernel that was measured, for the log. */
  readonly measuredMs: Readonly<Record<string, number>>;
  /** Adapters with the same compute the same tokens: see `bitsClass`. */
  readonly bitsClass: string;
}

/** A matrix large enough to outweigh a dispatch on a GPU, small enough for 50 ms on a software adapter. */
const OUTPUTS = 1_024;
const K = 1_024;
const MANY = 8;
const NORM_ROWS = 16;
/** A measurement is repeated within one submit until it takes about this long, unless one dispatch does already. */
const MEASURE_MS = 8;
const MAX_REPEATS = 64;
/** Where the machine is busy, the kernel whose speed placement reads is tried for as long as this at the end. */
const STEADY_MS = 150;
/** A workgroup kernel this much slower for one row is not tried for many: on a software adapter that takes seconds. */
const HOPELESS = 3;

/**
 * Measures which of the equivalent kernels are fastest on this adapter, and checks that they give the same bits: a driver
 * that contracts a multiplication and an addition in one kernel and not in the other would break invariant 2, so variants
 * that disagree are never mixed. Takes well under a second on hardware, about one on a software adapter; on a busy machine
 * STEADY_MS more.
 * @throws SHADER_INVALID, DEVICE_LOST, OUT_OF_MEMORY, ABORTED
 */
export async function probeTuning(
  device: GpuDevice,
  shaders: ShaderSource,
  options: ProbeOptions = {},
): Promise<ProbeResult> {
  const bench = new Bench(device, shaders, options.now ?? (() => performance.now()), options.signal);
  try {
    return await bench.run();
  } catch (thrown) {
    if (thrown instanceof ShoalError) throw thrown;
    throw await device.failureOr(thrown);
  } finally {
    bench.destroy();
  }
}

class Bench {
  readonly #device: GpuDevice;
  readonly #shaders: ShaderSource;
  readonly #now: () => number;
  readonly #signal: AbortSignal | undefined;
  readonly #owned: GPUBuffer[] = [];
  #matrix: Matrix | undefined;

  constructor(device: GpuDevice, shaders: ShaderSource, now: () => number, signal: AbortSignal | undefined) {
    this.#device = device;
    this.#shaders = shaders;
    this.#now = now;
    this.#signal = signal;
  }

  async run(): Promise<ProbeResult> {
    const device = this.#device;
    const compiler = compilerFor(device, this.#shaders);
    const base = device.adapter.isFallback ? FALLBACK_TUNING : HARDWARE_TUNING;
    const { STORAGE, COPY_DST, COPY_SRC } = USAGE;
    const x = this.#buffer('probe x', NORM_ROWS * K * 4, STORAGE | COPY_DST);
    const y = this.#buffer('probe y', Math.max(MANY * OUTPUTS, NORM_ROWS * K) * 4, STORAGE | COPY_SRC);
    const rowMap = this.#buffer('probe rows', NORM_ROWS * 4, STORAGE | COPY_DST);
    const weight = this.#buffer('probe weight', K * 4, STORAGE | COPY_DST);
    const shared = {
      status: this.#buffer('probe status', 16, STORAGE),
      empty: this.#buffer('probe empty', 16, STORAGE),
    };
    const values = Float32Array.from({ length: NORM_ROWS * K }, (_, i) => drawAt(1, i) - 0.5);
    device.raw.queue.writeBuffer(x, 0, values);
    device.raw.queue.writeBuffer(
      rowMap,
      0,
      Uint32Array.from({ length: NORM_ROWS }, (_, i) => i),
    );
    device.raw.queue.writeBuffer(
      weight,
      0,
      Float32Array.from({ length: K }, (_, i) => 0.5 + drawAt(5, i)),
    );
    const shape = { name: 'probe', outputs: OUTPUTS, k: K, paired: false };
    const matrix = new Matrix(device, shape, base.expandF16 ? 'f32' : 'f16');
    this.#matrix = matrix;
    // One row's worth of random weights, shifted from row to row: cheap to make, and no two rows are alike.
    const noise = Uint16Array.from({ length: K + OUTPUTS }, (_, i) => f16Bits(drawAt(2, i) - 0.5));
    const weights = new Uint16Array(OUTPUTS * K);
    for (let o = 0; o < OUTPUTS; o++) weights.set(noise.subarray(o, o + K), o * K);
    matrix.upload(
      { name: 'probe', dtype: 'F16', shape: [OUTPUTS, K], bytes: new Uint8Array(weights.buffer) },
      0,
    );

    const kernel = (few: Tuning['matmulFew'], many: Tuning['matmulMany']) =>
      matmul(
        { device, compiler, shared, tuning: { ...base, matmulFew: few, matmulMany: many } },
        matrix,
        { file: 'epilogue_store', yStride: OUTPUTS },
        x,
        y,
        undefined,
      );
    const norm = (file: string, groups: number) =>
      linearDispatch(
        { compiler },
        file,
        {},
        { BLOCKS: K / BLOCK, LANES: lanesOf(K), HIDDEN: K, EPS: 1e-5 },
        [
          ['read', x],
          ['read', rowMap],
          ['read', weight],
          ['write', y],
        ],
        () => groups,
      );
    const [thread, workgroup, normThread, normWorkgroup] = await Promise.all([
      kernel('thread', 'thread_rows'),
      kernel('workgroup', 'workgroup'),
      norm('rmsnorm_thread.wgsl', NORM_ROWS / 8),
      norm('rmsnorm_workgroup.wgsl', NORM_ROWS),
      classKernel(device, this.#shaders),
    ]);
    const uniform = compiler.stepUniform(1);
    this.#owned.push(uniform.buffer);

    const measure = (dispatch: Dispatch, rows: number, bytes: number) =>
      this.#measure(uniform, dispatch, rows, y, bytes);
    const row = OUTPUTS * 4;
    const few = { thread: await measure(thread, 1, row), workgroup: await measure(workgroup, 1, row) };
    const favourite = few.workgroup.ms < few.thread.ms ? few.workgroup : few.thread;
    /** Attempts of the favourite, spread over the probe. */
    const spread = [favourite.ms];
    const measureAlso = async (dispatch: Dispatch, rows: number, bytes: number) => {
      const result = await measure(dispatch, rows, bytes);
      spread.push(await favourite.again());
      return result;
    };
    const hopeless = few.workgroup.ms > HOPELESS * few.thread.ms;
    const results = {
      matmul_thread: few.thread,
      matmul_workgroup: few.workgroup,
      matmul_thread_rows: await measureAlso(thread, MANY, row),
      matmul_workgroup_rows: hopeless ? UNMEASURED : await measureAlso(workgroup, MANY, row),
      rmsnorm_thread: await measureAlso(normThread, NORM_ROWS, K * 4),
      rmsnorm_workgroup: await measureAlso(normWorkgroup, NORM_ROWS, K * 4),
    };
    const [matmulFew, matmulMany] = choosePair(results);
    const gemv = matmulFew === 'thread' ? few.thread : few.workgroup;
    // On a software adapter the norm is too short to tell; attention over threads was 25 % faster a token (SwiftShader).
    const normByThread =
      device.adapter.isFallback || results.rmsnorm_thread.ms < results.rmsnorm_workgroup.ms;
    const reduction = normByThread ? 'thread' : 'workgroup';
    const bits = [gemv.bits, results[`rmsnorm_${reduction}`].bits];
    const ofBits = await bitsClass(device, this.#shaders, bits);
    const gemvMs = await steadyTime({
      attempt: gemv.again,
      earlier: gemv === favourite ? spread : [gemv.ms],
      boundMs: STEADY_MS,
      now: this.#now,
      sleep: (ms) => new Promise((done) => setTimeout(done, ms)),
    });
    return {
      tuning: { ...base, matmulFew, matmulMany, reduction },
      gemvMacsPerSecond: (OUTPUTS * K * 1_000) / gemvMs,
      measuredMs: Object.fromEntries(
        Object.entries(results)
          .filter(([, result]) => result !== UNMEASURED)
          .map(([name, result]) => [name, result === gemv ? gemvMs : result.ms]),
      ),
      bitsClass: ofBits,
    };
  }

  #buffer(label: string, bytes: number, usage: number): GPUBuffer {
    const buffer = this.#device.create(label, bytes, usage);
    this.#owned.push(buffer);
    return buffer;
  }

  async #measure(
    uniform: { buffer: GPUBuffer; group: GPUBindGroup },
    dispatch: Dispatch,
    rows: number,
    y: GPUBuffer,
    bytes: number,
  ): Promise<Repeatable> {
    const { raw } = this.#device;
    const step = new Uint32Array(STEP_SLOT_BYTES / 4);
    step[0] = rows;
    const readback = this.#buffer('probe readback', bytes, USAGE.MAP_READ | USAGE.COPY_DST);
    const submit = async (repeats: number) => {
      throwIfAborted(this.#signal);
      raw.queue.writeBuffer(uniform.buffer, 0, step);
      const encoder = raw.createCommandEncoder();
      const pass = encoder.beginComputePass();
      pass.setBindGroup(0, uniform.group, [0]);
      for (let i = 0; i < repeats; i++) dispatch(pass, { rows, blocks: 0 });
      pass.end();
      encoder.copyBufferToBuffer(y, 0, readback, 0, bytes);
      const startedMs = this.#now();
      raw.queue.submit([encoder.finish()]);
      await readback.mapAsync(MAP_MODE_READ);
      const ms = this.#now() - startedMs;
      const bits = new Uint32Array(readback.getMappedRange().slice(0));
      readback.unmap();
      return { ms, bits };
    };
    // The first run pays for the driver's own compilation.
    await submit(1);
    const once = await submit(1);
    const fit = Math.floor(MEASURE_MS / Math.max(once.ms, 0.05));
    const repeats = Math.min(MAX_REPEATS, Math.max(1, fit));
    const each = async () => {
      const { ms, bits } = await submit(repeats);
      return { ms: Math.max(ms / repeats, 1e-4), bits };
    };
    const { ms, bits } = await each();
    return { ms: Math.max(Math.min(once.ms, ms), 1e-4), bits, again: async () => (await each()).ms };
  }

  destroy(): void {
    this.#matrix?.destroy();
    for (const buffer of this.#owned) this.#device.free(buffer);
  }
}

/** Agrees with nothing, hence is never chosen. */
const UNMEASURED: Measurement = { ms: Number.POSITIVE_INFINITY, bits: new Uint32Array() };

export interface Measurement {
  readonly ms: number;
  /** The first row of the result. */
  readonly bits: Uint32Array;
}

/** What may be measured again, for a short while. */
interface Repeatable extends Measurement {
  readonly again: () => Promise<number>;
}

/** The fastest kernels for few and for many rows among the pairs whose bits agree. */
export function choosePair(results: {
  readonly matmul_thread: Measurement;
  readonly matmul_workgroup: Measurement;
  readonly matmul_thread_rows: Measurement;
  readonly matmul_workgroup_rows: Measurement;
}): [Tuning['matmulFew'], Tuning['matmulMany']] {
  const few = { thread: results.matmul_thread, workgroup: results.matmul_workgroup };
  const many = { thread_rows: results.matmul_thread_rows, workgroup: results.matmul_workgroup_rows };
  let best: [Tuning['matmulFew'], Tuning['matmulMany']] = ['workgroup', 'workgroup'];
  let bestMs = Number.POSITIVE_INFINITY;
  for (const f of ['thread', 'workgroup'] as const) {
    for (const m of ['thread_rows', 'workgroup'] as const) {
      if (!sameBits(few[f].bits, many[m].bits)) continue;
      // A prompt has about as many rows, in eights, as an answer has tokens.
      const ms = few[f].ms + many[m].ms / MANY;
      if (ms < bestMs) {
        best = [f, m];
        bestMs = ms;
      }
    }
  }
  return best;
}

function sameBits(a: Uint32Array, b: Uint32Array): boolean {
  return a.length === b.length && a.every((bits, i) => bits === b[i]);
}
