import { type Sleep, sleepWithTimer } from '../model/sleep.ts';

/** Time as the backends see it, passed in so that waits are tested without waiting. */
export interface Clock {
  /** Milliseconds, monotonic. */
  now(): number;
  /** Milliseconds since 1970, for timestamps only. */
  epochMs(): number;
  readonly sleep: Sleep;
}

export const systemClock: Clock = {
  now: () => performance.now(),
  epochMs: () => Date.now(),
  sleep: sleepWithTimer,
};
