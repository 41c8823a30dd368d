/** A thread whose jobs do as they are told. */
import { parentPort, workerData } from 'node:worker_threads';
import { serveJobs } from '../../src/backend/threads/serve-jobs.ts';
import { ShoalError } from '../../src/config/errors.ts';

export type TestJob = 'answer' | 'refuse' | 'break' | 'spin' | 'crash';

let done = 0;
await serveJobs(parentPort!, async () => {
  if (workerData === 'unfit') throw new ShoalError('TOKENIZER_INVALID', 'no tokenizer');
  return {
    facts: workerData as unknown,
    work(job: TestJob): number {
      if (job === 'refuse') throw new ShoalError('INVALID_REQUEST', 'no', { param: 'messages' });
      if (job === 'break') throw new TypeError('a fault');
      if (job === 'crash') process.exit(3);
      while (job === 'spin');
      return ++done;
    },
  };
});
