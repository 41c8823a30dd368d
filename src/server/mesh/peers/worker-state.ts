import { ShoalError } from '../../../config/errors.ts';

/**
 * Where a peer stands. `connected`: said hello, lends nothing. `joined`: lends its device, holds no layers: a spare, or left out
 * for a while. `loading`: its first shard loads. `serving`: it holds at least one. `away`: a worker without a socket, or one that
 * has come back and not yet said what it still holds; it may be itself again.
 */
export type WorkerState = 'connected' | 'joined' | 'loading' | 'serving' | 'leaving' | 'away' | 'gone';

const NEXT: Record<WorkerState, readonly WorkerState[]> = {
  connected: ['joined', 'gone'],
  joined: ['loading', 'serving', 'leaving', 'away', 'gone'],
  loading: ['serving', 'joined', 'leaving', 'away', 'gone'],
  serving: ['joined', 'loading', 'leaving', 'away', 'gone'],
  away: ['joined', 'leaving', 'gone'],
  // The page stays open after Leave, as a spectator.
  leaving: ['connected', 'gone'],
  gone: [],
};

/** Staying is always allowed. @throws INTERNAL with both names when the transition is not in the table */
export function checkTransition(from: WorkerState, to: WorkerState): void {
  if (from !== to && !NEXT[from].includes(to)) {
    throw new ShoalError('INTERNAL', `a worker in state '${from}' cannot go to '${to}'`);
  }
}
