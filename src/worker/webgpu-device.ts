import { type ProbeResult, probeTuning } from '../gpu/autotune.ts';
import { type GpuDevice, requestDevice } from '../gpu/device.ts';
import type { ShaderSource } from '../gpu/shaders.ts';
import { createStageEngine } from '../gpu/transformer.ts';
import type { Tuning } from '../gpu/tuning.ts';
import type { LoadedTensor } from '../model/fetch/manifest.ts';
import type { Fetch } from '../model/fetch/range-download.ts';
import type { TensorCache } from '../model/fetch/tensor-cache.ts';
import { loadShard } from '../model/fetch/weight-source.ts';
import type { LoadedShard, LoadRequest, RequestDevice, WorkerDevice } from './device.ts';
import { fetchManifest } from './fetch-manifest.ts';
import { kvBudgetBytes } from './kv-budget.ts';
import { probeLine } from './probe-line.ts';

export interface WebGpuOptions {
  /** `navigator.gpu`, or Dawn's object under Node. */
  readonly gpu: GPU | undefined;
  readonly shaders: (signal: AbortSignal) => Promise<ShaderSource>;
  readonly fetch: Fetch;
  readonly cache: () => Promise<TensorCache | undefined>;
  /** Runs `work` while no other tab of this browser does: probes at the same time would measure each other. */
  readonly alone?: <T>(work: () => Promise<T>, signal: AbortSignal) => Promise<T>;
  /** Takes a line for people: which kernels the probe chose. */
  readonly log?: (line: string) => void;
}

/** Makes the worker's devices: adapter, shaders, probe. */
export function webGpuDevices(options: WebGpuOptions): RequestDevice {
  return async (signal) => {
    const device = await requestDevice(options.gpu, { signal });
    try {
      const shaders = await options.shaders(signal);
      const measure = () => probeTuning(device, shaders, { signal });
      const probe = await (options.alone ? options.alone(measure, signal) : measure());
      options.log?.(probeLine(probe));
      return new WebGpuDevice(options, device, shaders, probe);
    } catch (thrown) {
      device.destroy();
      throw thrown;
    }
  };
}

class WebGpuDevice implements WorkerDevice {
  readonly capability: WorkerDevice['capability'];
  readonly lost: WorkerDevice['lost'];
  readonly #options: WebGpuOptions;
  readonly #device: GpuDevice;
  readonly #shaders: ShaderSource;
  readonly #tuning: Tuning;

  constructor(options: WebGpuOptions, device: GpuDevice, shaders: ShaderSource, probe: ProbeResult) {
    const { adapter, limits } = device;
    this.capability = {
      adapter: {
        vendor: adapter.vendor.slice(0, 128),
        architecture: adapter.architecture.slice(0, 128),
        description: adapter.description.slice(0, 256),
        isFallback: adapter.isFallback,
      },
      ...limits,
      storesF16AsF32: probe.tuning.expandF16,
      gemvMacsPerSecond: probe.gemvMacsPerSecond,
      class: probe.bitsClass,
    };
    this.lost = device.lost;
    this.#options = options;
    this.#device = device;
    this.#shaders = shaders;
    this.#tuning = probe.tuning;
  }

  async load(request: LoadRequest, signal: AbortSignal): Promise<LoadedShard> {
    const { shard, quantization, onProgress, budgetBytes } = request;
    const manifest = await fetchManifest(request.manifestUrl, shard, this.#options.fetch, signal);
    const load = loadShard({
      manifest,
      filesUrl: request.filesUrl,
      fetch: this.#options.fetch,
      cache: await this.#options.cache(),
      signal,
      // Tensors are checked as they come; `verify` is told once all are right, so that phases do not flicker.
      onProgress: ({ phase, bytesDone, bytesTotal }) => {
        if (phase === 'download' || bytesDone === bytesTotal) onProgress(phase, bytesDone, bytesTotal);
      },
    });
    const engine = await createStageEngine({
      device: this.#device,
      shaders: this.#shaders,
      spec: manifest.spec,
      shard,
      weights: thenTell(load, () => onProgress('compile', 0, 0)),
      quantization,
      kvBudgetBytes: kvBudgetBytes(manifest, request, this.#tuning, this.#device.limits),
      memoryBudgetBytes: budgetBytes,
      tuning: this.#tuning,
      signal,
    });
    return { engine, downloadedBytes: load.bytesFromNetwork };
  }

  destroy(): void {
    this.#device.destroy();
  }
}

async function* thenTell(
  tensors: AsyncIterable<LoadedTensor>,
  tell: () => void,
): AsyncGenerator<LoadedTensor, void, undefined> {
  yield* tensors;
  tell();
}
