import { positionDeadlineMs } from '../../../schedule/token-deadline.ts';
import type { Peer } from '../peers/peer.ts';
import type { MeshRoute } from '../routes/mesh-route.ts';

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

  /** What the slowest of its stages may take for the positions that it has to prefill, for so many of them at most. */
  waitingMs(route: MeshRoute, most: number): number {
    const waits = this.#of(route).map(
      ({ positions }, index) => Math.min(positions, most) * positionMs(route, index),
    );
    return Math.max(...waits);
  }

  /** When the first token of a sequence that started at `startedAt` is late. @param tokenMs that a token may take besides */
  dueAt(route: MeshRoute, startedAt: number, tokenMs: number): number {
    const dues = this.#of(route).map(
      ({ positions, prefilledAt }, index) =>
        Math.max(startedAt, prefilledAt) + tokenMs + positions * positionMs(route, index),
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

function positionMs({ stops }: MeshRoute, index: number): number {
  return positionDeadlineMs(stops[index]!.peer.stats?.prefillRowsPerSecond ?? null);
}
