/** The Web Worker's entry: the host, wired to comlink, to the page's event port and to the platform's GPU. */
import { expose } from 'comlink';
import { systemTimers } from '../mesh/timers.ts';
import { WorkerHost } from './host.ts';
import { requestWebGpuDevice } from './webgpu-device.ts';
import type { AcceptMessage, EventsMessage, WorkerEvent } from './worker-api.ts';

/** Events before the page's port came. */
const early: WorkerEvent[] = [];
let events: MessagePort | null = null;

const host = new WorkerHost({
  requestDevice: requestWebGpuDevice,
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
