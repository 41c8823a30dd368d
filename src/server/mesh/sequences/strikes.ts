import { MAX_STRIKES } from '../../../config/limits.ts';
import type { Peer } from '../peers/peer.ts';
import type { MeshRoute } from '../routes/mesh-route.ts';

/**
 * Failures in a row: of workers that reported them, of routes (by their last worker) that fell silent, of workers and links that
 * sequences were lost with. A token ends the row.
 */
export class Strikes {
  readonly #reported = new WeakMap<Peer, number>();
  readonly #silent = new WeakMap<Peer, number>();
  readonly #lost = new WeakMap<Peer, number>();
  /** Of each end, by the other. */
  readonly #links = new WeakMap<Peer, WeakMap<Peer, number>>();

  /** @returns whether it was one too many; the row starts anew then */
  reported(peer: Peer): boolean {
    return strike(this.#reported, peer);
  }

  /** @returns as `reported` */
  silent(route: MeshRoute): boolean {
    return strike(this.#silent, route.stops.at(-1)!.peer);
  }

  /** The worker no longer had what ran on it: it was away, or holds its layers no more. However much that was, it is one. @returns as `reported` */
  lost(peer: Peer): boolean {
    return strike(this.#lost, peer);
  }

  /** The link broke under what ran over it, however soon it was there again. @returns as `reported` */
  broke(a: Peer, b: Peer): boolean {
    const [one, other] = a.id < b.id ? [a, b] : [b, a];
    const ends = this.#links.get(one) ?? new WeakMap<Peer, number>();
    this.#links.set(one, ends);
    return strike(ends, other);
  }

  /** The route, all its stages and its links work: a token came out. */
  clear({ stops }: MeshRoute): void {
    for (const [index, { peer }] of stops.entries()) {
      this.#reported.delete(peer);
      this.#silent.delete(peer);
      this.#lost.delete(peer);
      const next = stops[(index + 1) % stops.length]!.peer;
      this.#links.get(peer)?.delete(next);
      this.#links.get(next)?.delete(peer);
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
