import type { ShoalError } from '../config/errors.ts';
import type { StageEngine } from '../gpu/stage-engine.ts';
import type { Capability, LoadPhase } from '../mesh/protocol/control.ts';
import type { Quantization, Shard } from '../model/shard.ts';

/** What the device itself can tell; the budget is the contributor's, the user agent the page's. */
export type DeviceCapability = Omit<Capability, 'memoryBudgetBytes' | 'userAgent'> & {
  /** Devices of one class compute the same bits (src/gpu/bits-class.ts). */
  readonly class?: string;
};

export interface LoadRequest {
  readonly manifestUrl: string;
  /** Base of the manifest's files; ends with a slash. */
  readonly filesUrl: string;
  readonly shard: Shard;
  readonly quantization: Quantization;
  /** Weights, KV cache and scratch of this engine together. */
  readonly budgetBytes: number;
  readonly onProgress: (phase: LoadPhase, bytesDone: number, bytesTotal: number) => void;
}

export interface LoadedShard {
  /** The caller destroys it. */
  readonly engine: StageEngine;
  /** Taken from the network, not from the cache. */
  readonly downloadedBytes: number;
}

/** A GPU device as the worker sees it: makes engines. src/worker/webgpu-device.ts is the real one. */
export interface WorkerDevice {
  readonly capability: DeviceCapability;
  /** Resolves when the device is gone, `destroy` included. */
  readonly lost: Promise<ShoalError>;
  /**
   * Downloads, checks and uploads a shard and compiles its kernels.
   * @throws DOWNLOAD_FAILED, TENSOR_HASH, TENSOR_SHAPE, TENSOR_MISSING, SHARD_TOO_LARGE, OUT_OF_MEMORY, SHADER_INVALID,
   *   DEVICE_LOST, ABORTED
   */
  load(request: LoadRequest, signal: AbortSignal): Promise<LoadedShard>;
  destroy(): void;
}

/** @throws NO_SECURE_CONTEXT, NO_WEBGPU, NO_ADAPTER, DEVICE_LOST */
export type RequestDevice = (signal: AbortSignal) => Promise<WorkerDevice>;
