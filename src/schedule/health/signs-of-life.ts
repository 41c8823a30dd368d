/** Who has been silent for too long. Pure: time is passed in. */
import {
  LIVENESS_IDLE_SILENT_MS,
  LIVENESS_RUNNING_SILENT_MS,
  LIVENESS_SILENT_MS,
} from '../../config/limits.ts';

/** How often a worker speaks: it holds nothing, it holds a shard, sequences run on it. */
export type SignPace = 'idle' | 'holding' | 'running';

interface Sign {
  readonly atMs: number;
  readonly pace: SignPace;
}

const SILENT_MS: Record<SignPace, number> = {
  idle: LIVENESS_IDLE_SILENT_MS,
  holding: LIVENESS_SILENT_MS,
  running: LIVENESS_RUNNING_SILENT_MS,
};

export class SignsOfLife {
  /** By pace: in each the one that was silent longest is first. */
  readonly #signs: Record<SignPace, Map<string, Sign>> = {
    idle: new Map(),
    holding: new Map(),
    running: new Map(),
  };

  heard(peer: string, nowMs: number): void {
    this.#set(peer, { atMs: nowMs, pace: this.#of(peer)?.pace ?? 'idle' });
  }

  /** Not a sign of life: the server may know it from elsewhere. @returns whether it is another than before */
  paced(peer: string, pace: SignPace): boolean {
    const sign = this.#of(peer);
    if (sign === undefined || sign.pace === pace) return false;
    // Out of order by as long as it was silent: `nextSilentMs` looks past it.
    this.#set(peer, { ...sign, pace });
    return true;
  }

  forget(peer: string): void {
    for (const signs of Object.values(this.#signs)) signs.delete(peer);
  }

  /** Whether it has not been heard for so long that nothing new may begin with it. One that nobody knows is silent. */
  isSilent(peer: string, nowMs: number): boolean {
    const sign = this.#of(peer);
    return sign === undefined || silentAtMs(sign) <= nowMs;
  }

  /** When the next one will count as silent if it does not speak; null: nobody is left to. */
  nextSilentMs(nowMs: number): number | null {
    let next: number | null = null;
    for (const signs of Object.values(this.#signs)) {
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
    const { idle, holding, running } = this.#signs;
    return running.get(peer) ?? holding.get(peer) ?? idle.get(peer);
  }

  #set(peer: string, sign: Sign): void {
    this.forget(peer);
    this.#signs[sign.pace].set(peer, sign);
  }
}

function silentAtMs({ atMs, pace }: Sign): number {
  return atMs + SILENT_MS[pace];
}
