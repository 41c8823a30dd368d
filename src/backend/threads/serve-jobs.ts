import type { MessagePort, TransferListItem } from 'node:worker_threads';
import { ShoalError } from '../../config/errors.ts';
import { type JobMessage, jobError, type ThreadMessage } from './messages.ts';

export interface Work<Job, Facts, Result> {
  readonly facts: Facts;
  /** @throws what the client is to be told */
  readonly work: (job: Job) => Result;
  /** What goes without a copy. */
  readonly transfer?: (result: Result) => readonly TransferListItem[];
}

/** The thread's side of a `ThreadPool`: reads what it needs with `open`, then does one job after the other. */
export async function serveJobs<Job, Facts, Result>(
  port: MessagePort,
  open: () => Promise<Work<Job, Facts, Result>>,
): Promise<void> {
  const send = (message: ThreadMessage<Facts, Result>, transfer: readonly TransferListItem[] = []) =>
    port.postMessage(message, transfer);
  let opened: Work<Job, Facts, Result>;
  try {
    opened = await open();
  } catch (thrown) {
    send({ type: 'unfit', error: jobError(ShoalError.from(thrown)) });
    return;
  }
  const { facts, work, transfer } = opened;
  port.on('message', ({ id, job }: JobMessage<Job>) => {
    try {
      const result = work(job);
      send({ type: 'done', id, result }, transfer?.(result));
    } catch (thrown) {
      send({ type: 'failed', id, error: jobError(ShoalError.from(thrown)) });
    }
  });
  send({ type: 'ready', facts });
}
