/**
 * Which links are wanted: of each worker a few to those that may come after it and before it, and all that the route that serves,
 * or is to, needs. What was chosen stays while it makes sense: a link is a negotiation between two strangers' networks.
 */
import { LEAST_LINKS_EACH_WAY, LINKS_EACH_WAY, MAX_LINKS, STANDBY_LINKS } from '../../../config/limits.ts';
import type { LayerRange } from '../../../schedule/mesh-view.ts';
import { leadsTo, Neighbours } from '../../../schedule/neighbours.ts';
import type { Peer } from '../peers/peer.ts';
import type { Holding } from './holding.ts';

export interface LinkOptions {
  /** Of the model. */
  readonly layers: number;
  /** Higher is quicker. */
  readonly speed: (peer: Peer) => number;
  /** Whether what the peer holds may be used. */
  readonly isUsable: (peer: Peer) => boolean;
  /** Whether both may be asked for a link where either has others: theirs has not failed lately. */
  readonly mayLink: (a: Peer, b: Peer) => boolean;
}

export interface LinkWish {
  readonly holdings: readonly Holding[];
  /** Rises with every change of `holdings`. */
  readonly version: number;
  /** Routes that serve or are to, in order: from each to the next, and from the last to the first, there is a link. */
  readonly paths: readonly (readonly Holding[])[];
}

/** The links as they are. */
export interface LinkTable {
  of(peer: Peer): ReadonlyMap<Peer, unknown>;
  state(a: Peer, b: Peer): 'unknown' | 'up' | 'silent' | 'down';
  add(a: Peer, b: Peer): void;
  remove(a: Peer, b: Peer): void;
}

/** To those that come next, or from those that come before. */
type Way = 'after' | 'before';
const WAYS: readonly Way[] = ['after', 'before'];
/** Looked at where many have all the links that they may have. */
const MOST_LOOKED_AT = 64;

export class LinkChooser {
  readonly #options: LinkOptions;
  readonly #table: LinkTable;
  readonly #ranges = new Map<Peer, readonly LayerRange[]>();
  /** Whose links are to be looked at again. */
  readonly #open = new Set<Peer>();
  /** Pairs that were passed over for a link of theirs that failed. */
  readonly #avoided = new Map<string, readonly [Peer, Peer]>();
  readonly #pinned = new Map<Peer, Set<Peer>>();
  #version = -1;
  #pathsKey = '';

  constructor(options: LinkOptions, table: LinkTable) {
    this.#options = options;
    this.#table = table;
  }

  /** Something of theirs has changed that is no holding. */
  reconsider(...peers: readonly Peer[]): void {
    for (const peer of peers) this.#open.add(peer);
  }

  update({ holdings, version, paths }: LinkWish): void {
    this.#reviewAvoided();
    const pathsKey = paths
      .map((path) => path.map(({ peer, shard }) => `${peer.id} ${shard}`).join())
      .join(';');
    const isSame = version === this.#version && pathsKey === this.#pathsKey;
    if (isSame && this.#open.size === 0) return;
    if (version !== this.#version) this.#noteRanges(holdings);
    const found = new Neighbours(this.#quickestFirst(holdings), this.#options.layers);
    if (!isSame) this.#pin(paths, found);
    this.#version = version;
    this.#pathsKey = pathsKey;
    for (const peer of [...this.#open]) this.#release(peer);
    // Who is quick chooses first, and so finds the quick with room for more.
    const open = [...this.#open].map((peer) => ({ peer, speed: this.#options.speed(peer) }));
    for (const { peer } of open.sort((a, b) => b.speed - a.speed)) this.#fill(peer, found);
    this.#open.clear();
  }

  #quickestFirst(holdings: readonly Holding[]): { peer: Peer; start: number; end: number }[] {
    const speeds = new Map<Peer, number>();
    for (const { peer } of holdings) if (!speeds.has(peer)) speeds.set(peer, this.#options.speed(peer));
    return holdings
      .map(({ peer, layers: { start, end } }) => ({ peer, start, end }))
      .sort((a, b) => speeds.get(b.peer)! - speeds.get(a.peer)!);
  }

  /** Opens all whose ranges are others than they were. */
  #noteRanges(holdings: readonly Holding[]): void {
    const now = new Map<Peer, LayerRange[]>();
    for (const { peer, layers } of holdings) {
      const ranges = now.get(peer);
      if (ranges === undefined) now.set(peer, [layers]);
      else ranges.push(layers);
    }
    for (const peer of this.#ranges.keys()) if (!now.has(peer)) this.#open.add(peer);
    for (const [peer, ranges] of now) {
      const before = this.#ranges.get(peer);
      const isSame =
        before?.length === ranges.length && ranges.every((range, index) => range === before[index]);
      if (!isSame) this.#open.add(peer);
    }
    this.#ranges.clear();
    for (const [peer, ranges] of now) this.#ranges.set(peer, ranges);
  }

  /** The links of the paths, and of those who may step in for a stage of the first. */
  #pin(paths: LinkWish['paths'], found: Neighbours<Peer>): void {
    const pairs: [Peer, Peer][] = [];
    for (const path of paths) {
      for (const [index, { peer }] of path.entries())
        pairs.push([peer, path[(index + 1) % path.length]!.peer]);
    }
    const [first = []] = paths;
    const isOn = new Set(first.map(({ peer }) => peer));
    for (const [index, { layers }] of first.entries()) {
      if (first.length < 2) break;
      const [before, after] = [first.at(index - 1)!.peer, first[(index + 1) % first.length]!.peer];
      const others = found.covering(layers).filter(({ peer }) => !isOn.has(peer));
      for (const { peer } of others.slice(0, STANDBY_LINKS)) pairs.push([before, peer], [peer, after]);
    }
    this.#pinned.clear();
    for (const [a, b] of pairs) {
      if (a === b) continue;
      pinTo(this.#pinned, a, b);
      pinTo(this.#pinned, b, a);
    }
    for (const [a, b] of pairs) {
      if (a === b || this.#table.of(a).has(b)) continue;
      if (this.#makeRoom(a) && this.#makeRoom(b)) this.#table.add(a, b);
    }
  }

  /** For a link that a route needs. */
  #makeRoom(peer: Peer): boolean {
    const links = this.#table.of(peer);
    if (links.size < MAX_LINKS) return true;
    const free = [...links.keys()].filter((other) => !this.#isPinned(peer, other));
    const gone = free.find((other) => this.#table.state(peer, other) === 'down') ?? free.at(-1);
    if (gone === undefined) return false;
    this.#table.remove(peer, gone);
    this.#open.add(gone);
    return true;
  }

  /** Ends what makes no sense any more, and what failed where both have others. */
  #release(peer: Peer): void {
    for (const other of [...this.#table.of(peer).keys()]) {
      if (this.#isPinned(peer, other)) continue;
      const ways = WAYS.filter((way) => this.#goes(way, peer, other));
      const failed = this.#table.state(peer, other) === 'down' && !this.#options.mayLink(peer, other);
      const isAvoided =
        failed &&
        ways.every((way) => this.#hasGood(way, peer, other) && this.#hasGood(oppositeOf(way), other, peer));
      if (ways.length > 0 && !isAvoided) continue;
      this.#table.remove(peer, other);
      if (isAvoided) this.#avoid(peer, other);
      this.#open.add(other);
    }
  }

  #fill(peer: Peer, found: Neighbours<Peer>): void {
    for (const range of this.#ranges.get(peer) ?? []) {
      this.#fillFrom(peer, 'after', found.after(found.borderAfter(range), peer));
      for (const border of found.bordersIn(range)) this.#fillFrom(peer, 'before', found.before(border, peer));
    }
  }

  #fillFrom(peer: Peer, way: Way, candidates: Iterable<Peer>): void {
    let count = [...this.#table.of(peer).keys()].filter((other) => this.#goes(way, peer, other)).length;
    const hasGood = this.#hasGood(way, peer, null);
    if (count >= LEAST_LINKS_EACH_WAY && hasGood) return;
    const failed: Peer[] = [];
    let [looked, good] = [0, hasGood];
    for (const other of candidates) {
      if (count >= LINKS_EACH_WAY || ++looked > MOST_LOOKED_AT) break;
      if (other === peer || this.#table.of(peer).has(other)) continue;
      if (!this.#options.mayLink(peer, other)) {
        failed.push(other);
        continue;
      }
      if (!this.#add(peer, other)) continue;
      good ||= this.#options.isUsable(other);
      count++;
    }
    for (const other of failed) {
      if (good) this.#avoid(peer, other);
      else this.#add(peer, other);
    }
  }

  #add(a: Peer, b: Peer): boolean {
    if (this.#table.of(a).size >= MAX_LINKS || this.#table.of(b).size >= MAX_LINKS) return false;
    this.#table.add(a, b);
    return true;
  }

  /** Whether frames may go that way over a link that is not known to be down, to somebody else than `but`. */
  #hasGood(way: Way, peer: Peer, but: Peer | null): boolean {
    for (const other of this.#table.of(peer).keys()) {
      if (other === but || !this.#options.isUsable(other)) continue;
      if (this.#table.state(peer, other) !== 'down' && this.#goes(way, peer, other)) return true;
    }
    return false;
  }

  #goes(way: Way, peer: Peer, other: Peer): boolean {
    const [from, to] = way === 'after' ? [peer, other] : [other, peer];
    const ranges = this.#ranges.get(to) ?? [];
    const { layers } = this.#options;
    return (
      this.#ranges.get(from)?.some((range) => ranges.some((next) => leadsTo(range, next, layers))) === true
    );
  }

  #avoid(a: Peer, b: Peer): void {
    this.#avoided.set(a.id < b.id ? `${a.id} ${b.id}` : `${b.id} ${a.id}`, [a, b]);
  }

  /** They are asked again when their time is over, or one of them has nobody else any more. */
  #reviewAvoided(): void {
    for (const [key, [a, b]] of this.#avoided) {
      const isNeeded = (peer: Peer, other: Peer) =>
        WAYS.some((way) => this.#goes(way, peer, other) && !this.#hasGood(way, peer, other));
      const isThere = this.#ranges.has(a) && this.#ranges.has(b);
      if (isThere && !this.#options.mayLink(a, b) && !isNeeded(a, b) && !isNeeded(b, a)) continue;
      this.#avoided.delete(key);
      if (isThere) this.reconsider(a, b);
    }
  }

  #isPinned(a: Peer, b: Peer): boolean {
    return this.#pinned.get(a)?.has(b) === true;
  }
}

function oppositeOf(way: Way): Way {
  return way === 'after' ? 'before' : 'after';
}

function pinTo(pinned: Map<Peer, Set<Peer>>, peer: Peer, other: Peer): void {
  const others = pinned.get(peer);
  if (others === undefined) pinned.set(peer, new Set([other]));
  else others.add(other);
}
