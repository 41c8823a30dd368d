/** Routes over the shards that are held: which there are, which is best, and who learns that one breaks. */
import { MAX_SEQUENCES_PER_STAGE } from '../../config/limits.ts';
import type { Loss, Status } from '../../mesh/protocol/status.ts';
import { hopSeconds } from '../../schedule/mesh-view.ts';
import { routeLack } from '../../schedule/route-lack.ts';
import type { StageCosts } from '../../schedule/stage-costs.ts';
import { Forecast } from './forecast.ts';
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
import { type FoundStage, searchRoute } from './route-search.ts';
import type { ServedSpeeds } from './served-speeds.ts';
import type { LinkState, WantedLinks } from './wanted-links.ts';

/** How much longer a step takes for each sequence that runs there already: rows share a step, and one pass over the weights. */
const QUEUE_SLOWDOWN = 0.5;
/** Dearer than any computing, so that it is taken only where there is nothing else: a stage that a sequence would have to move to, ... */
const MOVE_SECONDS = 1e3;
/** ... one that is to go, ... */
const RETIRING_SECONDS = 1e6;
/** ... one that no token has come round yet, where one has to be sent first, ... */
const UNPROVEN_SECONDS = 1e3;
/** Cheaper than anything else is dear: the route has to lead over it. */
const WISHED_SECONDS = -1e12;
const WISHED_LOAD = 1e-9;
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
  readonly costs: StageCosts;
  readonly speeds: ServedSpeeds;
  /** Of a route, at most. */
  readonly maxStages: number;
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
  readonly #enteredAt = new WeakMap<MeshRoute, number>();
  /** That a sequence may come to hold on it. */
  readonly #positions = new WeakMap<MeshRoute, number>();
  readonly #possibleListeners: (() => void)[] = [];
  readonly #lostListeners: ((peer: Peer, loss: Loss, shard: number | null) => void)[] = [];
  readonly #linkListeners: ((a: Peer, b: Peer) => void)[] = [];
  readonly #liveListeners: ((route: LiveRoute) => void)[] = [];
  readonly forecast: Forecast;
  #live: LiveRoute | null = null;
  #epoch = 0;

  constructor(options: MeshRoutesOptions) {
    this.#options = options;
    const { costs, speeds } = options;
    this.forecast = new Forecast({ costs, speeds, hopSeconds: (a, b) => this.#hopSeconds(a, b) });
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

  choose({ before, positions }: RouteWish): MeshRoute | null {
    const isOn = ({ peer, shard }: Holding) =>
      before?.stops.some((stop) => stop.peer === peer && stop.shard === shard) === true;
    const isKept = (holding: Holding, from: number, to: number) =>
      before?.stops.some(({ peer, start, end }) => holding.peer === peer && start === from && end === to) ===
      true;
    const found = this.#search({
      isRoomy: (holding) =>
        holding.sequences < MAX_SEQUENCES_PER_STAGE &&
        // What it holds of the sequence already is room for it.
        (holding.hasRoomFor(positions) || isOn(holding)) &&
        this.#options.isProven(holding),
      load: ({ sequences }) => 1 + sequences * QUEUE_SLOWDOWN,
      penalty: (holding, start, end) => {
        if (isKept(holding, start, end)) return 0;
        return (before === undefined ? 0 : MOVE_SECONDS * (end - start)) + this.#unwanted(holding);
      },
      hop: (state, seconds) => (state === 'up' ? seconds : null),
      isFresh: before === undefined,
    });
    if (found === null) return null;
    const route = { stops: found.map(stopAt) };
    this.#positions.set(route, positions);
    return route;
  }

  enter(route: MeshRoute): void {
    const holdings = route.stops.flatMap(({ peer, shard }) => this.#options.holdings.find(peer, shard) ?? []);
    for (const holding of holdings) {
      holding.sequences++;
      holding.promise(this.#positions.get(route) ?? 0);
    }
    this.#entered.set(route, holdings);
    this.#enteredAt.set(route, this.#options.now());
  }

  leave(route: MeshRoute): void {
    const holdings = this.#entered.get(route);
    if (!this.#entered.delete(route)) return;
    for (const holding of holdings ?? []) {
      holding.sequences--;
      holding.takeBack(this.#positions.get(route) ?? 0);
    }
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
    if (holdings === undefined) return;
    if (before === undefined) {
      this.forecast.first(now - (this.#enteredAt.get(route) ?? now));
      return;
    }
    const said = this.#said(holdings);
    this.forecast.token(route, now - before, said.sharing);
    this.#options.onServed({ ...said, elapsedMs: now - before });
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
  candidate(isFree: (holding: Holding) => boolean): readonly FoundStage[] | null {
    return this.#searchToProve(isFree, () => false);
  }

  /** The way over `wished` that has the fewest others that no token has come round; null: there is none. */
  through(wished: Holding, isFree: (holding: Holding) => boolean): readonly FoundStage[] | null {
    const path = this.#searchToProve(isFree, (holding) => holding === wished);
    return path?.some(({ holding }) => holding === wished) ? path : null;
  }

  /** The layers that the sequences on a worker compute there; null: none, or not all the same. */
  layersOn(peer: Peer): readonly [number, number] | null {
    let found: readonly [number, number] | null = null;
    for (const route of this.#entered.keys()) {
      for (const stop of route.stops) {
        if (stop.peer !== peer) continue;
        if (found !== null && (found[0] !== stop.start || found[1] !== stop.end)) return null;
        found = [stop.start, stop.end];
      }
    }
    return found;
  }

  /** The best chain of layers that loads, links and `also` would make a route; null: none. */
  potential(also: (peer: Peer) => boolean = () => false): readonly Holding[] | null {
    const { holdings, mayLoad, costs, speeds, maxStages } = this.#options;
    const found = searchRoute({
      holdings: holdings.all().filter(({ peer }) => mayLoad(peer) || also(peer)),
      costs,
      maxStages,
      step: (peer) => speeds.cost(peer),
      load: () => 1,
      penalty: (holding) => (holding.isHeld ? 0 : MOVE_SECONDS) + this.#unwanted(holding),
      hop: (from, to) => {
        const state = this.#options.links.state(from, to);
        return state === 'down' ? null : this.#hopSeconds(from, to) + (state === 'up' ? 0 : DOUBTFUL_SECONDS);
      },
    });
    return found?.map(({ holding }) => holding) ?? null;
  }

  /** What is missing where nothing serves. @param idle names of those who may be given layers @param proving those that a probe goes round */
  lack(idle: readonly string[], proving: readonly string[] | null): string {
    const { holdings, isUsable, costs, links } = this.#options;
    const chain = this.potential() ?? [];
    const missingLinks = chain.flatMap(({ peer }, index) => {
      const next = chain[(index + 1) % chain.length]!.peer;
      return peer === next || links.state(peer, next) === 'up' ? [] : [[peer.name, next.name] as const];
    });
    const ranges = holdings
      .all()
      .filter(({ peer }) => isUsable(peer))
      .map(({ peer, layers: { start, end }, isHeld }) => ({ worker: peer.name, start, end, isHeld }));
    return routeLack({ layers: costs.layers, ranges, idle, missingLinks, proving });
  }

  /** To be called when holdings, links or peers have changed. */
  refresh(): void {
    const next = this.#bestRoute();
    const before = this.#live;
    const isSame =
      next !== null &&
      before !== null &&
      next.length === before.stops.length &&
      next.every(({ peer, shard, start, end }, index) => {
        const stop = before.stops[index]!;
        return stop.peer === peer && stop.shard === shard && stop.start === start && stop.end === end;
      });
    if (isSame) return;
    this.#live = next && { epoch: ++this.#epoch, stops: next };
    this.forecast.began();
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
  #bestRoute(): MeshRoute['stops'] | null {
    const stops = this.#live?.stops ?? [];
    const before = stops.map(({ peer, shard }) => this.#options.holdings.find(peer, shard));
    const isGood = (holding: Holding | undefined): holding is Holding =>
      holding !== undefined && !holding.isRetiring;
    if (stops.length > 0 && before.every(isGood) && this.isServing(before)) return stops;
    const found = this.#search({
      isRoomy: this.#options.isProven,
      load: () => 1,
      penalty: (holding) => this.#unwanted(holding),
      hop: (state, seconds) =>
        state === 'up' ? seconds : state === 'silent' ? seconds + DOUBTFUL_SECONDS : null,
      isFresh: false,
    });
    return found?.map(stopAt) ?? null;
  }

  #searchToProve(
    isFree: (holding: Holding) => boolean,
    isWished: (holding: Holding) => boolean,
  ): readonly FoundStage[] | null {
    const { isProven } = this.#options;
    return this.#search({
      isRoomy: isFree,
      // Among the first that are looked at, however many are quicker.
      load: (holding) => (isWished(holding) ? WISHED_LOAD : 1),
      penalty: (holding) =>
        (isWished(holding) ? WISHED_SECONDS : 0) +
        (isProven(holding) ? 0 : UNPROVEN_SECONDS) +
        this.#unwanted(holding),
      hop: (state, seconds) => (state === 'up' ? seconds : null),
      isFresh: false,
    });
  }

  #unwanted(holding: Holding): number {
    const suspected = this.#options.isSuspected(holding.peer) ? SUSPECT_SECONDS : 0;
    return (holding.isRetiring ? RETIRING_SECONDS : 0) + suspected;
  }

  #search({ isRoomy, load, penalty, hop, isFresh }: Search): readonly FoundStage[] | null {
    const { holdings, links, costs, speeds, maxStages } = this.#options;
    const there = holdings
      .all()
      .filter((holding) => holding.isHeld && this.#isThere(holding) && isRoomy(holding));
    const among = (some: readonly Holding[]) =>
      searchRoute({
        holdings: some,
        costs,
        maxStages,
        step: (peer) => speeds.cost(peer),
        load,
        penalty,
        hop: (from, to) => hop(links.state(from, to), this.#hopSeconds(from, to)),
      });
    const wanted = isFresh ? there.filter((holding) => this.#unwanted(holding) === 0) : there;
    return (wanted.length < there.length ? among(wanted) : null) ?? among(there);
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
      const hopSeconds = next === holding ? 0 : this.#hopSeconds(holding.peer, next.peer);
      return { peer: holding.peer, seconds: saidSeconds(holding) + hopSeconds };
    });
    return { stages, sharing: Math.max(1, ...holdings.map(({ sequences }) => sequences)) };
  }

  #hopSeconds(a: Peer, b: Peer): number {
    return hopSeconds(this.#options.speeds.rttSeconds(a, b));
  }
}

interface Search {
  readonly isRoomy: (holding: Holding) => boolean;
  /** Times as long as alone that a step takes there now. */
  readonly load: (holding: Holding) => number;
  readonly penalty: (holding: Holding, start: number, end: number) => number;
  readonly hop: (state: LinkState, seconds: number) => number | null;
  /** Nothing is to be kept: what is to go, or suspected, is looked at only where the rest has no route. */
  readonly isFresh: boolean;
}

/** What one token takes there by what its worker says: of its speed, or of its last steps where these were slower. */
function saidSeconds({ peer, seconds }: Holding): number {
  const hop = peer.stats?.hop;
  if (hop == null) return seconds;
  const { uploadMs, computeMs, readbackMs, packMs, unpackMs } = hop;
  return Math.max(seconds, (uploadMs + computeMs + readbackMs + packMs + unpackMs) / 1_000);
}

export function routeOver(path: readonly FoundStage[]): MeshRoute {
  return { stops: path.map(stopAt) };
}

function stopAt({ holding: { peer, shard }, start, end }: FoundStage): MeshRoute['stops'][number] {
  return { peer, shard, start, end };
}
