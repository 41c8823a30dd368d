import { MAX_LINKS } from '../../../config/limits.ts';
import type { PeerMessage } from '../../../mesh/protocol/control.ts';
import type { Peer } from './peer.ts';

/** Whom workers hear over their links, those included that this server does not know (yet): who is heard may be on its way back. */
export class Hearsay {
  readonly #heardBy = new Map<Peer, Set<string>>();

  /** @param links that it has, and hears something on */
  joined(peer: Peer, links: readonly string[]): void {
    this.#heardBy.set(peer, new Set(links));
  }

  told(peer: Peer, about: string, state: Extract<PeerMessage, { type: 'link' }>['state']): void {
    const heard = this.#heardBy.get(peer);
    if (state !== 'up') heard?.delete(about);
    else if (heard !== undefined && heard.size < MAX_LINKS) heard.add(about);
  }

  forget(peer: Peer): void {
    this.#heardBy.delete(peer);
  }

  /** Whether a worker that is connected hears the peer of that id. */
  isHeard(id: string): boolean {
    return this.#voices().some((heard) => heard.has(id));
  }

  /** Whether a worker that is connected hears somebody who is not among those that `isHere`. */
  hearsOther(isHere: (id: string) => boolean): boolean {
    return this.#voices().some((heard) => [...heard].some((id) => !isHere(id)));
  }

  #voices(): Set<string>[] {
    return [...this.#heardBy].flatMap(([peer, heard]) => (peer.isWorker && !peer.isAway ? [heard] : []));
  }
}
