import { MAX_STRIKES } from '../../../config/limits.ts';
import type { Peer } from '../peers/peer.ts';
import type { MeshRoute } from '../routes/mesh-route.ts';

/** Failures in a row, of workers that reported them and of routes (by their last worker) that fell silent. A token ends the row. */
export class Strikes {
  readonly #reported = new WeakMap<Peer, number>();
  readonly #silent = new WeakMap<Peer, number>();

  /** @returns whether it was one too many; the row starts anew then */
  reported(peer: Peer): boolean {
    return strike(this.#reported, peer);
  }

  /** @returns as `reported` */
  silent(route: MeshRoute): boolean {
    return strike(this.#silent, route.stops.at(-1)!.peer);
  }

  /** The route and all its stages work: a token came out. */
  clear(route: MeshRoute): void {
    for (const { peer } of route.stops) {
      this.#reported.delete(peer);
      this.#silent.delete(peer);
    }
  }
}

function strike(counts: WeakMap<Peer, number>, peer: Peer): boolean {
  const count = (counts.get(peer) ?? 0) + 1;
  counts.set(peer, count);
  if (count < MAX_STRIKES) return false;
  counts.delete(peer);
  return true;
}
