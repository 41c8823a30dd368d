/** Which workers keep links to each other, and how these are, as their ends report. */

import type { Peer } from '../peers/peer.ts';
import { LinkChooser, type LinkOptions, type LinkWish } from './link-chooser.ts';

/** `unknown`: wanted, and no end has told of it yet. */
export type LinkState = 'unknown' | 'up' | 'silent' | 'down';
type Told = Exclude<LinkState, 'unknown'>;

/** A peer's own links: the other end, and what this one says of it. */
type Ends = Map<Peer, Told | null>;

export class WantedLinks {
  readonly #ends = new Map<Peer, Ends>();
  /** Those that have just gone, and may be made again in a moment. */
  readonly #falling = new Set<string>();
  /** Those that an end has called silent. */
  readonly #silent = new Map<string, readonly [Peer, Peer]>();
  readonly #chooser: LinkChooser;
  /** Whose links have changed, and who was not told yet. */
  readonly #changed = new Set<Peer>();

  constructor(options: LinkOptions) {
    this.#chooser = new LinkChooser(options, {
      of: (peer) => this.#ends.get(peer) ?? NONE,
      state: (a, b) => this.state(a, b),
      add: (a, b) => this.#add(a, b),
      remove: (a, b) => this.#remove(a, b),
    });
  }

  /** Wants links wherever frames may go: a few of each worker, and those that routes need. Tells whom it concerns. */
  update(wish: LinkWish): void {
    this.#chooser.update(wish);
    for (const peer of this.#changed) if (peer.isWorker) this.tell(peer);
    this.#changed.clear();
  }

  areWanted(a: Peer, b: Peer): boolean {
    return this.#ends.get(a)?.has(b) === true;
  }

  /** How many the peer is to have. */
  countOf(peer: Peer): number {
    return this.#ends.get(peer)?.size ?? 0;
  }

  /** Those to whom the peer's links are up. */
  upOf(peer: Peer): Peer[] {
    return [...(this.#ends.get(peer)?.keys() ?? [])].filter((other) => this.state(peer, other) === 'up');
  }

  /** Up when one end says so and none says otherwise. One that has just gone counts as silent until `settled`. */
  state(a: Peer, b: Peer): LinkState {
    const state = this.#told(a, b);
    return state === 'down' && this.#falling.has(keyOf(a, b)) ? 'silent' : state;
  }

  #told(a: Peer, b: Peer): LinkState {
    const [one, other] = [this.#ends.get(a)?.get(b) ?? null, this.#ends.get(b)?.get(a) ?? null];
    if (one === 'down' || other === 'down') return 'down';
    if (one === 'silent' || other === 'silent') return 'silent';
    return one ?? other ?? 'unknown';
  }

  /** What those who are connected, and heard, say of their links to `peer`. */
  toldOf(peer: Peer, isSilent: (other: Peer) => boolean): Told[] {
    const others = [...(this.#ends.get(peer)?.keys() ?? [])].filter(
      (other) => !other.isAway && !isSilent(other),
    );
    return others.flatMap((other) => this.#ends.get(other)?.get(peer) ?? []);
  }

  /** @returns whether it is gone since this report; null where nobody wants it, or the reporter said so before */
  report(reporter: Peer, other: Peer, state: Told): boolean | null {
    const ends = this.#ends.get(reporter);
    if (!ends?.has(other) || ends.get(other) === state) return null;
    const before = this.#told(reporter, other);
    ends.set(other, state);
    if (state === 'silent') this.#silent.set(keyOf(reporter, other), [reporter, other]);
    const hasGone = this.#told(reporter, other) === 'down' && before !== 'down';
    if (hasGone) this.#falling.add(keyOf(reporter, other));
    return hasGone;
  }

  /** It had its time to be made again. @returns whether it was not */
  settled(a: Peer, b: Peer): boolean {
    const isDown = this.#falling.delete(keyOf(a, b)) && this.#told(a, b) === 'down';
    if (isDown) this.#chooser.reconsider(a, b);
    return isDown;
  }

  /** After a `join`: the worker is told its links, even none (it may have some of a server before this one), and says how they are. @returns whether it says otherwise of one than before */
  joined(peer: Peer, open: readonly string[]): boolean {
    const ends = this.#ends.get(peer) ?? new Map<Peer, Told | null>();
    let isOther = false;
    for (const [other, before] of ends) {
      const told = open.includes(other.id) ? 'up' : null;
      isOther ||= told !== before;
      ends.set(other, told);
    }
    this.tell(peer);
    return isOther;
  }

  /** One that was given up is to be tried again. */
  retry(a: Peer, b: Peer): void {
    if (this.state(a, b) !== 'down') return;
    this.#ends.get(a)?.set(b, null);
    this.#ends.get(b)?.set(a, null);
    for (const peer of [a, b]) this.tell(peer);
  }

  /** Links that are silent, though nothing says that they are gone. */
  silent(): [Peer, Peer][] {
    return [...this.#silent].flatMap(([key, [a, b]]): [Peer, Peer][] => {
      const isSaid = this.#ends.get(a)?.get(b) === 'silent' || this.#ends.get(b)?.get(a) === 'silent';
      if (!isSaid) this.#silent.delete(key);
      return this.#told(a, b) === 'silent' ? [a.id < b.id ? [a, b] : [b, a]] : [];
    });
  }

  /** How many there are in each state. */
  counts(): Record<LinkState, number> {
    const counts = { unknown: 0, up: 0, silent: 0, down: 0 };
    for (const [peer, ends] of this.#ends) {
      for (const other of ends.keys()) if (peer.id < other.id) counts[this.state(peer, other)]++;
    }
    return counts;
  }

  forget(peer: Peer): void {
    for (const other of [...(this.#ends.get(peer)?.keys() ?? [])]) {
      this.#remove(peer, other);
      this.#chooser.reconsider(other);
    }
    this.#ends.delete(peer);
    this.#changed.delete(peer);
  }

  tell(peer: Peer): void {
    const others = [...(this.#ends.get(peer)?.keys() ?? [])];
    peer.connection.send({
      type: 'links',
      peers: others.map(({ id, name }) => ({ peer: id, name })),
    });
  }

  #add(a: Peer, b: Peer): void {
    for (const [peer, other] of [
      [a, b],
      [b, a],
    ] as const) {
      const ends = this.#ends.get(peer) ?? new Map<Peer, Told | null>();
      this.#ends.set(peer, ends);
      if (!ends.has(other)) ends.set(other, null);
      this.#changed.add(peer);
    }
  }

  #remove(a: Peer, b: Peer): void {
    for (const [peer, other] of [
      [a, b],
      [b, a],
    ] as const) {
      const ends = this.#ends.get(peer);
      if (ends?.delete(other) !== true) continue;
      if (ends.size === 0) this.#ends.delete(peer);
      this.#changed.add(peer);
    }
    this.#falling.delete(keyOf(a, b));
  }
}

const NONE: ReadonlyMap<Peer, unknown> = new Map();

function keyOf(a: Peer, b: Peer): string {
  return a.id < b.id ? `${a.id} ${b.id}` : `${b.id} ${a.id}`;
}
