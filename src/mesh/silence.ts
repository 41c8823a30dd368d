import {
  LINK_DEAD_MS,
  LINK_PAUSE_WINDOW_MS,
  LINK_SILENT_MAX_MS,
  LINK_SILENT_MIN_MS,
  LINK_SILENT_PAUSES,
} from '../config/limits.ts';

/** `silent`: longer quiet than this link's own past explains, though nothing says that it is gone. */
export type LinkLiveness = 'up' | 'silent' | 'dead';

/**
 * Whether the other end of a link lives, from the times at which something came. How long a pause may be follows from the pauses of late
 * (as φ-accrual detectors do, with the longest instead of a distribution): a steady link is judged after three pings, a jittery one later.
 */
export class Silence {
  #pingMs: number;
  #heardAtMs: number;
  #nextCheckMs: number;
  /** The longest pause of this window and of the one before. */
  #longest: readonly [number, number] = [0, 0];
  #windowFromMs: number;

  /** @param pingMs something comes this often, where all is well */
  constructor(nowMs: number, pingMs: number) {
    this.#pingMs = pingMs;
    this.#heardAtMs = nowMs;
    this.#nextCheckMs = nowMs + pingMs;
    this.#windowFromMs = nowMs;
  }

  /**
   * Something is expected at another pace from here on; pauses at the old one say nothing about it.
   * @param roundTripMs until the first of it can come: over half the world that is longer than the silence that is allowed
   */
  pace(nowMs: number, pingMs: number, roundTripMs: number): void {
    if (pingMs === this.#pingMs) return;
    this.#pingMs = pingMs;
    this.#longest = [0, 0];
    this.#windowFromMs = nowMs;
    const graceMs = Math.min(roundTripMs, LINK_SILENT_MAX_MS);
    this.#heardAtMs = Math.max(this.#heardAtMs, nowMs - pingMs + graceMs);
  }

  /** Bytes came. */
  heard(nowMs: number): void {
    const pause = nowMs - this.#heardAtMs;
    this.#heardAtMs = nowMs;
    if (nowMs - this.#windowFromMs >= LINK_PAUSE_WINDOW_MS) {
      this.#longest = [0, this.#longest[0]];
      this.#windowFromMs = nowMs;
    }
    this.#longest = [Math.max(this.#longest[0], pause), this.#longest[1]];
  }

  /** When to `check` next, in milliseconds from now: with every ping, and when the link becomes silent. */
  planCheck(nowMs: number): number {
    const untilSilentMs = this.#heardAtMs + this.allowedMs - nowMs;
    const delayMs = untilSilentMs > 0 ? Math.min(this.#pingMs, untilSilentMs) : this.#pingMs;
    this.#nextCheckMs = nowMs + delayMs;
    return delayMs;
  }

  /**
   * A check that comes later than planned tells that this side was held up: what arrived meanwhile waits to be read, so that time is not
   * held against the other.
   */
  check(nowMs: number): LinkLiveness {
    const lateMs = nowMs - this.#nextCheckMs;
    if (lateMs > this.#pingMs / 2) this.#heardAtMs = Math.min(nowMs, this.#heardAtMs + lateMs);
    const quietMs = this.quietMs(nowMs);
    if (quietMs >= LINK_DEAD_MS) return 'dead';
    return quietMs >= this.allowedMs ? 'silent' : 'up';
  }

  /** Milliseconds since the last sign of life. */
  quietMs(nowMs: number): number {
    return nowMs - this.#heardAtMs;
  }

  /** The pause after which the link counts as silent. */
  get allowedMs(): number {
    // The ping on its way counts too: with slow pings a pause of one is no news.
    const pauses = LINK_SILENT_PAUSES * Math.max(...this.#longest, this.#pingMs / 2);
    const most = Math.max(LINK_SILENT_MAX_MS, 3 * this.#pingMs);
    return Math.min(Math.max(pauses, LINK_SILENT_MIN_MS), most);
  }
}
