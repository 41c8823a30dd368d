/** Who has been silent for too long. Pure: time is passed in. */
import { LIVENESS_IDLE_SILENT_MS, LIVENESS_SILENT_MS } from '../config/limits.ts';

interface Sign {
  readonly atMs: number;
  /** It holds a shard, and so speaks every second. */
  readonly isHolding: boolean;
}

export class SignsOfLife {
  /** Those that hold, and those that do not: in each the one that was silent longest is first. */
  readonly #holding = new Map<string, Sign>();
  readonly #idle = new Map<string, Sign>();

  heard(peer: string, nowMs: number): void {
    this.#set(peer, { atMs: nowMs, isHolding: this.#holding.has(peer) });
  }

  /** Not a sign of life: the server may know it from elsewhere. */
  holds(peer: string, isHolding: boolean): void {
    const sign = this.#of(peer);
    if (sign === undefined || sign.isHolding === isHolding) return;
    // Out of order by as long as it was silent: `nextSilentMs` looks past it.
    this.#set(peer, { ...sign, isHolding });
  }

  forget(peer: string): void {
    this.#holding.delete(peer);
    this.#idle.delete(peer);
  }

  /** Whether it has not been heard for so long that nothing new may begin with it. One that nobody knows is silent. */
  isSilent(peer: string, nowMs: number): boolean {
    const sign = this.#of(peer);
    return sign === undefined || silentAtMs(sign) <= nowMs;
  }

  /** When the next one will count as silent if it does not speak; null: nobody is left to. */
  nextSilentMs(nowMs: number): number | null {
    let next: number | null = null;
    for (const signs of [this.#holding, this.#idle]) {
      for (const sign of signs.values()) {
        const atMs = silentAtMs(sign);
        if (atMs <= nowMs) continue;
        next = Math.min(next ?? atMs, atMs);
        break;
      }
    }
    return next;
  }

  #of(peer: string): Sign | undefined {
    return this.#holding.get(peer) ?? this.#idle.get(peer);
  }

  #set(peer: string, sign: Sign): void {
    this.forget(peer);
    (sign.isHolding ? this.#holding : this.#idle).set(peer, sign);
  }
}

function silentAtMs({ atMs, isHolding }: Sign): number {
  return atMs + (isHolding ? LIVENESS_SILENT_MS : LIVENESS_IDLE_SILENT_MS);
}
