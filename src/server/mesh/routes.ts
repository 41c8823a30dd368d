/** Routes over the shards that are held: which there are, which is best, and who learns that one breaks. */
import { MAX_SEQUENCES_PER_STAGE } from '../../config/limits.ts';
import type { Loss, Status } from '../../mesh/protocol/status.ts';
import { routeLack } from '../../schedule/route-lack.ts';
import type { Round } from './health.ts';
import type { Holding } from './holding.ts';
import type { Holdings } from './holdings.ts';
import {
  type MeshRoute,
  type RouteFailure,
  type RouteOutlook,
  type Routes,
  type RouteWish,
  routeOf,
} from './mesh-route.ts';
import type { Peer } from './peer.ts';
import { searchRoute } from './route-search.ts';
import type { LinkState, WantedLinks } from './wanted-links.ts';

/** Dearer than any computing, so that it is taken only where there is nothing else: a stage that a sequence would have to move to, ... */
const MOVE_SECONDS = 1e3;
/** ... one that is to go, ... */
const RETIRING_SECONDS = 1e6;
/** ... one that no token has come round yet, where one has to be sent first, ... */
const UNPROVEN_SECONDS = 1e3;
/** Cheaper than anything else is dear: the route has to lead over it. */
const WISHED_SECONDS = -1e12;
/** ... one that is suspected, ... */
const SUSPECT_SECONDS = 1e4;
/** ... a link that nobody has heard of, or that is silent. */
const DOUBTFUL_SECONDS = 1e9;

/** Which route is shown as the one that serves; it rises with every other one. */
export interface LiveRoute extends MeshRoute {
  readonly epoch: number;
}

export interface MeshRoutesOptions {
  readonly holdings: Holdings;
  readonly links: WantedLinks;
  /** Of the model. */
  readonly layers: number;
  /** Whether what the peer holds may be used. */
  readonly isUsable: (peer: Peer) => boolean;
  /** Whether it may be given layers. */
  readonly mayLoad: (peer: Peer) => boolean;
  readonly isSuspected: (peer: Peer) => boolean;
  /** Whether a client's sequence may run over it: a token has. */
  readonly isProven: (holding: Holding) => boolean;
  readonly outlook: () => Omit<RouteOutlook, 'ready'>;
  /** A token came round, later than another on the same route by `elapsedMs`. */
  readonly onServed: (round: Round) => void;
  readonly now: () => number;
  readonly onFailed: (failure: RouteFailure) => void;
  readonly blameFor: (by: Peer, sender: Peer) => Peer;
  /** A sequence has left a stage. */
  readonly onLeft: () => void;
}

export class MeshRoutes implements Routes {
  readonly #options: MeshRoutesOptions;
  /** What each sequence's route led over when it was entered. */
  readonly #entered = new Map<MeshRoute, readonly Holding[]>();
  /** When the last token came round on it. */
  readonly #servedAt = new WeakMap<MeshRoute, number>();
  readonly #possibleListeners: (() => void)[] = [];
  readonly #lostListeners: ((peer: Peer, loss: Loss, shard: number | null) => void)[] = [];
  readonly #linkListeners: ((a: Peer, b: Peer) => void)[] = [];
  readonly #liveListeners: ((route: LiveRoute) => void)[] = [];
  #live: LiveRoute | null = null;
  #epoch = 0;

  constructor(options: MeshRoutesOptions) {
    this.#options = options;
  }

  /** The best route for who has none yet, room apart. */
  get live(): LiveRoute | null {
    return this.#live;
  }

  /** Sequences on all routes. */
  get sequences(): number {
    return this.#entered.size;
  }

  /** Those that sequences run on, the busiest first. */
  inUse(): NonNullable<Status['routes']> {
    const routes = new Map<string, NonNullable<Status['routes']>[number]>();
    for (const entered of this.#entered.keys()) {
      const stages = routeOf(entered);
      const key = stages.map(({ peer, start, end }) => `${peer} ${start} ${end}`).join();
      routes.set(key, { stages, sequences: (routes.get(key)?.sequences ?? 0) + 1 });
    }
    return [...routes.values()].sort((a, b) => b.sequences - a.sequences);
  }

  get outlook(): RouteOutlook {
    return { ready: this.#live !== null, ...this.#options.outlook() };
  }

  choose({ before }: RouteWish): MeshRoute | null {
    const { isSuspected } = this.#options;
    const isKept = (holding: Holding) =>
      before?.stops.some(
        ({ peer, start, end }) =>
          holding.peer === peer && holding.layers.start === start && holding.layers.end === end,
      ) === true;
    const path = this.#search(
      (holding) => holding.sequences < MAX_SEQUENCES_PER_STAGE && this.#options.isProven(holding),
      (holding) => {
        const seconds = holding.seconds * (1 + holding.sequences);
        if (isKept(holding)) return seconds;
        return (
          seconds +
          (before === undefined ? 0 : MOVE_SECONDS) +
          (holding.isRetiring ? RETIRING_SECONDS : 0) +
          (isSuspected(holding.peer) ? SUSPECT_SECONDS : 0)
        );
      },
      (state, seconds) => (state === 'up' ? seconds : null),
    );
    return path && routeOver(path);
  }

  enter(route: MeshRoute): void {
    const holdings = route.stops.flatMap(({ peer, shard }) => this.#options.holdings.find(peer, shard) ?? []);
    for (const holding of holdings) holding.sequences++;
    this.#entered.set(route, holdings);
  }

  leave(route: MeshRoute): void {
    const holdings = this.#entered.get(route);
    if (!this.#entered.delete(route)) return;
    for (const holding of holdings ?? []) holding.sequences--;
    this.#options.onLeft();
  }

  expectedMs(route: MeshRoute): number {
    const { stages, sharing } = this.#said(this.#entered.get(route) ?? []);
    return stages.reduce((sum, { seconds }) => sum + seconds * 1_000, 0) * sharing;
  }

  served(route: MeshRoute): void {
    const now = this.#options.now();
    const before = this.#servedAt.get(route);
    this.#servedAt.set(route, now);
    const holdings = this.#entered.get(route);
    for (const holding of holdings ?? []) holding.hasServed = true;
    // The first token of a route comes after all that has to be computed for it.
    if (holdings === undefined || before === undefined) return;
    this.#options.onServed({ ...this.#said(holdings), elapsedMs: now - before });
  }

  failed(failure: RouteFailure): void {
    this.#options.onFailed(failure);
  }

  blameFor(by: Peer, sender: Peer): Peer {
    return this.#options.blameFor(by, sender);
  }

  onPossible(listener: () => void): void {
    this.#possibleListeners.push(listener);
  }

  onPeerLost(listener: (peer: Peer, loss: Loss, shard: number | null) => void): void {
    this.#lostListeners.push(listener);
  }

  onLinkLost(listener: (a: Peer, b: Peer) => void): void {
    this.#linkListeners.push(listener);
  }

  /** Another route serves from now on. */
  onLive(listener: (route: LiveRoute) => void): void {
    this.#liveListeners.push(listener);
  }

  /** All of it is held, by workers that may be given work, and its links are up. */
  isUp(path: readonly Holding[]): boolean {
    return path.every((holding) => holding.isHeld && this.#isThere(holding)) && this.#areLinked(path, ['up']);
  }

  /** As `isUp`, and a token has come round over all of it. */
  isServing(path: readonly Holding[]): boolean {
    return this.isUp(path) && path.every(this.#options.isProven);
  }

  /** What would be the best route, once a token has come round it; of what `isFree`. */
  candidate(isFree: (holding: Holding) => boolean): readonly Holding[] | null {
    return this.#searchToProve(isFree, () => false);
  }

  /** The way over `wished` that has the fewest others that no token has come round; null: there is none. */
  through(wished: Holding, isFree: (holding: Holding) => boolean): readonly Holding[] | null {
    const path = this.#searchToProve(isFree, (holding) => holding === wished);
    return path?.includes(wished) ? path : null;
  }

  /** The best chain of layers that loads, links and `also` would make a route; null: none. */
  potential(also: (peer: Peer) => boolean = () => false): readonly Holding[] | null {
    const { holdings, mayLoad, isSuspected, layers } = this.#options;
    return searchRoute({
      holdings: holdings.all().filter(({ peer }) => mayLoad(peer) || also(peer)),
      layers,
      cost: (holding) =>
        holding.seconds +
        (holding.isHeld ? 0 : MOVE_SECONDS) +
        (holding.isRetiring ? RETIRING_SECONDS : 0) +
        (isSuspected(holding.peer) ? SUSPECT_SECONDS : 0),
      hop: (from, to) => {
        const state = this.#options.links.state(from, to);
        return state === 'down' ? null : this.#rttSeconds(from, to) + (state === 'up' ? 0 : DOUBTFUL_SECONDS);
      },
    });
  }

  /** What is missing where nothing serves. @param idle names of those who may be given layers @param proving those that a probe goes round */
  lack(idle: readonly string[], proving: readonly string[] | null): string {
    const { holdings, isUsable, layers, links } = this.#options;
    const chain = this.potential() ?? [];
    const missingLinks = chain.flatMap(({ peer }, index) => {
      const next = chain[(index + 1) % chain.length]!.peer;
      return peer === next || links.state(peer, next) === 'up' ? [] : [[peer.name, next.name] as const];
    });
    const ranges = holdings
      .all()
      .filter(({ peer }) => isUsable(peer))
      .map(({ peer, layers: { start, end }, isHeld }) => ({ worker: peer.name, start, end, isHeld }));
    return routeLack({ layers, ranges, idle, missingLinks, proving });
  }

  /** To be called when holdings, links or peers have changed. */
  refresh(): void {
    const path = this.#bestPath();
    const isSame =
      path !== null &&
      this.#live !== null &&
      path.length === this.#live.stops.length &&
      path.every(({ peer, shard }, index) => {
        const stop = this.#live!.stops[index]!;
        return stop.peer === peer && stop.shard === shard;
      });
    if (isSame) return;
    this.#live = path && { epoch: ++this.#epoch, ...routeOver(path) };
    if (this.#live !== null) for (const listener of this.#liveListeners) listener(this.#live);
  }

  tellPossible(): void {
    for (const listener of this.#possibleListeners) listener();
  }

  tellPeerLost(peer: Peer, loss: Loss, shard: number | null = null): void {
    for (const listener of this.#lostListeners) listener(peer, loss, shard);
  }

  tellLinkLost(a: Peer, b: Peer): void {
    for (const listener of this.#linkListeners) listener(a, b);
  }

  /** What serves goes on doing so while it is whole and wanted. */
  #bestPath(): readonly Holding[] | null {
    const { isProven } = this.#options;
    const path = this.#search(
      isProven,
      (holding) =>
        holding.seconds +
        (holding.isRetiring ? RETIRING_SECONDS : 0) +
        (this.#options.isSuspected(holding.peer) ? SUSPECT_SECONDS : 0),
      (state, seconds) => (state === 'up' ? seconds : state === 'silent' ? seconds + DOUBTFUL_SECONDS : null),
    );
    const before = this.#live?.stops.map(({ peer, shard }) => this.#options.holdings.find(peer, shard));
    const isGood = (holding: Holding | undefined): holding is Holding =>
      holding !== undefined && !holding.isRetiring;
    return before?.every(isGood) && this.isServing(before) ? before : path;
  }

  #searchToProve(
    isFree: (holding: Holding) => boolean,
    isWished: (holding: Holding) => boolean,
  ): readonly Holding[] | null {
    const { isProven, isSuspected } = this.#options;
    return this.#search(
      isFree,
      (holding) =>
        holding.seconds +
        (isWished(holding) ? WISHED_SECONDS : 0) +
        (isProven(holding) ? 0 : UNPROVEN_SECONDS) +
        (holding.isRetiring ? RETIRING_SECONDS : 0) +
        (isSuspected(holding.peer) ? SUSPECT_SECONDS : 0),
      (state, seconds) => (state === 'up' ? seconds : null),
    );
  }

  #search(
    isRoomy: (holding: Holding) => boolean,
    cost: (holding: Holding) => number,
    hop: (state: LinkState, seconds: number) => number | null,
  ): readonly Holding[] | null {
    const { holdings, links, layers } = this.#options;
    return searchRoute({
      holdings: holdings
        .all()
        .filter((holding) => holding.isHeld && this.#isThere(holding) && isRoomy(holding)),
      layers,
      cost,
      hop: (from, to) => hop(links.state(from, to), this.#rttSeconds(from, to)),
    });
  }

  #isThere(holding: Holding): boolean {
    const { holdings, isUsable } = this.#options;
    return isUsable(holding.peer) && holdings.find(holding.peer, holding.shard) === holding;
  }

  #areLinked(path: readonly Holding[], states: readonly LinkState[]): boolean {
    if (path.length < 2) return true;
    return path.every(({ peer }, index) =>
      states.includes(this.#options.links.state(peer, path[(index + 1) % path.length]!.peer)),
    );
  }

  #said(holdings: readonly Holding[]): Pick<Round, 'stages' | 'sharing'> {
    const stages = holdings.map((holding, index) => {
      const next = holdings[(index + 1) % holdings.length]!;
      const hopSeconds = next === holding ? 0 : this.#rttSeconds(holding.peer, next.peer);
      return { peer: holding.peer, seconds: saidSeconds(holding) + hopSeconds };
    });
    return { stages, sharing: Math.max(1, ...holdings.map(({ sequences }) => sequences)) };
  }

  /** Half a round trip, as either end measured it. */
  #rttSeconds(a: Peer, b: Peer): number {
    const told = (from: Peer, to: Peer) => from.stats?.links.find(({ peer }) => peer === to.id)?.rttMs;
    return (told(a, b) ?? told(b, a) ?? 0) / 2_000;
  }
}

/** What one token takes there by what its worker says: of its speed, or of its last steps where these were slower. */
function saidSeconds({ peer, seconds }: Holding): number {
  const hop = peer.stats?.hop;
  if (hop == null) return seconds;
  const { uploadMs, computeMs, readbackMs, packMs, unpackMs } = hop;
  return Math.max(seconds, (uploadMs + computeMs + readbackMs + packMs + unpackMs) / 1_000);
}

export function routeOver(path: readonly Holding[]): MeshRoute {
  return { stops: path.map(stopAt) };
}

function stopAt({ peer, shard, layers: { start, end } }: Holding): MeshRoute['stops'][number] {
  return { peer, shard, start, end };
}
