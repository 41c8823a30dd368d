import { ShoalError } from '../../config/errors.ts';
import { UPSTREAM_PROBE_MS } from '../../config/limits.ts';
import type { Clock } from '../clock.ts';
import { unlessSilent } from '../openai/sse.ts';

/** The last answer to a question that is asked again as it ages: once at a time, however many wait for it. */
export class Remembered<T> {
  readonly #ask: (signal: AbortSignal) => Promise<T>;
  readonly #clock: Clock;
  #value: T | null = null;
  #error: ShoalError | null = null;
  #answeredAtMs = Number.NEGATIVE_INFINITY;
  #askedAtMs = Number.NEGATIVE_INFINITY;
  #asking: Promise<void> | null = null;
  #abort: AbortController | null = null;
  #closed = false;

  constructor(ask: (signal: AbortSignal) => Promise<T>, clock: Clock) {
    this.#ask = ask;
    this.#clock = clock;
  }

  /** Of the last time that there was one; null before. */
  get value(): T | null {
    return this.#value;
  }

  /** Why the last asking gave none; null where it did. */
  get error(): ShoalError | null {
    return this.#error;
  }

  get isAsking(): boolean {
    return this.#asking !== null;
  }

  get isExpired(): boolean {
    return this.#answeredAtMs === Number.NEGATIVE_INFINITY;
  }

  isOlderThan(ms: number): boolean {
    return this.#clock.now() - this.#answeredAtMs > ms;
  }

  /** Whether it was asked so recently, with or without an answer, that asking again would only be noise. */
  wasAskedWithin(ms: number): boolean {
    return this.isAsking || this.#clock.now() - this.#askedAtMs <= ms;
  }

  /** What another source told, as if it had been asked. */
  set(value: T): void {
    this.#value = value;
    this.#error = null;
    this.#answeredAtMs = this.#clock.now();
  }

  /** The answer stays known and counts as old. */
  expire(): void {
    this.#answeredAtMs = Number.NEGATIVE_INFINITY;
  }

  /** Resolves when the question is answered, or after UPSTREAM_PROBE_MS; look at `value` and `error`. */
  refresh(): Promise<void> {
    if (this.#closed) return Promise.resolve();
    this.#asking ??= this.#refresh();
    return this.#asking;
  }

  /** Ends a question that is under way; none is asked after. */
  close(): void {
    this.#closed = true;
    this.#abort?.abort(new ShoalError('ABORTED', 'the node was taken out'));
  }

  async #refresh(): Promise<void> {
    const abort = new AbortController();
    this.#abort = abort;
    this.#askedAtMs = this.#clock.now();
    try {
      const answer = await unlessSilent(this.#ask(abort.signal), this.#clock, UPSTREAM_PROBE_MS);
      if (answer !== 'silent') this.set(answer);
      else {
        abort.abort();
        this.#error = new ShoalError('DEADLINE_EXCEEDED', `no answer within ${UPSTREAM_PROBE_MS / 1000} s`);
      }
    } catch (thrown) {
      this.#error = ShoalError.from(thrown, 'BACKEND_FAILED');
    } finally {
      this.#asking = null;
    }
  }
}
