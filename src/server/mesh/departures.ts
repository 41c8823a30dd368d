import type { Holdings } from './holdings/holdings.ts';
import type { WantedLinks } from './holdings/wanted-links.ts';
import type { Peer } from './peers/peer.ts';
import type { MeshRoute } from './routes/mesh-route.ts';

/** Who goes, or seems to be gone: workers that wish to stop, that are away, or silent, and nobody vouches for, links that fell silent. */
export class Departures {
  readonly #holdings: Holdings;
  readonly #links: WantedLinks;
  readonly #isSilent: (peer: Peer) => boolean;
  /** Heard by nobody. */
  #mute: ReadonlySet<Peer> = new Set();
  readonly #lost = new Set<Peer>();
  /** Whether it was told that nothing runs there any more. */
  readonly #draining = new Map<Peer, { released: boolean }>();
  readonly #silent = new Map<Peer, Set<Peer>>();

  /** @param isSilent whether the server has not heard a peer for too long */
  constructor(holdings: Holdings, links: WantedLinks, isSilent: (peer: Peer) => boolean) {
    this.#holdings = holdings;
    this.#links = links;
    this.#isSilent = isSilent;
  }

  isLost(peer: Peer): boolean {
    return this.#lost.has(peer);
  }

  /** Neither the server nor a neighbour hears it, though its socket stands: frozen, or cut off. */
  isMute(peer: Peer): boolean {
    return this.#mute.has(peer);
  }

  isDraining(peer: Peer): boolean {
    return this.#draining.has(peer);
  }

  /** @returns whether it had not wished to before */
  drain(peer: Peer): boolean {
    if (this.#draining.has(peer)) return false;
    this.#draining.set(peer, { released: false });
    return true;
  }

  /** It has joined again, and counts on being used. */
  returned(peer: Peer): void {
    this.#lost.delete(peer);
    this.#draining.delete(peer);
  }

  forget(peer: Peer): void {
    this.returned(peer);
    this.#silent.delete(peer);
  }

  /**
   * Of those whose socket has closed, the ones that are not merely out of our sight: no neighbour hears them, or one of them
   * does not.
   * @param isBlackout whether nobody being there to hear them says nothing
   */
  newlyLost(away: readonly Peer[], isBlackout: boolean): Peer[] {
    const lost = away.filter((peer) => {
      if (this.#lost.has(peer)) return false;
      const told = this.#links.toldOf(peer, this.#isSilent);
      return told.some((state) => state !== 'up') || (told.length === 0 && !isBlackout);
    });
    for (const peer of lost) this.#lost.add(peer);
    return lost;
  }

  /** Of those whom the server does not hear: who is mute, and was not. */
  newlyMute(silent: Iterable<Peer>): Peer[] {
    const mute = [...silent].filter(
      (peer) => peer.isWorker && !this.#links.toldOf(peer, this.#isSilent).includes('up'),
    );
    const before = this.#mute;
    this.#mute = new Set(mute);
    return mute.filter((peer) => !before.has(peer));
  }

  /** Tells who wishes to stop that nothing runs there any more. */
  release(peer: Peer): void {
    const state = this.#draining.get(peer);
    if (state === undefined || state.released || this.#isInUse(peer)) return;
    state.released = true;
    peer.connection.send({ type: 'released' });
  }

  /** Links that have fallen silent and that `route`, on which sequences may go on, does without; each once. */
  newlySilent(route: MeshRoute): [Peer, Peer][] {
    const silent = this.#links.silent();
    for (const [a, others] of this.#silent) {
      for (const b of others) if (this.#links.state(a, b) !== 'silent') others.delete(b);
    }
    const { stops } = route;
    const isOn = (a: Peer, b: Peer) =>
      stops.some(({ peer }, index) => {
        const next = stops[(index + 1) % stops.length]!.peer;
        return (peer === a && next === b) || (peer === b && next === a);
      });
    return silent.filter(([a, b]) => {
      const told = this.#silent.get(a) ?? new Set();
      if (told.has(b) || isOn(a, b)) return false;
      this.#silent.set(a, told.add(b));
      return true;
    });
  }

  /** Sequences run on it. */
  #isInUse(peer: Peer): boolean {
    return this.#holdings.of(peer).some(({ sequences }) => sequences > 0);
  }
}
