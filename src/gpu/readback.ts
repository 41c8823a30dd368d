import { MAX_STEPS_IN_FLIGHT } from '../config/limits.ts';
import { MAP_MODE_READ, USAGE } from './buffer-usage.ts';
import type { GpuDevice } from './device.ts';

/**
 * MAP_READ buffers, at most MAX_STEPS_IN_FLIGHT; a further step waits, in order, until one is free. They grow with what is read
 * back, up to `keptBytes` each, which the memory budget counts; a larger one goes after its step.
 */
export class ReadbackRing {
  readonly #device: GpuDevice;
  readonly #keptBytes: number;
  readonly #free: (GPUBuffer | undefined)[] = Array.from({ length: MAX_STEPS_IN_FLIGHT });
  readonly #waiting: ((buffer: GPUBuffer | undefined) => void)[] = [];
  readonly #all = new Set<GPUBuffer>();
  #destroyed = false;

  constructor(device: GpuDevice, keptBytes: number) {
    this.#device = device;
    this.#keptBytes = Math.ceil(keptBytes / 16) * 16;
  }

  async acquire(): Promise<Ticket> {
    if (this.#free.length > 0) return new Ticket(this, this.#free.pop());
    return new Promise((resolve) => this.#waiting.push((buffer) => resolve(new Ticket(this, buffer))));
  }

  /** A buffer of at least `bytes`, the given one where it is large enough. */
  fit(buffer: GPUBuffer | undefined, bytes: number): GPUBuffer {
    if (buffer !== undefined && buffer.size >= bytes) return buffer;
    if (buffer !== undefined) this.#drop(buffer);
    const made = this.#device.create('readback', bytes, USAGE.MAP_READ | USAGE.COPY_DST);
    this.#all.add(made);
    return made;
  }

  give(buffer: GPUBuffer | undefined): void {
    const isKept = buffer !== undefined && buffer.size <= this.#keptBytes && !this.#destroyed;
    if (buffer !== undefined && !isKept) this.#drop(buffer);
    const next = this.#waiting.shift();
    if (next !== undefined) next(isKept ? buffer : undefined);
    else this.#free.push(isKept ? buffer : undefined);
  }

  destroy(): void {
    this.#destroyed = true;
    for (const buffer of [...this.#all]) this.#drop(buffer);
  }

  #drop(buffer: GPUBuffer): void {
    this.#all.delete(buffer);
    this.#device.free(buffer);
  }
}

/** The right to have one step in flight. */
export class Ticket {
  readonly #ring: ReadbackRing;
  #buffer: GPUBuffer | undefined;
  #held = true;

  constructor(ring: ReadbackRing, buffer: GPUBuffer | undefined) {
    this.#ring = ring;
    this.#buffer = buffer;
  }

  buffer(bytes: number): GPUBuffer {
    this.#buffer = this.#ring.fit(this.#buffer, bytes);
    return this.#buffer;
  }

  /** Waits for the submit that filled the buffer and copies its first `bytes` out. */
  async read(bytes: number, now: () => number): Promise<{ data: ArrayBuffer; mappedAtMs: number }> {
    const buffer = this.buffer(bytes);
    const size = Math.ceil(bytes / 8) * 8;
    await buffer.mapAsync(MAP_MODE_READ, 0, size);
    const mappedAtMs = now();
    const data = buffer.getMappedRange(0, size).slice(0);
    buffer.unmap();
    return { data, mappedAtMs };
  }

  release(): void {
    if (!this.#held) return;
    this.#held = false;
    this.#ring.give(this.#buffer);
  }
}
