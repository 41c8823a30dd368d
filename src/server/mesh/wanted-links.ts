/** Which workers keep links to each other, and how these are, as their ends report. */
import { MAX_LINKS } from '../../config/limits.ts';
import type { Holding } from './holding.ts';
import type { Peer } from './peer.ts';

/** `unknown`: wanted, and no end has told of it yet. */
export type LinkState = 'unknown' | 'up' | 'silent' | 'down';
type Told = Exclude<LinkState, 'unknown'>;

/** A peer's own links: the other end, and what this one says of it. */
type Ends = Map<Peer, Told | null>;

export class WantedLinks {
  readonly #ends = new Map<Peer, Ends>();
  /** Those that have just gone, and may be made again in a moment. */
  readonly #falling = new Set<string>();

  /**
   * Wants a link wherever frames may go: from each range to those that hold the layer after it, and from the last to the first.
   * Tells whom it concerns.
   * @param holdings the more important first: they get their links where MAX_LINKS do not allow all
   * @param layers of the model
   */
  update(holdings: readonly Holding[], layers: number): void {
    const wanted = new Map<Peer, Set<Peer>>();
    const neighboursOf = (peer: Peer) => {
      const known = wanted.get(peer) ?? new Set<Peer>();
      wanted.set(peer, known);
      return known;
    };
    const byStart = new Map<number, Holding[]>();
    for (const holding of holdings) {
      const { start } = holding.layers;
      byStart.set(start, [...(byStart.get(start) ?? []), holding]);
    }
    const starts = [...byStart.keys()].sort((a, b) => a - b);
    for (const { peer, layers: own } of holdings) {
      // A stage may use part of what is held: who holds the next layer, wherever its range begins, can go on.
      const next = own.end === layers ? 0 : own.end;
      const onward = starts
        .filter((start) => start <= next)
        .flatMap((start) => byStart.get(start)!.filter(({ layers: range }) => range.end > next));
      for (const { peer: other } of onward) {
        if (other === peer) continue;
        const [mine, its] = [neighboursOf(peer), neighboursOf(other)];
        if (mine.size >= MAX_LINKS || its.size >= MAX_LINKS) continue;
        mine.add(other);
        its.add(peer);
      }
    }
    for (const peer of new Set([...this.#ends.keys(), ...wanted.keys()])) {
      this.#want(peer, wanted.get(peer) ?? new Set());
    }
  }

  areWanted(a: Peer, b: Peer): boolean {
    return this.#ends.get(a)?.has(b) === true;
  }

  /** Up when one end says so and none says otherwise. One that has just gone counts as silent until `settled`. */
  state(a: Peer, b: Peer): LinkState {
    const state = this.#told(a, b);
    return state === 'down' && this.#falling.has(keyOf(a, b)) ? 'silent' : state;
  }

  #told(a: Peer, b: Peer): LinkState {
    const told = [this.#ends.get(a)?.get(b) ?? null, this.#ends.get(b)?.get(a) ?? null];
    for (const state of ['down', 'silent', 'up'] as const) if (told.includes(state)) return state;
    return 'unknown';
  }

  /** What those who are connected say of their links to `peer`. */
  toldOf(peer: Peer): Told[] {
    const others = [...(this.#ends.get(peer)?.keys() ?? [])].filter((other) => !other.isAway);
    return others.flatMap((other) => this.#ends.get(other)?.get(peer) ?? []);
  }

  /** @returns whether it is gone since this report; null where nobody wants it */
  report(reporter: Peer, other: Peer, state: Told): boolean | null {
    const ends = this.#ends.get(reporter);
    if (!ends?.has(other)) return null;
    const before = this.#told(reporter, other);
    ends.set(other, state);
    const hasGone = this.#told(reporter, other) === 'down' && before !== 'down';
    if (hasGone) this.#falling.add(keyOf(reporter, other));
    return hasGone;
  }

  /** It had its time to be made again. @returns whether it was not */
  settled(a: Peer, b: Peer): boolean {
    return this.#falling.delete(keyOf(a, b)) && this.#told(a, b) === 'down';
  }

  /** After a `join`: the worker is told its links, even none (it may have some of a server before this one), and says how they are. */
  joined(peer: Peer, open: readonly string[]): void {
    const ends = this.#ends.get(peer) ?? new Map<Peer, Told | null>();
    for (const other of ends.keys()) ends.set(other, open.includes(other.id) ? 'up' : null);
    this.tell(peer);
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
    return [...this.#ends].flatMap(([peer, ends]) =>
      [...ends.keys()]
        .filter((other) => peer.id < other.id && this.#told(peer, other) === 'silent')
        .map((other): [Peer, Peer] => [peer, other]),
    );
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
    this.#ends.delete(peer);
  }

  tell(peer: Peer): void {
    const others = [...(this.#ends.get(peer)?.keys() ?? [])];
    peer.connection.send({
      type: 'links',
      peers: others.map(({ id, name }) => ({ peer: id, name })),
    });
  }

  #want(peer: Peer, others: ReadonlySet<Peer>): void {
    const before: Ends = this.#ends.get(peer) ?? new Map();
    const isSame = before.size === others.size && [...others].every((other) => before.has(other));
    if (isSame) return;
    if (others.size === 0) this.#ends.delete(peer);
    else this.#ends.set(peer, new Map([...others].map((other) => [other, before.get(other) ?? null])));
    if (peer.isWorker) this.tell(peer);
  }
}

function keyOf(a: Peer, b: Peer): string {
  return a.id < b.id ? `${a.id} ${b.id}` : `${b.id} ${a.id}`;
}
