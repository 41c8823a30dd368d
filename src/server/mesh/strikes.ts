import { MAX_STRIKES } from '../../config/limits.ts';
import type { Pipeline } from './pipeline.ts';
import type { Peer } from './registry.ts';

/** Failures in a row, of workers that reported them and of pipelines that fell silent. A token ends the row. */
export class Strikes {
  readonly #counts = new WeakMap<Peer | Pipeline, number>();

  /** @returns whether it was one too many; the row starts anew then */
  add(who: Peer | Pipeline): boolean {
    const count = (this.#counts.get(who) ?? 0) + 1;
    this.#counts.set(who, count);
    if (count < MAX_STRIKES) return false;
    this.#counts.delete(who);
    return true;
  }

  /** The pipeline and all its stages work: a token came out. */
  clear(pipeline: Pipeline): void {
    this.#counts.delete(pipeline);
    for (const { peer } of pipeline.stages) {
      this.#counts.delete(peer);
      peer.served();
    }
  }
}
