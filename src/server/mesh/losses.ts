import { MAX_LOSSES_TOLD } from '../../config/limits.ts';
import type { Loss } from '../../mesh/protocol/status.ts';

/** Whom the mesh has lost since a pipeline served: what it tells people while it gets over it. */
export class Losses {
  #id = 0;
  #lost: readonly Loss[] = [];

  /** @param wasServing the pipeline that it ended had served; otherwise one that was loading in place of it */
  add(loss: Loss, wasServing: boolean): void {
    // Before anything was served nobody waits for an answer to go on.
    if (!wasServing && this.#lost.length === 0) return;
    this.#id++;
    this.#lost = [...(wasServing ? [] : this.#lost), loss].slice(-MAX_LOSSES_TOLD);
  }

  get told(): { readonly id: number; readonly lost: readonly Loss[] } {
    return { id: this.#id, lost: this.#lost };
  }
}
