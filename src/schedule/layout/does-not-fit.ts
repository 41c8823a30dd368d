/** What is missing where the workers together do not hold the model. */
import { costsOn, type ModelCosts } from '../costs.ts';

export interface DoesNotFit {
  readonly kind: 'does-not-fit';
  readonly workers: number;
  readonly neededBytes: number;
  readonly availableBytes: number;
  /** One sentence: numbers and remedy. */
  readonly detail: string;
}

interface Lender {
  readonly memoryBytes: number;
  readonly maxBufferBytes: number;
  readonly storesF16AsF32?: boolean;
}

/** @param stages as many as there may be */
export function doesNotFit(modelCosts: ModelCosts, workers: readonly Lender[], stages: number): DoesNotFit {
  // One number has to do for all workers: the largest, which is enough whoever takes what.
  const costs = costsOn(modelCosts, { storesF16AsF32: workers.some((worker) => worker.storesF16AsF32) });
  const parts = [...costs.layers, costs.embedding, costs.head];
  const used = Math.min(stages, Math.max(1, workers.length));
  const tied = used === 1 ? costs.tiedBytes : 0;
  const neededBytes = parts.reduce((sum, { bytes }) => sum + bytes, used * costs.scratchBytes) - tied;
  const availableBytes = workers.reduce((sum, { memoryBytes }) => sum + memoryBytes, 0);
  const smallBuffers = workers.filter(
    ({ maxBufferBytes }) => maxBufferBytes < costs.largestBufferBytes,
  ).length;
  const lack =
    availableBytes < neededBytes
      ? `lend ${megabytes(neededBytes - availableBytes)} more, or let another worker join`
      : smallBuffers > 0
        ? `${smallBuffers} of them cannot make a buffer of ${megabytes(costs.largestBufferBytes)}, which it needs; use adapters with larger buffers`
        : `cut at whole layers it does not fit: raise the smallest budgets, or let another worker join`;
  const detail =
    workers.length === 0
      ? `no worker has joined; the model needs ${megabytes(neededBytes)} of GPU memory. Open the page and press Join`
      : `the model needs ${megabytes(neededBytes)} of GPU memory, ${workers.length === 1 ? 'the only worker lends' : `${workers.length} workers lend`} ${megabytes(availableBytes)}; ${lack}`;
  return { kind: 'does-not-fit', workers: workers.length, neededBytes, availableBytes, detail };
}

/** Rounded up, so that the number named is never too small to help. */
function megabytes(bytes: number): string {
  return `${(Math.ceil(bytes / 1e5) / 10).toFixed(1)} MB`;
}
