/**
 * Work that would hold up the server, done in threads: pure jobs, plain values in and out. Clients take turns, large jobs
 * never have all threads, and one that takes too long ends with its thread, for which another one is started.
 *
 * Not piscina or tinypool: neither knows clients, a time limit that begins when a job does, or what a thread says of
 * itself when it starts; with all that around them they would be the smaller half.
 */
import { ShoalError } from '../../config/errors.ts';
import { MAX_WAITING_JOBS, RETRY_AFTER_SECONDS, THREAD_START_MS } from '../../config/limits.ts';
import { givesWay, goesBefore, roundFor, type Turn } from '../../schedule/turns.ts';
import { PoolThread, type ThreadHandle } from './pool-thread.ts';

export interface ThreadPoolOptions {
  readonly start: () => ThreadHandle;
  /** The first is started by `open`, the others when a job waits. */
  readonly threads: number;
  /** Of one job, once it has a thread. */
  readonly limitMs: number;
  /** What a client is told whose job took longer, or took its thread down. */
  readonly tooCostly: () => ShoalError;
}

export interface JobContext {
  /** Whose turn it takes. */
  readonly client?: string;
  /** Aborts when the result is no longer wanted. A job that runs is left alone: it costs less than another thread. */
  readonly signal: AbortSignal;
  /** Of those all threads but one are kept free, so that small ones need not wait behind them. */
  readonly isLarge?: boolean;
}

interface Waiting<Job, Result> extends Turn {
  readonly job: Job;
  readonly isLarge: boolean;
  readonly done: (result: Result) => void;
  readonly failed: (error: ShoalError) => void;
}

interface Running<Job, Facts, Result> {
  readonly thread: PoolThread<Job, Facts, Result>;
  job: Waiting<Job, Result> | null;
  /** Of its start, or of its job. */
  timer: NodeJS.Timeout;
}

export class ThreadPool<Job, Facts, Result> {
  readonly #options: ThreadPoolOptions;
  readonly #threads = new Set<Running<Job, Facts, Result>>();
  /** In the order of their turns. */
  readonly #waiting: Waiting<Job, Result>[] = [];
  #lastTicket = 0;
  #taken = 0;
  #isClosed = false;
  #opened: { resolve(facts: Facts): void; reject(error: ShoalError): void } | null = null;

  constructor(options: ThreadPoolOptions) {
    this.#options = options;
  }

  /** Starts a thread. @returns what it says of itself @throws why it cannot work */
  open(): Promise<Facts> {
    return new Promise((resolve, reject) => {
      this.#opened = { resolve, reject };
      this.#start();
    });
  }

  /** @throws the job's own error, `tooCostly`, OVERLOADED, ABORTED */
  run(job: Job, { client = '', signal, isLarge = false }: JobContext): Promise<Result> {
    if (this.#isClosed) return Promise.reject(closed());
    if (signal.aborted) return Promise.reject(ShoalError.from(signal.reason, 'ABORTED'));
    if (this.#waiting.length >= MAX_WAITING_JOBS) {
      const given = givesWay(client, this.#waiting, this.#places());
      if (given === null) return Promise.reject(full());
      this.#drop(given, full());
    }
    return new Promise((resolve, reject) => {
      const abort = () => this.#drop(waiting, ShoalError.from(signal.reason, 'ABORTED'));
      const settled = () => signal.removeEventListener('abort', abort);
      const waiting: Waiting<Job, Result> = {
        client,
        round: roundFor(client, this.#waiting, this.#taken),
        ticket: ++this.#lastTicket,
        isResumed: false,
        job,
        isLarge,
        done: (result) => {
          settled();
          resolve(result);
        },
        failed: (error) => {
          settled();
          reject(error);
        },
      };
      signal.addEventListener('abort', abort, { once: true });
      const next = this.#waiting.findIndex((other) => goesBefore(waiting, other));
      this.#waiting.splice(next < 0 ? this.#waiting.length : next, 0, waiting);
      this.#pump();
    });
  }

  /** Ends everything with ABORTED. Idempotent. */
  async close(): Promise<void> {
    this.#isClosed = true;
    const threads = [...this.#threads];
    this.#threads.clear();
    for (const waiting of this.#waiting.splice(0)) waiting.failed(closed());
    for (const { job, timer } of threads) {
      clearTimeout(timer);
      job?.failed(closed());
    }
    await Promise.all(threads.map(({ thread }) => thread.end()));
  }

  #start(): void {
    const thread = new PoolThread<Job, Facts, Result>(this.#options.start(), {
      ready: (facts) => {
        clearTimeout(running.timer);
        this.#opened?.resolve(facts);
        this.#opened = null;
        this.#pump();
      },
      done: (result) => this.#free(running)?.done(result),
      failed: (error) => this.#free(running)?.failed(error),
      gone: (error) => this.#gone(running, error),
    });
    const late = () => {
      void thread.end();
      this.#gone(
        running,
        new ShoalError('INTERNAL', `a worker thread was not ready in ${THREAD_START_MS} ms`),
      );
    };
    const timer = setTimeout(late, THREAD_START_MS);
    const running: Running<Job, Facts, Result> = { thread, job: null, timer };
    this.#threads.add(running);
  }

  /** Its job is over, and the next may begin. */
  #free(running: Running<Job, Facts, Result>): Waiting<Job, Result> | null {
    const { job } = running;
    clearTimeout(running.timer);
    running.job = null;
    this.#pump();
    return job;
  }

  #gone(running: Running<Job, Facts, Result>, error: ShoalError): void {
    clearTimeout(running.timer);
    this.#threads.delete(running);
    running.job?.failed(this.#options.tooCostly());
    this.#opened?.reject(error);
    this.#opened = null;
    // One that cannot even start will not do better at once: whoever waits for it is told, and the next job tries again.
    if (running.thread.isReady) this.#pump();
    else if (this.#threads.size === 0) for (const waiting of this.#waiting.splice(0)) waiting.failed(error);
  }

  #pump(): void {
    if (this.#isClosed) return;
    for (const running of this.#threads) {
      if (!running.thread.isIdle) continue;
      const next = this.#waiting.findIndex(({ isLarge }) => !isLarge || this.#takesLarge());
      if (next < 0) break;
      this.#begin(running, this.#waiting.splice(next, 1)[0]!);
    }
    const isStarting = [...this.#threads].some(({ thread }) => !thread.isReady);
    if (this.#waiting.length > 0 && !isStarting && this.#threads.size < this.#options.threads) this.#start();
  }

  #takesLarge(): boolean {
    const large = [...this.#threads].filter(({ job }) => job?.isLarge === true).length;
    return large < Math.max(1, this.#options.threads - 1);
  }

  #begin(running: Running<Job, Facts, Result>, job: Waiting<Job, Result>): void {
    this.#taken = Math.max(this.#taken, job.round);
    running.job = job;
    const late = () => {
      void running.thread.end();
      this.#gone(running, this.#options.tooCostly());
    };
    running.timer = setTimeout(late, this.#options.limitMs);
    running.thread.begin(job.job);
  }

  #drop(waiting: Waiting<Job, Result>, error: ShoalError): void {
    const at = this.#waiting.indexOf(waiting);
    if (at >= 0) this.#waiting.splice(at, 1);
    waiting.failed(error);
  }

  #places(): Map<string, number> {
    const places = new Map<string, number>();
    const running = [...this.#threads].flatMap(({ job }) => (job === null ? [] : [job]));
    for (const { client } of [...this.#waiting, ...running])
      places.set(client, (places.get(client) ?? 0) + 1);
    return places;
  }
}

const closed = () => new ShoalError('ABORTED', 'the server is shutting down; send the request again');

function full(): ShoalError {
  return new ShoalError(
    'OVERLOADED',
    `${MAX_WAITING_JOBS} prompts wait to be read, which is all that the server takes; try again later`,
    { retryAfterSeconds: RETRY_AFTER_SECONDS },
  );
}
