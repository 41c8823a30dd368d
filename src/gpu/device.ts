import { bytesText } from '../config/bytes-text.ts';
import { ShoalError } from '../config/errors.ts';

export interface AdapterInfo {
  readonly vendor: string;
  readonly architecture: string;
  readonly description: string;
  /** A software adapter: works, slowly; never to be shown as a GPU. */
  readonly isFallback: boolean;
}

export interface DeviceLimits {
  readonly maxBufferBytes: number;
  readonly maxStorageBindingBytes: number;
}

export interface DeviceOptions {
  readonly powerPreference?: GPUPowerPreference;
  /** Bounds below the adapter's own, for tests and cautious operators. */
  readonly maxBufferBytes?: number;
  readonly maxStorageBindingBytes?: number;
  readonly signal?: AbortSignal;
}

/** Limits whose defaults are far below what adapters offer; asked for at the adapter's value. */
const RAISED_LIMITS = ['maxBufferSize', 'maxStorageBufferBindingSize'] as const;

/**
 * Finds an adapter and opens a device with the adapter's own limits.
 * @param gpu `navigator.gpu`, or Dawn's object under Node; undefined where the platform has none
 * @throws NO_WEBGPU, NO_ADAPTER, ABORTED
 */
export async function requestDevice(gpu: GPU | undefined, options: DeviceOptions = {}): Promise<GpuDevice> {
  if (gpu === undefined) {
    throw new ShoalError(
      'NO_WEBGPU',
      'this browser has no WebGPU; use Chrome or Edge 113+, Safari 26+ or Firefox 141+',
    );
  }
  const adapter = await gpu.requestAdapter({
    powerPreference: options.powerPreference ?? 'high-performance',
  });
  throwIfAborted(options.signal);
  if (adapter === null) {
    throw new ShoalError(
      'NO_ADAPTER',
      'WebGPU is there, but no GPU adapter was found; enable hardware acceleration, or start Chromium with --enable-unsafe-webgpu',
    );
  }
  const requiredLimits: Record<string, number> = {};
  for (const name of RAISED_LIMITS) requiredLimits[name] = adapter.limits[name];
  let raw: GPUDevice;
  try {
    raw = await adapter.requestDevice({ requiredLimits });
  } catch (cause) {
    throw new ShoalError('NO_ADAPTER', `the adapter gave no device: ${messageOf(cause)}; reload the page`, {
      cause,
    });
  }
  if (options.signal?.aborted) raw.destroy();
  throwIfAborted(options.signal);
  const { info } = adapter;
  // isFallbackAdapter moved from the adapter to its info; older browsers have only the former.
  const legacy = adapter as unknown as { isFallbackAdapter?: boolean };
  return new GpuDevice(
    raw,
    {
      vendor: info.vendor,
      architecture: info.architecture,
      description: info.description,
      isFallback: info.isFallbackAdapter ?? legacy.isFallbackAdapter ?? false,
    },
    {
      maxBufferBytes: Math.min(raw.limits.maxBufferSize, options.maxBufferBytes ?? Number.MAX_SAFE_INTEGER),
      maxStorageBindingBytes: Math.min(
        raw.limits.maxStorageBufferBindingSize,
        options.maxStorageBindingBytes ?? Number.MAX_SAFE_INTEGER,
      ),
    },
  );
}

/**
 * One open device. Counts the buffers made through it, so that a test sees them back at zero; turns a lost device and
 * an uncaptured validation error into a lasting `failure` that every later call throws.
 */
export class GpuDevice {
  readonly raw: GPUDevice;
  readonly adapter: AdapterInfo;
  readonly limits: DeviceLimits;
  /** Resolves once, when the device is gone (also after `destroy`). */
  readonly lost: Promise<ShoalError>;
  readonly #live = new Map<GPUBuffer, number>();
  /** What `guardMemory` collects while its `allocate` runs, which cannot be interrupted. */
  #created: GPUBuffer[] | undefined;
  #failure: ShoalError | undefined;

  constructor(raw: GPUDevice, adapter: AdapterInfo, limits: DeviceLimits) {
    this.raw = raw;
    this.adapter = adapter;
    this.limits = limits;
    this.lost = raw.lost.then((info) => {
      this.#failure = new ShoalError(
        'DEVICE_LOST',
        `the GPU device was lost (${info.reason}: ${info.message || 'no message'}); its layers must be loaded again`,
      );
      return this.#failure;
    });
    raw.addEventListener('uncapturederror', (event) => {
      const { error } = event as GPUUncapturedErrorEvent;
      this.#failure ??= new ShoalError('INTERNAL', `WebGPU: ${error.message}`);
    });
  }

  get liveBuffers(): number {
    return this.#live.size;
  }

  get liveBytes(): number {
    let total = 0;
    for (const bytes of this.#live.values()) total += bytes;
    return total;
  }

  /** @throws DEVICE_LOST, or INTERNAL after an uncaptured WebGPU error */
  check(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** The failure so far, else `otherwise` as an error; for a promise that a lost device rejected. */
  async failureOr(otherwise: unknown): Promise<ShoalError> {
    // A rejected mapAsync comes a microtask or two before `lost` resolves.
    await Promise.race([this.lost, new Promise((resolve) => setTimeout(resolve, 50))]);
    return this.#failure ?? ShoalError.from(otherwise);
  }

  /** Makes a buffer owned by the caller, to be freed with `free`. Contents are zero. Sizes are rounded up to 16. */
  create(label: string, bytes: number, usage: GPUBufferUsageFlags): GPUBuffer {
    this.check();
    const size = Math.max(16, Math.ceil(bytes / 16) * 16);
    const buffer = this.raw.createBuffer({ label, size, usage });
    this.#live.set(buffer, size);
    this.#created?.push(buffer);
    return buffer;
  }

  free(buffer: GPUBuffer): void {
    if (this.#live.delete(buffer)) buffer.destroy();
  }

  /**
   * Runs `allocate` with out-of-memory errors caught.
   * @throws OUT_OF_MEMORY, and what `allocate` throws; the buffers it made are freed then, since whoever would own them
   *   never came to be
   */
  async guardMemory<T>(what: string, bytes: number, allocate: () => T): Promise<T> {
    this.check();
    const created: GPUBuffer[] = [];
    this.raw.pushErrorScope('out-of-memory');
    this.#created = created;
    let scope: Promise<GPUError | null> | undefined;
    try {
      let made: T;
      try {
        made = allocate();
      } finally {
        this.#created = undefined;
        scope = this.raw.popErrorScope();
      }
      const error = await scope;
      if (error === null) return made;
      throw new ShoalError(
        'OUT_OF_MEMORY',
        `${what} needs ${bytesText(bytes)}, which the GPU did not give (${error.message}); lend less memory or take fewer layers`,
      );
    } catch (thrown) {
      for (const buffer of created) this.free(buffer);
      throw thrown;
    }
  }

  destroy(): void {
    for (const buffer of [...this.#live.keys()]) this.free(buffer);
    this.raw.destroy();
  }
}

export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new ShoalError('ABORTED', 'the work was aborted', { cause: signal.reason });
}

function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
