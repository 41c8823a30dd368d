import { signal } from '@preact/signals';
import { type Status, statusSchema } from '../mesh/protocol/status.ts';

const POLL_MS = 1_000;

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
    if (!abort.aborted) setTimeout(poll, POLL_MS);
  };
  void poll();
}
