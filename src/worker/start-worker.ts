/** Wires the worker's host to comlink, to the page's event port and to the platform's GPU. */
import { expose } from 'comlink';
import type { ShaderSource } from '../gpu/shaders.ts';
import { systemTimers } from '../mesh/timers.ts';
import { CacheApiTensorCache } from '../model/fetch/tensor-cache.ts';
import { WorkerHost } from './host.ts';
import { webGpuDevices } from './webgpu-device.ts';
import type { AcceptMessage, EventsMessage, WorkerEvent } from './worker-api.ts';

/** To be called once, while the Web Worker's script runs: the page's first message may wait already. */
export function startWorker(shaders: (signal: AbortSignal) => Promise<ShaderSource>): void {
  /** Events before the page's port came. */
  const early: WorkerEvent[] = [];
  let events: MessagePort | null = null;

  const host = new WorkerHost({
    requestDevice: webGpuDevices({
      // lib.dom declares it always there; browsers leave it out where they have no WebGPU.
      gpu: navigator.gpu as GPU | undefined,
      shaders,
      fetch: (url, init) => fetch(url, init),
      alone: (work, signal) => navigator.locks.request('shoal-probe', { signal }, work),
      log: (line) => console.info(line),
      cache: () => CacheApiTensorCache.open(globalThis.caches as CacheStorage | undefined),
    }),
    emit: (event) => {
      if (events === null) early.push(event);
      else events.postMessage(event);
    },
    timers: systemTimers,
    userAgent: navigator.userAgent.slice(0, 512),
  });

  // Before comlink's own listener: a channel must be taken over in the very handler that received it.
  addEventListener('message', ({ data }: MessageEvent<AcceptMessage | EventsMessage>) => {
    if (data?.type === 'accept') host.accept(data.peer, data.attempt, data.end);
    if (data?.type === 'events') {
      events = data.port;
      for (const event of early.splice(0)) events.postMessage(event);
    }
  });
  expose(host);
}
