/** Routes that sequences are on, and the one that serves: what these give, and who learns that one breaks. */
import { CAPACITY_RETRY_MS, MAX_STRIKES } from '../../../config/limits.ts';
import { stageMs } from '../../../mesh/protocol/stage-ms.ts';
import type { Loss, Status } from '../../../mesh/protocol/status.ts';
import type { Holding } from '../holdings/holding.ts';
import type { Peer } from '../peers/peer.ts';
import { Forecast } from './forecast.ts';
import type { Round } from './health.ts';
import { HeldWays, type HeldWaysOptions, routeOver } from './held-ways.ts';
import {
  type MeshRoute,
  type MoveReason,
  type RouteFailure,
  type RouteOutlook,
  type RouteStop,
  type Routes,
  type RouteWish,
  routeOf,
  stopOf,
} from './mesh-route.ts';

/** Which route is shown as the one that serves; it rises with every other one. */
export interface LiveRoute extends MeshRoute {
  readonly epoch: number;
}

export interface MeshRoutesOptions extends HeldWaysOptions {
  readonly outlook: () => Omit<RouteOutlook, 'ready'>;
  /** A token came round, later than another on the same route by `elapsedMs`. */
  readonly onServed: (round: Round) => void;
  readonly now: () => number;
  readonly onFailed: (failure: RouteFailure) => void;
  readonly blameFor: (by: Peer, sender: Peer) => Peer;
  /** A sequence runs through it from here on. */
  readonly onEntered: (peer: Peer) => void;
  /** Whether a worker hears the peer of that id. */
  readonly isHeard: (id: string) => boolean;
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
  /** The stage of the newest sequence on a worker; undefined where it is not alone. */
  readonly #lastOn = new WeakMap<Peer, RouteStop | undefined>();
  /** Of its prompt, where it begins there: what another route had computed tells nothing of the first token. */
  readonly #prompts = new WeakMap<MeshRoute, number>();
  readonly #possibleListeners: (() => void)[] = [];
  readonly #hearsayListeners: (() => void)[] = [];
  readonly #lostListeners: ((peer: Peer, loss: Loss, shard: number | null) => void)[] = [];
  readonly #movableListeners: ((peer: Peer, why: MoveReason) => void)[] = [];
  readonly #linkListeners: ((a: Peer, b: Peer) => void)[] = [];
  readonly #liveListeners: ((route: LiveRoute) => void)[] = [];
  readonly ways: HeldWays;
  readonly forecast: Forecast;
  #live: LiveRoute | null = null;
  #epoch = 0;

  constructor(options: MeshRoutesOptions) {
    this.#options = options;
    this.ways = new HeldWays(options);
    const { costs, speeds } = options;
    this.forecast = new Forecast({ costs, speeds });
  }

  /** The best route for who has none yet, room apart. */
  get live(): LiveRoute | null {
    return this.#live;
  }

  /** Sequences on all routes. */
  get sequences(): number {
    return this.#entered.size;
  }

  /** Those that sequences run on, the busiest first. @param crossed of sequences that have crossed classes of adapters */
  inUse(crossed: ReadonlySet<MeshRoute> = new Set()): NonNullable<Status['routes']> {
    const routes = new Map<string, NonNullable<Status['routes']>[number]>();
    for (const entered of this.#entered.keys()) {
      const stages = routeOf(entered);
      const key = stages.map(({ peer, start, end }) => `${peer} ${start} ${end}`).join();
      const of = routes.get(key) ?? { stages, sequences: 0, crossed: 0 };
      of.sequences++;
      if (crossed.has(entered)) of.crossed = (of.crossed ?? 0) + 1;
      routes.set(key, of);
    }
    return [...routes.values()].sort((a, b) => b.sequences - a.sequences);
  }

  get outlook(): RouteOutlook {
    return { ready: this.#live !== null, ...this.#options.outlook() };
  }

  choose(wish: RouteWish): MeshRoute | null {
    const found = this.ways.forSequence(wish);
    if (found === null) return null;
    const route = routeOver(found);
    this.#positions.set(route, wish.positions);
    if (wish.before === undefined && wish.prompt !== undefined) this.#prompts.set(route, wish.prompt);
    return route;
  }

  isHeld({ stops }: MeshRoute): boolean {
    const { holdings, costs, isUsable } = this.#options;
    const isWhole = stops.at(-1)!.end === costs.layers;
    return (
      isWhole &&
      stops.every(
        ({ peer, shard, ...layers }) =>
          isUsable(peer) && holdings.find(peer, shard)?.isHeld && holdings.find(peer, shard)?.covers(layers),
      )
    );
  }

  enter(route: MeshRoute): void {
    const holdings = route.stops.flatMap(({ peer, shard }) => this.#options.holdings.find(peer, shard) ?? []);
    for (const holding of holdings) {
      holding.sequences++;
      this.#lastOn.set(holding.peer, holding.sequences > 1 ? undefined : stopOf(route, holding.peer));
      holding.promise(this.#positions.get(route) ?? 0);
    }
    this.#entered.set(route, holdings);
    this.#enteredAt.set(route, this.#options.now());
    for (const { peer } of route.stops) this.#options.onEntered(peer);
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
    for (const holding of holdings ?? []) {
      holding.hasServed = true;
      holding.refusedAtMs = null;
      holding.refusals = 0;
    }
    // The first token of a route comes after all that has to be computed for it.
    if (holdings === undefined) return;
    const said = this.#said(holdings);
    if (before === undefined) {
      const prompt = this.#prompts.get(route);
      const elapsedMs = now - (this.#enteredAt.get(route) ?? now);
      if (prompt !== undefined) this.forecast.first(route, elapsedMs, prompt, said.sharing);
      return;
    }
    this.forecast.token(route, now - before, said.sharing);
    this.#options.onServed({ ...said, elapsedMs: now - before });
  }

  retold(route: MeshRoute): void {
    this.#servedAt.set(route, this.#options.now());
  }

  refusedRoom(route: MeshRoute, by: Peer): 'known' | 'once' | 'again' {
    const holding = this.#entered.get(route)?.find(({ peer }) => peer === by);
    if (holding === undefined || !holding.keepsPromises) return 'known';
    const now = this.#options.now();
    const { refusedAtMs: before } = holding;
    // Many that are refused at once are one refusal.
    if (before !== null && now - before < CAPACITY_RETRY_MS) return 'once';
    holding.refusedAtMs = now;
    return ++holding.refusals > MAX_STRIKES ? 'again' : 'once';
  }

  failed(failure: RouteFailure): void {
    this.#options.onFailed(failure);
  }

  suspectsOf({ stops }: MeshRoute): readonly Peer[] {
    const peers = stops.map(({ peer }) => peer);
    const suspected = peers.filter(this.#options.isSuspected);
    return suspected.length > 0 ? suspected : peers;
  }

  blameFor(by: Peer, sender: Peer): Peer {
    return this.#options.blameFor(by, sender);
  }

  isHeard(id: string): boolean {
    return this.#options.isHeard(id);
  }

  onHearsay(listener: () => void): void {
    this.#hearsayListeners.push(listener);
  }

  onPossible(listener: () => void): void {
    this.#possibleListeners.push(listener);
  }

  onPeerLost(listener: (peer: Peer, loss: Loss, shard: number | null) => void): void {
    this.#lostListeners.push(listener);
  }

  onMovable(listener: (peer: Peer, why: MoveReason) => void): void {
    this.#movableListeners.push(listener);
  }

  onLinkLost(listener: (a: Peer, b: Peer) => void): void {
    this.#linkListeners.push(listener);
  }

  /** Another route serves from now on. */
  onLive(listener: (route: LiveRoute) => void): void {
    this.#liveListeners.push(listener);
  }

  /** The layers that the sequences on a worker compute there, or the last one did if it was alone; null: none, or not all the same. */
  layersOn(peer: Peer): readonly [number, number] | null {
    if (this.#options.holdings.of(peer).every(({ sequences }) => sequences === 0)) return null;
    let found: readonly [number, number] | null = null;
    for (const route of this.#entered.keys()) {
      for (const stop of route.stops) {
        if (stop.peer !== peer) continue;
        if (found !== null && (found[0] !== stop.start || found[1] !== stop.end)) return null;
        found = [stop.start, stop.end];
      }
    }
    if (found !== null) return found;
    // While nothing runs, a worker tells of the shard that came last.
    const last = this.#lastOn.get(peer);
    const [held, ...others] = this.#options.holdings.of(peer);
    return last !== undefined && others.length === 0 && held?.shard === last.shard
      ? [last.start, last.end]
      : null;
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
    this.forecast.began(this.#live);
    if (this.#live !== null) for (const listener of this.#liveListeners) listener(this.#live);
  }

  tellHearsay(): void {
    for (const listener of this.#hearsayListeners) listener();
  }

  tellPossible(): void {
    for (const listener of this.#possibleListeners) listener();
  }

  tellPeerLost(peer: Peer, loss: Loss, shard: number | null = null): void {
    for (const listener of this.#lostListeners) listener(peer, loss, shard);
  }

  tellMovable(peer: Peer, why: MoveReason): void {
    for (const listener of this.#movableListeners) listener(peer, why);
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
    if (stops.length > 0 && before.every(isGood) && this.ways.isServing(before)) return stops;
    const found = this.ways.serving();
    return found && routeOver(found).stops;
  }

  #said(holdings: readonly Holding[]): Pick<Round, 'stages' | 'sharing'> {
    const stages = holdings.map((holding, index) => {
      const next = holdings[(index + 1) % holdings.length]!;
      const hopSeconds = next === holding ? 0 : this.ways.hopSeconds(holding.peer, next.peer);
      return { peer: holding.peer, seconds: saidSeconds(holding) + hopSeconds };
    });
    return { stages, sharing: Math.max(1, ...holdings.map(({ sequences }) => sequences)) };
  }
}

/** What one token takes there by what its worker says: of its speed, or of its last steps where these were slower. */
function saidSeconds({ peer, seconds }: Holding): number {
  const hop = peer.stats?.hop;
  return hop == null ? seconds : Math.max(seconds, stageMs(hop) / 1_000);
}
