import { MAX_UNACKED_CHUNKS, PREFILL_CHUNK_ROWS, PREFILL_MS_PER_POSITION } from '../../config/limits.ts';
import { RoundTimes, tokenDeadlineMs } from '../../schedule/token-deadline.ts';
import type { MeshRoute } from './mesh-route.ts';
import type { Peer } from './peer.ts';
import type { PrefillQueue } from './prefill-queue.ts';

/** How long the next token of a route may take, from the rounds that its workers have been part of. */
export class Patience {
  readonly #rounds = new WeakMap<Peer, RoundTimes>();
  readonly #queue: PrefillQueue;
  readonly #expectedMs: (route: MeshRoute) => number;

  /** @param expectedMs of one token, as the stages say, times who shares them */
  constructor(queue: PrefillQueue, expectedMs: (route: MeshRoute) => number) {
    this.#queue = queue;
    this.#expectedMs = expectedMs;
  }

  /** A token came so long after the one before it on the same route. */
  note({ stops }: MeshRoute, ms: number): void {
    for (const { peer } of stops) {
      const rounds = this.#rounds.get(peer) ?? new RoundTimes();
      rounds.note(ms);
      this.#rounds.set(peer, rounds);
    }
  }

  /** For a token behind which others may prefill: in chunks, of which so many at most stand before it. */
  deadlineMs(route: MeshRoute): number {
    const rows = Math.min(this.#queue.positionsOn(route), MAX_UNACKED_CHUNKS * PREFILL_CHUNK_ROWS);
    return this.#within(route, rows * PREFILL_MS_PER_POSITION);
  }

  /** Prefill apart. */
  bareDeadlineMs(route: MeshRoute): number {
    return this.#within(route, 0);
  }

  #within(route: MeshRoute, waitingMs: number): number {
    return tokenDeadlineMs({
      longMs: route.stops.map(({ peer }) => this.#rounds.get(peer)?.longMs ?? null),
      expectedMs: this.#expectedMs(route),
      waitingMs,
    });
  }
}
