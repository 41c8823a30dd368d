import { SETTLE_AT_ONCE_WORKERS, STATUS_FRESH_MS } from '../config/limits.ts';
import type { Status } from '../mesh/protocol/status.ts';
import { workerCount } from '../mesh/protocol/worker-counts.ts';

/** Of a large mesh, which every one of its tabs asks about, one status answers all who ask within STATUS_FRESH_MS. */
export class SharedStatus {
  readonly #make: (signal: AbortSignal) => Promise<Status>;
  readonly #now: () => number;
  #last: Status | null = null;
  #madeAtMs = 0;

  constructor(make: (signal: AbortSignal) => Promise<Status>, now: () => number) {
    this.#make = make;
    this.#now = now;
  }

  async get(signal: AbortSignal): Promise<Status> {
    const isShared = this.#last !== null && workerCount(this.#last) > SETTLE_AT_ONCE_WORKERS;
    if (isShared && this.#now() - this.#madeAtMs < STATUS_FRESH_MS) return this.#last!;
    this.#last = await this.#make(signal);
    this.#madeAtMs = this.#now();
    return this.#last;
  }
}

type Rows = Pick<Status, 'workers' | 'layers'>;

/** The rows of who asks come first where it is not among those that all are told of. */
export function withOwn(status: Status, own: Rows | null | undefined): Status {
  const [worker] = own?.workers ?? [];
  if (worker === undefined || status.workers.some(({ peer }) => peer === worker.peer)) return status;
  return {
    ...status,
    workers: [worker, ...status.workers],
    layers: [...(own?.layers ?? []), ...(status.layers ?? [])],
  };
}
