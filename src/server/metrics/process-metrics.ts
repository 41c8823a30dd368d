import { collectDefaultMetrics, Registry } from 'prom-client';

let registry: Registry | null = null;

/** CPU, memory, event loop and garbage collection: of the process, so one for all its servers; it watches from the first call. */
export function processMetrics(): Registry {
  if (registry === null) {
    registry = new Registry();
    collectDefaultMetrics({ register: registry });
  }
  return registry;
}
