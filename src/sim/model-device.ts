import { ShoalError } from '../config/errors.ts';
import type { StepInput } from '../gpu/stage-engine.ts';
import type { Timers } from '../mesh/timers.ts';
import { pagesOf } from '../model/gpu-bytes.ts';
import type { LoadedShard, LoadRequest, WorkerDevice } from '../worker/device.ts';
import type { SimModel } from './model.ts';
import { type ComputeRate, ModelEngine } from './model-engine.ts';

export interface ModelDeviceOptions {
  readonly model: SimModel;
  readonly rate: ComputeRate;
  readonly timers: Timers;
  readonly downloadBytesPerMs: number;
  /** From the browser's cache to the GPU, and compiling. */
  readonly uploadBytesPerMs: number;
  /** The parts of the model that the browser has already; outlives the device, as a browser's cache outlives its tabs. */
  readonly cache: Set<string>;
  /** What it says of itself; the truth is `rate`. */
  readonly claimedMacsPerSecond?: number;
  readonly isFallback?: boolean;
  /** The class of its bits, as it says. */
  readonly bitsClass?: string;
  readonly bits?: number;
  /** Asked at the end of a load; what it gives is thrown. */
  readonly loadFault?: () => ShoalError | null;
  readonly stepFault?: (input: StepInput) => ShoalError | null;
}

/** Steps of a download that are told. */
const PROGRESS_STEPS = 4;

/** A `WorkerDevice` that takes its time for downloads and uploads, and makes engines of the hash model. */
export class ModelDevice implements WorkerDevice {
  readonly capability: WorkerDevice['capability'];
  readonly lost: Promise<ShoalError>;
  /** All that were made; those that are held are not destroyed. */
  readonly engines: ModelEngine[] = [];
  readonly #options: ModelDeviceOptions;
  #lose!: (error: ShoalError) => void;
  downloadedBytes = 0;

  constructor(options: ModelDeviceOptions) {
    this.#options = options;
    const { rate, bitsClass } = options;
    this.lost = new Promise((resolve) => {
      this.#lose = resolve;
    });
    this.capability = {
      adapter: {
        vendor: 'sim',
        architecture: 'hash',
        description: 'simulated adapter',
        isFallback: options.isFallback ?? false,
      },
      maxBufferBytes: 2 ** 32,
      maxStorageBindingBytes: 2 ** 32,
      gemvMacsPerSecond: options.claimedMacsPerSecond ?? rate.macsPerSecond,
      ...(bitsClass !== undefined && { class: bitsClass }),
    };
  }

  async load({ shard, budgetBytes, onProgress }: LoadRequest, signal: AbortSignal): Promise<LoadedShard> {
    const { model, downloadBytesPerMs, uploadBytesPerMs, cache, loadFault } = this.#options;
    const parts = this.#partsOf(shard);
    const weightBytes = parts.reduce((sum, { bytes }) => sum + bytes, 0);
    const kvPages = this.#kvPages(
      shard.end - shard.start,
      budgetBytes - weightBytes - model.costs.scratchBytes,
    );
    const missing = parts.filter(({ name }) => !cache.has(name));
    const downloadedBytes = missing.reduce((sum, { bytes }) => sum + bytes, 0);
    for (let step = 1; step <= PROGRESS_STEPS; step++) {
      await this.#wait(downloadedBytes / downloadBytesPerMs / PROGRESS_STEPS, signal);
      onProgress('download', Math.round((downloadedBytes * step) / PROGRESS_STEPS), downloadedBytes);
    }
    for (const { name } of missing) cache.add(name);
    this.downloadedBytes += downloadedBytes;
    onProgress('verify', downloadedBytes, downloadedBytes);
    await this.#wait(weightBytes / uploadBytesPerMs, signal);
    onProgress('compile', 0, 0);
    const fault = loadFault?.() ?? null;
    if (fault !== null) throw fault;
    const { rate, timers, bits = 0, stepFault } = this.#options;
    const engine = new ModelEngine({
      model,
      shard,
      rate,
      kvPages,
      timers,
      bits,
      ...(stepFault && { fault: stepFault }),
    });
    this.engines.push(engine);
    return { engine, downloadedBytes };
  }

  /** Fault: the adapter is gone, and the worker is told. */
  lose(message: string): void {
    for (const engine of this.engines) engine.destroy();
    this.#lose(new ShoalError('DEVICE_LOST', message));
  }

  destroy(): void {
    this.lose('destroyed');
  }

  #partsOf(shard: LoadRequest['shard']): { name: string; bytes: number }[] {
    const { costs, kvBytesPerLayer, spec } = this.#options.model;
    const kv = kvBytesPerLayer * spec.contextLength;
    const layers = costs.layers.slice(shard.start, shard.end);
    return [
      ...layers.map(({ bytes }, index) => ({ name: `layer ${shard.start + index}`, bytes: bytes - kv })),
      ...(shard.embedding ? [{ name: 'embedding', bytes: costs.embedding.bytes }] : []),
      ...(shard.head ? [{ name: 'head', bytes: costs.head.bytes }] : []),
    ];
  }

  /** @throws SHARD_TOO_LARGE where not even one sequence of full length fits */
  #kvPages(layers: number, freeBytes: number): number {
    const { kvBytesPerLayer, spec } = this.#options.model;
    const ofOne = layers * kvBytesPerLayer * spec.contextLength;
    if (freeBytes < ofOne) {
      throw new ShoalError(
        'SHARD_TOO_LARGE',
        `${freeBytes} B are free for the KV cache, one sequence needs ${ofOne} B`,
      );
    }
    return Math.floor((freeBytes / ofOne) * pagesOf(spec.contextLength));
  }

  async #wait(ms: number, signal: AbortSignal): Promise<void> {
    await new Promise<void>((done) => {
      const finish = () => {
        cancel();
        signal.removeEventListener('abort', finish);
        done();
      };
      const cancel = this.#options.timers.after(ms, finish);
      signal.addEventListener('abort', finish);
      if (signal.aborted) finish();
    });
    if (signal.aborted) throw ShoalError.from(signal.reason, 'ABORTED');
  }
}
