import type { Capability } from '../../../mesh/protocol/control.ts';
import type { Peer } from './peer.ts';

/** What workers said when they joined last: one that says the same again changes nothing, and nobody is looked at for it. */
export class Joins {
  readonly #said = new WeakMap<Peer, string>();

  /** @returns whether it is other than the last time, on this connection */
  isNew(peer: Peer, capability: Capability, links: readonly string[]): boolean {
    const says = JSON.stringify([capability, links]);
    const isNew = this.#said.get(peer) !== says;
    this.#said.set(peer, says);
    return isNew;
  }

  /** It is away, or lends nothing any more. */
  forget(peer: Peer): void {
    this.#said.delete(peer);
  }
}
