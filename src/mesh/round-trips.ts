import { LINK_DEAD_MS, LINK_PING_MS } from '../config/limits.ts';

export interface RoundTripStats {
  readonly lastMs: number;
  /** Exponential mean; a new sample counts an eighth, as in TCP (RFC 6298). */
  readonly meanMs: number;
  readonly minMs: number;
  readonly samples: number;
}

const SAMPLE_WEIGHT = 1 / 8;
/** Pings on their way at once: beyond this the link is dead. */
const MAX_OUTSTANDING = Math.ceil(LINK_DEAD_MS / LINK_PING_MS) + 1;

/** Numbers pings and times their pongs. */
export class RoundTrips {
  private readonly outstanding = new Map<number, number>();
  private next = 0;
  private current: RoundTripStats | null = null;

  get stats(): RoundTripStats | null {
    return this.current;
  }

  /** A ping leaves. @returns its number */
  left(nowMs: number): number {
    const number = this.next;
    this.next = (number + 1) >>> 0;
    this.outstanding.set(number, nowMs);
    if (this.outstanding.size > MAX_OUTSTANDING) {
      for (const oldest of this.outstanding.keys()) {
        this.outstanding.delete(oldest);
        break;
      }
    }
    return number;
  }

  /** A pong came; one that answers no ping of ours is ignored. */
  returned(number: number, nowMs: number): void {
    const leftAtMs = this.outstanding.get(number);
    if (leftAtMs === undefined) return;
    this.outstanding.delete(number);
    const lastMs = nowMs - leftAtMs;
    const before = this.current;
    this.current = {
      lastMs,
      meanMs: before === null ? lastMs : before.meanMs + SAMPLE_WEIGHT * (lastMs - before.meanMs),
      minMs: before === null ? lastMs : Math.min(before.minMs, lastMs),
      samples: (before?.samples ?? 0) + 1,
    };
  }
}
