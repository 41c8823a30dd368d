import { signal } from '@preact/signals';
import { type Status, statusSchema } from '../mesh/protocol/status.ts';

const POLL_MS = 1_000;
/** While something loads, or an answer waits for it: people watch. */
const WATCH_MS = 250;

/** The newest answer of `/api/status`, null before the first, and whether the last poll failed. */
export const status = signal<Status | null>(null);
export const serverReachable = signal(true);

/** Polls until `abort`; a hidden page does not poll. */
export function pollStatus(abort: AbortSignal): void {
  const poll = async () => {
    if (!document.hidden) {
      try {
        const response = await fetch('api/status', {
          signal: AbortSignal.any([abort, AbortSignal.timeout(5_000)]),
        });
        status.value = statusSchema.parse(await response.json());
        serverReachable.value = true;
      } catch {
        if (abort.aborted) return;
        serverReachable.value = false;
      }
    }
    const isMoving = status.value?.loading != null || status.value?.recovery != null;
    if (!abort.aborted) setTimeout(poll, isMoving && serverReachable.value ? WATCH_MS : POLL_MS);
  };
  void poll();
}
