import { MAX_UNACKED_CHUNKS, PREFILL_CHUNK_ROWS, TOKEN_DEADLINE_MS } from '../../../config/limits.ts';
import { RoundTimes, tokenDeadlineMs } from '../../../schedule/token-deadline.ts';
import type { Peer } from '../peers/peer.ts';
import type { MeshRoute } from '../routes/mesh-route.ts';
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
    return this.#within(route, this.#queue.waitingMs(route, MAX_UNACKED_CHUNKS * PREFILL_CHUNK_ROWS));
  }

  /** For the first token of an answer, prefill apart: shaders may have to be compiled, but not where many tokens came before. */
  firstDeadlineMs(route: MeshRoute): number {
    const isMeasured = route.stops.every(({ peer }) => this.#longMs(peer) !== null);
    return isMeasured ? this.bareDeadlineMs(route) : TOKEN_DEADLINE_MS;
  }

  /** Prefill apart. */
  bareDeadlineMs(route: MeshRoute): number {
    return this.#within(route, 0);
  }

  #within(route: MeshRoute, waitingMs: number): number {
    return tokenDeadlineMs({
      longMs: route.stops.map(({ peer }) => this.#longMs(peer)),
      expectedMs: this.#expectedMs(route),
      waitingMs,
    });
  }

  #longMs(peer: Peer): number | null {
    return this.#rounds.get(peer)?.longMs ?? null;
  }
}
