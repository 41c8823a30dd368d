import { MAX_LOSSES_TOLD } from '../../../config/limits.ts';
import type { Loss } from '../../../mesh/protocol/status.ts';
import type { Peer } from '../peers/peer.ts';
import type { MeshRoute } from '../routes/mesh-route.ts';

/** Whom the mesh has lost since a route served: what it tells people while it gets over it. */
export class Losses {
  #id = 0;
  #lost: readonly Loss[] = [];
  /** The route that served last, until somebody of it is lost. */
  #served: MeshRoute | null = null;

  serves(route: MeshRoute): void {
    this.#served = route;
  }

  /**
   * @param shard of the peer, that alone is lost; null: the peer is
   * @param live what serves now
   */
  add(peer: Peer, shard: number | null, how: Loss['how'], live: MeshRoute | null): void {
    const wasServing =
      this.#served?.stops.some((stop) => stop.peer === peer && (shard ?? stop.shard) === stop.shard) === true;
    if (wasServing) this.#served = live;
    // One that was loading in place of what was lost counts with it; before anything was served nobody waits for an answer to go on.
    if (!wasServing && (live !== null || this.#lost.length === 0)) return;
    this.#id++;
    this.#lost = [...(wasServing ? [] : this.#lost), { worker: peer.name, how }].slice(-MAX_LOSSES_TOLD);
  }

  get told(): { readonly id: number; readonly lost: readonly Loss[] } {
    return { id: this.#id, lost: this.#lost };
  }
}
