/**
 * Who may follow whom on a route, and of many the few to keep links to. A full graph of neighbouring ranges is millions of
 * links at ten thousand workers; a few a worker and way do, as in gossipsub (libp2p: 6 of a mesh, made up when there are fewer than
 * 4 or 5) and Petals (servers measure 5 of those that come next). Here a worker's links lead to its like: who is among the
 * quickest of its range to the quickest of the next, since those are who a route leads over together. Pure.
 */
import type { LayerRange } from './mesh-view.ts';

export interface Holder<P> extends LayerRange {
  readonly peer: P;
}

/** Of one border: who comes to it, and who goes on from it, the quickest first. */
interface Border<P> {
  readonly before: readonly P[];
  readonly after: readonly P[];
}

export class Neighbours<P> {
  readonly #holders: readonly Holder<P>[];
  readonly #layers: number;
  readonly #borders = new Map<number, Border<P>>();
  /** Where somebody's range ends. */
  readonly #ends: readonly number[];
  readonly #places = new Map<readonly P[], Map<P, number>>();

  /** @param holders the quickest first */
  constructor(holders: readonly Holder<P>[], layers: number) {
    this.#holders = holders;
    this.#layers = layers;
    this.#ends = [...new Set(holders.map((holder) => this.borderAfter(holder)))];
  }

  /** From the last layer a token goes back to the first. */
  borderAfter({ end }: LayerRange): number {
    return end === this.#layers ? 0 : end;
  }

  /** Borders at which a worker may go on from others: a stage may use part of what is held. */
  bordersIn({ start, end }: LayerRange): number[] {
    return this.#ends.filter((border) => border >= start && border < end);
  }

  /** Those who go on from the border, those most like `peer` among who comes to it first. */
  *after(border: number, peer: P): Generator<P> {
    const { before, after } = this.#at(border);
    yield* this.#around(after, this.#share(before, peer));
  }

  /** Those who come to the border, those most like `peer` among who goes on from it first. */
  *before(border: number, peer: P): Generator<P> {
    const { before, after } = this.#at(border);
    yield* this.#around(before, this.#share(after, peer));
  }

  /** Those who hold all of the range, the quickest first. */
  covering({ start, end }: LayerRange): Holder<P>[] {
    return this.#holders.filter((holder) => holder.start <= start && holder.end >= end);
  }

  #at(border: number): Border<P> {
    const known = this.#borders.get(border);
    if (known !== undefined) return known;
    const made = {
      before: this.#holders.filter((holder) => this.borderAfter(holder) === border).map(({ peer }) => peer),
      after: this.#holders
        .filter(({ start, end }) => start <= border && end > border)
        .map(({ peer }) => peer),
    };
    this.#borders.set(border, made);
    return made;
  }

  /** Where it stands among those, from 0 for the quickest to 1. */
  #share(peers: readonly P[], peer: P): number {
    let places = this.#places.get(peers);
    if (places === undefined) {
      places = new Map(peers.map((one, index) => [one, index]));
      this.#places.set(peers, places);
    }
    return ((places.get(peer) ?? 0) + 0.5) / Math.max(1, peers.length);
  }

  *#around(peers: readonly P[], share: number): Generator<P> {
    const middle = Math.min(peers.length - 1, Math.floor(share * peers.length));
    for (let distance = 0; distance < peers.length; distance++) {
      const [up, down] = [middle - distance, middle + distance];
      if (up >= 0) yield peers[up]!;
      if (distance > 0 && down < peers.length) yield peers[down]!;
    }
  }
}

/** Whether frames may go from one to the other. */
export function leadsTo(from: LayerRange, to: LayerRange, layers: number): boolean {
  const border = from.end === layers ? 0 : from.end;
  return to.start <= border && to.end > border;
}
