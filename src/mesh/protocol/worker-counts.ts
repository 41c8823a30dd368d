import type { Status } from './status.ts';

type Counted = Pick<Status, 'workers' | 'workerStates'>;

/** All workers, those included that the status does not name. */
export function workerCount({ workers, workerStates }: Counted): number {
  if (!workerStates) return workers.length;
  return Object.values(workerStates).reduce((sum, count) => sum + count, 0);
}

/** Of them, those that hold nothing and load nothing. @param named of those that the status names */
export function spareCount({ workerStates }: Counted, named: number): number {
  return Math.max(named, workerStates?.joined ?? 0);
}
