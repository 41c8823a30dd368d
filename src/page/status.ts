import { signal } from '@preact/signals';
import { STATUS_POLL_WORKERS } from '../config/limits.ts';
import { type Status, statusSchema } from '../mesh/protocol/status.ts';
import { workerCount } from '../mesh/protocol/worker-counts.ts';
import { ownPeer } from './own-peer.ts';

const POLL_MS = 1_000;
/** While something loads or an answer comes in: a pause of a second is one that people wonder about. */
const WATCH_MS = 250;
let watchers = 0;

/** The newest answer of `/api/status`, null before the first, and whether the last poll failed. */
export const status = signal<Status | null>(null);
export const serverReachable = signal(true);

/** Polls more often. @returns the function that ends it */
export function watchStatus(): () => void {
  watchers++;
  return () => {
    watchers--;
  };
}

/** Polls until `abort`; a hidden page does not poll. */
export function pollStatus(abort: AbortSignal): void {
  const poll = async () => {
    if (!document.hidden) {
      try {
        const own = ownPeer.value;
        const response = await fetch(own === null ? 'api/status' : `api/status?peer=${own}`, {
          signal: AbortSignal.any([abort, AbortSignal.timeout(5_000)]),
        });
        status.value = statusSchema.parse(await response.json());
        serverReachable.value = true;
      } catch {
        if (abort.aborted) return;
        serverReachable.value = false;
      }
    }
    const isMoving = watchers > 0 || status.value?.loading != null;
    const pauseMs = isMoving && serverReachable.value ? WATCH_MS : POLL_MS;
    if (!abort.aborted) setTimeout(poll, pauseMs * crowding(status.value));
  };
  void poll();
}

/** All tabs of a large mesh together ask no more often than those of one of STATUS_POLL_WORKERS. */
export function crowding(found: Status | null): number {
  return found === null ? 1 : Math.max(1, workerCount(found) / STATUS_POLL_WORKERS);
}
