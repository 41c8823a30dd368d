import { afterEach, describe, expect, it } from 'vitest';
import type { ThreadHandle } from '../../../src/backend/threads/pool-thread.ts';
import { type JobContext, ThreadPool } from '../../../src/backend/threads/thread-pool.ts';
import { ShoalError } from '../../../src/config/errors.ts';
import { startThread } from '../../../src/config/installation.ts';
import { MAX_WAITING_JOBS } from '../../../src/config/limits.ts';
import type { TestJob } from '../../support/job-thread.ts';

const signal = new AbortController().signal;
const tooCostly = () => new ShoalError('PROMPT_TOO_COSTLY', 'too costly');
const settled = () => new Promise((resolve) => setImmediate(resolve));

/** A thread that does nothing until the test says so. */
class FakeThread implements ThreadHandle {
  readonly jobs: string[] = [];
  isEnded = false;
  #id = 0;
  readonly #listeners = new Map<string, (value: never) => void>();

  on(event: string, listener: (value: never) => void): void {
    this.#listeners.set(event, listener);
  }
  postMessage(message: unknown): void {
    const { id, job } = message as { id: number; job: string };
    this.#id = id;
    this.jobs.push(job);
  }
  async terminate(): Promise<void> {
    this.isEnded = true;
  }
  #tell(event: string, value: unknown): void {
    (this.#listeners.get(event) as (value: unknown) => void)(value);
  }
  ready(): void {
    this.#tell('message', { type: 'ready', facts: 'facts' });
  }
  done(): void {
    this.#tell('message', { type: 'done', id: this.#id, result: `${this.jobs.at(-1)}!` });
  }
  exits(): void {
    this.#tell('exit', 1);
  }
}

function setUp(threads = 1) {
  const started: FakeThread[] = [];
  const pool = new ThreadPool<string, string, string>({
    start: () => {
      const thread = new FakeThread();
      started.push(thread);
      return thread;
    },
    threads,
    limitMs: 60_000,
    tooCostly,
  });
  const opened = pool.open();
  const run = (job: string, context: Partial<JobContext> = {}) => pool.run(job, { signal, ...context });
  return { pool, started, opened, run };
}

describe('jobs', () => {
  it('wait for the thread to be ready, then go one after the other by client', async () => {
    const { pool, started, opened, run } = setUp();
    const results = ['a1', 'a2', 'a3', 'b1', 'c1'].map((job) => run(job, { client: job[0]! }));
    const [thread] = started;
    expect(thread!.jobs).toEqual([]);
    thread!.ready();
    expect(await opened).toBe('facts');
    for (let i = 0; i < 5; i++) thread!.done();
    expect(thread!.jobs).toEqual(['a1', 'b1', 'c1', 'a2', 'a3']);
    expect(await Promise.all(results)).toEqual(['a1!', 'a2!', 'a3!', 'b1!', 'c1!']);
    expect(started).toHaveLength(1);
    await pool.close();
  });

  it('start another thread where they wait, and large ones leave one free', async () => {
    const { pool, started, run } = setUp(2);
    started[0]!.ready();
    const large = [run('large 1', { isLarge: true }), run('large 2', { isLarge: true })];
    expect(started).toHaveLength(2);
    started[1]!.ready();
    expect(started[1]!.jobs).toEqual([]);
    const small = run('small');
    expect(started[1]!.jobs).toEqual(['small']);
    started[1]!.done();
    expect(await small).toBe('small!');
    started[0]!.done();
    expect(started.map(({ jobs }) => jobs)).toEqual([['large 1', 'large 2'], ['small']]);
    started[0]!.done();
    await Promise.all(large);
    await pool.close();
  });

  it('are taken out of the queue when their client hangs up; one that runs is left to end', async () => {
    const { pool, started, run } = setUp();
    started[0]!.ready();
    const client = new AbortController();
    const running = run('running', { signal: client.signal });
    const waiting = run('waiting', { signal: client.signal });
    const other = run('other');
    client.abort();
    await expect(running).rejects.toMatchObject({ code: 'ABORTED' });
    await expect(waiting).rejects.toMatchObject({ code: 'ABORTED' });
    expect(started[0]!.isEnded).toBe(false);
    started[0]!.done();
    expect(started[0]!.jobs).toEqual(['running', 'other']);
    started[0]!.done();
    expect(await other).toBe('other!');
    await pool.close();
  });

  it('wait in a bounded queue, where the client with the most gives way', async () => {
    const { pool, run } = setUp();
    const codeOf = (error: { code: string }) => error.code;
    const greedy = Array.from({ length: MAX_WAITING_JOBS }, (_, i) =>
      run(`${i}`, { client: 'a' }).catch(codeOf),
    );
    await expect(run('more', { client: 'a' })).rejects.toMatchObject({
      code: 'OVERLOADED',
      retryAfterSeconds: 2,
    });
    const modest = run('modest', { client: 'b' }).catch(codeOf);
    expect(await greedy.at(-1)).toBe('OVERLOADED');
    await pool.close();
    expect(await modest).toBe('ABORTED');
    expect(await greedy[0]).toBe('ABORTED');
    await expect(run('late')).rejects.toMatchObject({ code: 'ABORTED' });
  });

  it('are told when no thread can start, and the next one tries again', async () => {
    const { pool, started, run } = setUp();
    started[0]!.ready();
    const first = run('first');
    started[0]!.exits();
    await expect(first).rejects.toMatchObject({ code: 'PROMPT_TOO_COSTLY' });
    const second = run('second');
    started[1]!.exits();
    await expect(second).rejects.toMatchObject({ code: 'INTERNAL' });
    const third = run('third');
    started[2]!.ready();
    started[2]!.done();
    expect(await third).toBe('third!');
    await settled();
    await pool.close();
    expect(started[2]!.isEnded).toBe(true);
  });
});

describe('threads of Node', () => {
  let pool: ThreadPool<TestJob, unknown, number>;
  afterEach(() => pool.close());
  const open = (workerData: unknown, limitMs = 60_000) => {
    const entry = new URL('../../support/job-thread.ts', import.meta.url);
    pool = new ThreadPool({ start: () => startThread(entry, workerData), threads: 1, limitMs, tooCostly });
    return pool.open();
  };

  it('answer, refuse in the words meant for the client, and stay', async () => {
    expect(await open({ some: 'facts' })).toEqual({ some: 'facts' });
    expect(await pool.run('answer', { signal })).toBe(1);
    await expect(pool.run('refuse', { signal })).rejects.toMatchObject({
      code: 'INVALID_REQUEST',
      message: 'no',
      param: 'messages',
    });
    await expect(pool.run('break', { signal })).rejects.toMatchObject({ code: 'INTERNAL' });
    expect(await pool.run('answer', { signal })).toBe(2);
  });

  it.each(['spin', 'crash'] as const)(
    'end with a job that does %s, and another takes the next',
    async (job) => {
      await open(null, 500);
      const costly = pool.run(job, { signal });
      const next = pool.run('refuse', { signal });
      await expect(costly).rejects.toMatchObject({ code: 'PROMPT_TOO_COSTLY' });
      await expect(next).rejects.toMatchObject({ code: 'INVALID_REQUEST' });
    },
  );

  it('that cannot work say why', async () => {
    await expect(open('unfit')).rejects.toMatchObject({ code: 'TOKENIZER_INVALID', message: 'no tokenizer' });
  });
});
