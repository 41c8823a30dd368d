import type { WorkerApi } from '../worker-api.ts';

/**
 * The Web Worker as the main thread has it, whatever lies between: comlink and a port in a browser (web-worker.ts), nothing at
 * all in a simulation. Calls take effect in the order in which they are made; events come to `MeshTab.told`.
 */
export interface TabWorker extends WorkerApi {
  /** Takes a channel at once. @throws what `postMessage` throws where it cannot be transferred */
  accept(peer: string, attempt: number, end: RTCDataChannel | MessagePort): void;
  /** Resolves when the device is given back. */
  stop(): Promise<void> | void;
  /** Ends it for good, whatever it does. */
  terminate(): void;
}
