import { ShoalError } from '../../config/errors.ts';
import type { JobMessage, ThreadMessage } from './messages.ts';

/** What a pool needs of a `Worker` of node:worker_threads. */
export interface ThreadHandle {
  postMessage(message: unknown): void;
  on(event: 'message', listener: (message: unknown) => void): unknown;
  on(event: 'error', listener: (error: unknown) => void): unknown;
  on(event: 'exit', listener: (code: number) => void): unknown;
  terminate(): Promise<unknown>;
}

export interface ThreadEvents<Facts, Result> {
  ready(facts: Facts): void;
  done(result: Result): void;
  failed(error: ShoalError): void;
  /** It is no more, whatever the reason; last of all, and not after `end`. */
  gone(error: ShoalError): void;
}

/** One thread: starts, does one job at a time, and ends. */
export class PoolThread<Job, Facts, Result> {
  readonly #handle: ThreadHandle;
  #job: number | null = null;
  #lastJob = 0;
  #hasEnded = false;
  isReady = false;

  constructor(handle: ThreadHandle, events: ThreadEvents<Facts, Result>) {
    this.#handle = handle;
    const gone = (error: ShoalError) => {
      if (this.#hasEnded) return;
      this.end();
      events.gone(error);
    };
    handle.on('message', (message) => {
      if (this.#hasEnded) return;
      const told = message as ThreadMessage<Facts, Result>;
      if (told.type === 'ready') {
        this.isReady = true;
        events.ready(told.facts);
      } else if (told.type === 'unfit') {
        gone(new ShoalError(told.error.code, told.error.message, told.error));
      } else if (told.id === this.#job) {
        this.#job = null;
        if (told.type === 'done') events.done(told.result);
        else events.failed(new ShoalError(told.error.code, told.error.message, told.error));
      }
    });
    handle.on('error', (error) => gone(ShoalError.from(error)));
    handle.on('exit', (code) => gone(new ShoalError('INTERNAL', `a worker thread ended with code ${code}`)));
  }

  get isIdle(): boolean {
    return this.isReady && this.#job === null;
  }

  begin(job: Job): void {
    this.#job = ++this.#lastJob;
    this.#handle.postMessage({ id: this.#job, job } satisfies JobMessage<Job>);
  }

  /** Stops it in the middle of whatever it does. Nothing is told afterwards. */
  end(): Promise<unknown> {
    this.#hasEnded = true;
    return this.#handle.terminate();
  }
}
