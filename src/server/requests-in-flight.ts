/** The API requests that are being answered: counted, waited for, and ended when the server's patience is over. */
import { ShoalError } from '../config/errors.ts';
import { SHUTDOWN_RETRY_AFTER_SECONDS } from '../config/limits.ts';

export interface RequestInFlight {
  /** Aborts when the client hangs up, and when the server ends the request. */
  readonly signal: AbortSignal;
  /** Idempotent. */
  end(): void;
}

/** The requests that were in flight at one moment; later ones do not count. */
export interface Batch {
  readonly count: number;
  /** Resolves when the last of them has ended. */
  readonly ended: Promise<void>;
  abort(reason: ShoalError): void;
}

interface Entry {
  readonly controller: AbortController;
  readonly batches: Set<() => void>;
}

export class RequestsInFlight {
  readonly #open = new Set<Entry>();
  #isTaking = true;

  get count(): number {
    return this.#open.size;
  }

  get isTaking(): boolean {
    return this.#isTaking;
  }

  /** From now on requests are refused; those in flight go on. */
  stopTaking(): void {
    this.#isTaking = false;
  }

  /** @throws SHUTTING_DOWN */
  checkTaking(): void {
    if (this.#isTaking) return;
    throw new ShoalError(
      'SHUTTING_DOWN',
      'the server is shutting down and takes no new requests; send the request again when it is back, or to another',
      { retryAfterSeconds: SHUTDOWN_RETRY_AFTER_SECONDS },
    );
  }

  /** @throws SHUTTING_DOWN */
  begin(client: AbortSignal): RequestInFlight {
    this.checkTaking();
    const entry: Entry = { controller: new AbortController(), batches: new Set() };
    this.#open.add(entry);
    const hangUp = () => entry.controller.abort(client.reason);
    if (client.aborted) hangUp();
    else client.addEventListener('abort', hangUp, { once: true });
    return {
      signal: entry.controller.signal,
      end: () => {
        if (!this.#open.delete(entry)) return;
        client.removeEventListener('abort', hangUp);
        for (const ended of entry.batches) ended();
      },
    };
  }

  now(): Batch {
    const entries = [...this.#open];
    let left = entries.length;
    const ended = new Promise<void>((resolve) => {
      if (left === 0) resolve();
      for (const { batches } of entries) {
        batches.add(() => {
          if (--left === 0) resolve();
        });
      }
    });
    return {
      count: entries.length,
      ended,
      abort: (reason) => {
        for (const entry of entries) if (this.#open.has(entry)) entry.controller.abort(reason);
      },
    };
  }
}
