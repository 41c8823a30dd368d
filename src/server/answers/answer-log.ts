import { KEPT_EVENT_OVERHEAD_BYTES } from '../../config/limits.ts';
import { FIRST_DIGEST, nextDigest } from './event-digest.ts';

/** The events of one answer as they come, numbered from 1, for readers that come and go. */
export class AnswerLog {
  readonly #events = new Map<number, Uint8Array>();
  /** Of each event that is there, and of the last that is not. */
  readonly #digests = new Map<number, string>([[0, FIRST_DIGEST]]);
  readonly #onBytes: (change: number) => void;
  readonly #waiting = new Set<() => void>();
  #count = 0;
  #dropped = 0;
  #bytes = 0;
  #end: { readonly failure: unknown } | null = null;

  /** @param onBytes told of every change of `bytes` */
  constructor(onBytes: (change: number) => void = () => {}) {
    this.#onBytes = onBytes;
  }

  /** Of the events that it holds, and what holding them costs. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The newest event's number; 0: there is none yet. */
  get count(): number {
    return this.#count;
  }

  /** Events [1, dropped] are no longer there. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Null while more may come; `failure` is null where the answer came to its own end. */
  get end(): { readonly failure: unknown } | null {
    return this.#end;
  }

  event(number: number): Uint8Array | undefined {
    return this.#events.get(number);
  }

  /** Of the events [1, number]; undefined where these are not there yet, or long gone. */
  digest(number: number): string | undefined {
    return this.#digests.get(number);
  }

  append(event: Uint8Array): void {
    const digest = nextDigest(this.#digests.get(this.#count)!, event);
    this.#events.set(++this.#count, event);
    this.#digests.set(this.#count, digest);
    this.#grow(event.byteLength + KEPT_EVENT_OVERHEAD_BYTES);
    this.#tell();
  }

  /** Lets go of the oldest event. @returns false where only the newest is left: who reads on needs it */
  dropOldest(): boolean {
    if (this.#dropped + 1 >= this.#count) return false;
    this.#digests.delete(this.#dropped);
    const event = this.#events.get(++this.#dropped)!;
    this.#events.delete(this.#dropped);
    this.#grow(-event.byteLength - KEPT_EVENT_OVERHEAD_BYTES);
    return true;
  }

  /** Once; the first end stays. */
  finish(failure: unknown = null): void {
    this.#end ??= { failure };
    this.#tell();
  }

  /** Resolves when there is something new, or `signal` aborts. */
  changed(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        this.#waiting.delete(done);
        signal.removeEventListener('abort', done);
        resolve();
      };
      if (signal.aborted) return resolve();
      this.#waiting.add(done);
      signal.addEventListener('abort', done);
    });
  }

  #grow(change: number): void {
    this.#bytes += change;
    this.#onBytes(change);
  }

  #tell(): void {
    for (const done of [...this.#waiting]) done();
  }
}
