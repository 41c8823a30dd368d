import { PREFILL_MS_PER_POSITION } from '../../config/limits.ts';
import type { MeshRoute } from './mesh-route.ts';
import type { Peer } from './peer.ts';

interface Queue {
  /** Positions of the peer's sequences that have no token yet: they share the stage with each other. */
  positions: number;
  /** When one of them had its first token (the server's clock). */
  prefilledAt: number;
}

/**
 * How long a first token may take: stages prefill all their sequences by turns, so the time is that of all their positions, from the
 * last time that one of them was through.
 */
export class PrefillQueue {
  readonly #queues = new WeakMap<Peer, Queue>();

  enter(route: MeshRoute, positions: number): void {
    for (const queue of this.#of(route)) queue.positions += positions;
  }

  /** @param prefilledAt when its first token came; null where none did */
  leave(route: MeshRoute, positions: number, prefilledAt: number | null): void {
    for (const queue of this.#of(route)) {
      queue.positions -= positions;
      if (prefilledAt !== null) queue.prefilledAt = prefilledAt;
    }
  }

  /** Positions that the busiest of its stages has to prefill. */
  positionsOn(route: MeshRoute): number {
    return Math.max(...this.#of(route).map(({ positions }) => positions));
  }

  /** When the first token of a sequence that started at `startedAt` is late. @param tokenMs that a token may take besides */
  dueAt(route: MeshRoute, startedAt: number, tokenMs: number): number {
    const dues = this.#of(route).map(
      ({ positions, prefilledAt }) =>
        Math.max(startedAt, prefilledAt) + tokenMs + positions * PREFILL_MS_PER_POSITION,
    );
    return Math.max(...dues);
  }

  #of(route: MeshRoute): Queue[] {
    return route.stops.map(({ peer }) => {
      const queue = this.#queues.get(peer) ?? { positions: 0, prefilledAt: Number.NEGATIVE_INFINITY };
      this.#queues.set(peer, queue);
      return queue;
    });
  }
}
