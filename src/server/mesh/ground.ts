/**
 * What generations stand on: peers, what they hold, the links between them, and the routes that come of it. Everything that
 * changes one of these settles the others here.
 */
import { randomBytes } from 'node:crypto';
import type { Logger } from 'pino';
import { ShoalError } from '../../config/errors.ts';
import { CAPACITY_RETRY_MS, LINK_GRACE_MS, MAX_LOGGED_WORDS } from '../../config/limits.ts';
import { oneLine } from '../../config/one-line.ts';
import type { PeerMessage } from '../../mesh/protocol/control.ts';
import type { Loss } from '../../mesh/protocol/status.ts';
import { stageCostsOf } from '../../schedule/stage-costs.ts';
import { TimerGroup } from '../timer-group.ts';
import { Departures } from './departures.ts';
import { type GroundOptions, layoutAsked } from './ground-options.ts';
import type { Holding } from './holdings/holding.ts';
import { Holdings } from './holdings/holdings.ts';
import { ServedSpeeds } from './holdings/served-speeds.ts';
import { WantedLinks } from './holdings/wanted-links.ts';
import { Blackout } from './peers/blackout.ts';
import { Hearsay } from './peers/hearsay.ts';
import { Joins } from './peers/joins.ts';
import type { Peer, PeerStats } from './peers/peer.ts';
import { Registry } from './peers/registry.ts';
import { Placing } from './placing/placing.ts';
import { Planner } from './placing/planner.ts';
import { Probing } from './probing/probing.ts';
import { paceOf, stateOf } from './purpose.ts';
import { Health } from './routes/health.ts';
import type { RouteFailure } from './routes/mesh-route.ts';
import { MeshRoutes } from './routes/routes.ts';
import { Settling } from './settling.ts';
import { Losses } from './told/losses.ts';

type Message<T extends PeerMessage['type']> = Extract<PeerMessage, { type: T }>;

export class Ground {
  readonly registry: Registry;
  readonly holdings: Holdings;
  readonly links: WantedLinks;
  readonly routes: MeshRoutes;
  readonly placing: Placing;
  readonly probing: Probing;
  readonly #health: Health;
  readonly #departures: Departures;
  readonly #blackout: Blackout;
  readonly #speeds: ServedSpeeds;
  readonly #losses = new Losses();
  readonly #hearsay = new Hearsay();
  readonly #joins = new Joins();
  readonly #probes: boolean;
  readonly #layers: number;
  readonly #timers: TimerGroup;
  readonly #settling: Settling;
  readonly #log: Logger;
  #isClosed = false;

  constructor(given: GroundOptions) {
    const { quantization = 'native', receiptKey = { bytes: randomBytes(32), isKept: false } } = given;
    const options = { ...given, quantization, receiptKey };
    const { costs, log } = options;
    this.#log = log;
    this.#probes = options.probes ?? true;
    this.#layers = costs.layers.length;
    const stageCosts = stageCostsOf(costs);
    this.#speeds = new ServedSpeeds(stageCosts, () => options.timers.now());
    this.#timers = new TimerGroup(options.timers);
    this.registry = new Registry(options);
    this.#settling = new Settling({
      timers: this.#timers,
      workers: () => this.registry.count,
      step: () => this.#step(),
      onSettled: () => this.routes.tellPossible(),
    });
    // Before all others, who then go by it.
    this.#blackout = new Blackout({
      registry: this.registry,
      timers: this.#timers,
      isLost: (peer) => this.#departures.isLost(peer),
      onOver: () => this.#settle(),
    });
    this.registry.watch({
      away: (peer) => {
        this.#joins.forget(peer);
        this.#settle();
      },
      // Why is in the registry's log: it may be the words of a worker, which are not for clients.
      gone: (peer) => this.#gone(peer, `${peer.name} left (its connection closed)`),
    });
    this.#health = new Health({ ...options, registry: this.registry, onChanged: () => this.#relieved() });
    this.holdings = new Holdings(options, {
      held: ({ peer }) => {
        this.#health.loaded(peer);
        this.#settle();
      },
      lagging: () => this.#relieved(),
      lost: (holding, error) => this.#shardLost(holding, error),
    });
    const isUsable = (peer: Peer) => this.#isUsable(peer);
    this.links = new WantedLinks({
      layers: this.#layers,
      speed: (peer) => this.#speeds.cost(peer).macsPerSecond,
      isUsable,
      mayLink: (a, b) => this.#health.mayLink(a, b),
    });
    this.#departures = new Departures(this.holdings, this.links, (peer) => this.#health.silent.has(peer));
    const mayLoad = (peer: Peer) => this.#mayLoad(peer);
    this.routes = new MeshRoutes({
      holdings: this.holdings,
      links: this.links,
      costs: stageCosts,
      speeds: this.#speeds,
      maxStages: options.solo === true ? 1 : (options.maxStages ?? this.#layers),
      isUsable,
      mayLoad,
      isSuspected: (peer) => this.#health.isSuspected(peer),
      isProven: (holding) => !this.#probes || this.probing.isProven(holding),
      isLetBe: ({ refusedAtMs }) =>
        refusedAtMs !== null && options.timers.now() - refusedAtMs < CAPACITY_RETRY_MS,
      isSeasoned: (peer) => !this.#probes || this.#health.hasServedClients(peer),
      outlook: () => ({
        isComing: this.placing.isComing || this.probing.proving !== null,
        detail: this.#detail,
      }),
      now: () => options.timers.now(),
      onServed: (round) => {
        const left = this.#health.served(round);
        for (const peer of left) this.#lose(peer, 'failed', peer.problem!);
        if (left.length > 0) this.#settle();
      },
      onFailed: (failure) => this.#routeFailed(failure),
      blameFor: (by, sender) => (this.#health.isCredible(by, sender) ? sender : by),
      onEntered: (peer) => this.#health.paced(peer, paceOf(this.holdings.of(peer))),
      onLeft: () => this.#settling.soon(),
      isHeard: (id) => this.#hearsay.isHeard(id),
    });
    this.routes.onLive((route) => this.#losses.serves(route));
    this.placing = new Placing({
      ...options,
      stageCosts,
      planner: new Planner({
        costs,
        holdings: this.holdings,
        speeds: this.#speeds,
        health: this.#health,
        layout: layoutAsked(options),
      }),
      registry: this.registry,
      holdings: this.holdings,
      links: this.links,
      routes: this.routes,
      health: this.#health,
      isUsable,
      mayLoad,
      // Who is left out gets nothing when it returns.
      isExpected: (peer) =>
        peer.isAway && !this.#departures.isLost(peer) && peer.excludedUntil <= options.timers.now(),
      isAwaited: () => this.#hearsay.hearsOther((id) => this.registry.get(id)?.isWorker === true),
      onPlaced: () => {
        // What was decided is done at once: until the next decision nothing more is handed out.
        this.#settling.endRest();
        this.#settle();
      },
      onUnlinked: (a, b, error) => {
        this.#unlinked(a, b, error);
        this.#settle();
      },
    });
    this.probing = new Probing({
      ...options,
      holdings: this.holdings,
      routes: this.routes,
      health: this.#health,
      isUsable,
      wanted: () => this.placing.loading?.holdings ?? [],
      onProved: () => this.#settle(),
      onFailed: (failure) => this.#routeFailed(failure),
      onWrong: (peers) => {
        for (const peer of peers) this.#lose(peer, 'failed', peer.problem!);
        this.#settle();
      },
    });
  }

  /** Whom the route that served last has lost, and those after it that did not come to serve. */
  get losses(): Losses['told'] {
    return this.#losses.told;
  }

  join(peer: Peer, { capability, held, links }: Message<'join'>): void {
    const { version } = this.holdings;
    const isNew = this.#joins.isNew(peer, capability, links) || this.#departures.isDraining(peer);
    if (isNew) {
      const { adapter, gemvMacsPerSecond, memoryBudgetBytes } = capability;
      this.#log.info(
        {
          peer: peer.id,
          worker: peer.name,
          adapter,
          gemvMacsPerSecond,
          memoryBudgetBytes,
          held: held.length,
        },
        'worker joined',
      );
      this.#health.joined(peer);
      this.#departures.returned(peer);
      this.#blackout.joined();
    }
    if (this.holdings.reconcile(peer, held)) this.placing.expectReturn();
    if (isNew) this.#wantLinks();
    const isLinkedOtherwise = this.links.joined(peer, links);
    if (!isNew && !isLinkedOtherwise && this.holdings.version === version) return;
    this.#hearsay.joined(peer, links);
    this.placing.joined(peer);
    this.#settle();
  }

  leave(peer: Peer, reason: string): void {
    // A page that never joined, or says so twice on its way out, has nothing to give back.
    if (!this.registry.leave(peer)) return;
    this.#health.left(peer);
    this.#log.info(wordsOf(peer, reason), 'worker left');
    this.#gone(peer, `${peer.name} left`);
  }

  /** Nothing new begins on it; what runs there moves, where there is another way. */
  drain(peer: Peer, reason: string): void {
    if (!peer.isWorker) return;
    if (!this.#departures.drain(peer)) return;
    this.#log.info(wordsOf(peer, reason), 'worker wishes to stop');
    this.placing.lost(`${peer.name} leaves`);
    this.#settle();
  }

  link(peer: Peer, { peer: id, state, error }: Message<'link'>): void {
    this.#hearsay.told(peer, id, state);
    const other = this.registry.get(id);
    if (other === undefined) {
      this.#relieved();
      this.routes.tellHearsay();
      return;
    }
    const hasGone = this.links.report(peer, other, state);
    if (hasGone === null) {
      this.#log.debug({ worker: peer.name, other: id }, 'link not wanted, or its state is known');
      return;
    }
    if (hasGone) {
      const words = error === undefined ? 'it is gone' : `${error.code}: ${error.message}`;
      this.#timers.after(LINK_GRACE_MS, () => this.#stayedDown(peer, other, words));
      this.routes.refresh();
      // What was on its way over it is lost, though it may be there again.
      this.routes.tellLinkLost(peer, other);
    }
    this.#settle();
  }

  stats(peer: Peer, stats: PeerStats): void {
    peer.stats = stats;
    this.#speeds.note(peer, stats, this.routes.layersOn(peer));
  }

  close(): void {
    this.#isClosed = true;
    this.placing.close();
    this.probing.close();
    this.#settling.close();
    this.#timers.clear();
    this.#health.close();
    this.holdings.close();
    this.registry.close();
  }

  /** What is served; else what loads or why nothing does, and what of a route is missing. */
  get #detail(): string {
    const { detail } = this.placing;
    const isLoading = this.placing.loading?.holdings.every(({ isHeld }) => isHeld) === false;
    if (this.routes.live !== null || isLoading || this.holdings.all().length === 0) return detail;
    const idle = this.registry
      .workers()
      .filter((peer) => this.holdings.of(peer).length === 0 && this.#mayLoad(peer));
    return `${detail}; ${this.routes.ways.lack(
      idle.map(({ name }) => name),
      this.probing.proving,
    )}`;
  }

  #routeFailed(failure: RouteFailure): void {
    for (const peer of this.#health.routeFailed(failure)) this.#lose(peer, 'failed', peer.problem!);
    this.#settle();
  }

  #isUsable(peer: Peer): boolean {
    const mayServe = !this.#departures.isDraining(peer) && !this.#departures.isMute(peer);
    return peer.isWorker && mayServe && this.#health.isFit(peer);
  }

  #mayLoad(peer: Peer): boolean {
    return peer.isWorker && !this.#departures.isDraining(peer) && !this.#health.isLeftOut(peer);
  }

  #relieved(): void {
    this.placing.relieved();
    this.#settle();
  }

  #stayedDown(reporter: Peer, other: Peer, words: string): void {
    if (!this.links.settled(reporter, other)) return;
    this.#log.info({ ...wordsOf(reporter, words), other: other.name }, 'a link stayed down');
    this.routes.refresh();
    if (!other.isAway && !reporter.isAway) {
      const what = `the link between ${reporter.name} and ${other.name} went down and stayed so`;
      this.#unlinked(reporter, other, new ShoalError('LINK_FAILED', what));
    }
    this.#settle();
  }

  /** Neither end is gone, and one of them is to blame. */
  #unlinked(reporter: Peer, other: Peer, error: ShoalError): void {
    if (!reporter.isWorker || !other.isWorker) return;
    for (const peer of this.#health.linkFailed(reporter, other, error)) {
      this.#lose(peer, 'failed', peer.problem!);
    }
  }

  #shardLost(holding: Holding, error: ShoalError | null): void {
    const { peer, shard } = holding;
    if (error !== null) this.#health.loadFailed(peer, error);
    const how = error === null ? 'left' : 'failed';
    this.#lose(peer, how, error === null ? `${peer.name} lost its layers` : peer.problem!, shard);
    this.#settle();
  }

  #gone(peer: Peer, why: string): void {
    if (this.#isClosed) return;
    const held = this.holdings.forget(peer);
    const wasLost = this.#departures.isLost(peer);
    if (held.length > 0 && !wasLost) this.#lose(peer, 'left', why);
    this.#joins.forget(peer);
    this.probing.forget(peer);
    this.#speeds.forget(peer);
    this.#departures.forget(peer);
    this.links.forget(peer);
    this.#hearsay.forget(peer);
    this.#settle();
  }

  /** Nothing that runs through it, or through that shard of it, goes on. */
  #lose(peer: Peer, how: Loss['how'], why: string, shard: number | null = null): void {
    this.routes.refresh();
    this.#log.warn({ worker: peer.name }, `lost: ${why}`);
    this.#losses.add(peer, shard, how, this.routes.live);
    this.placing.lost(why);
    this.routes.tellPeerLost(peer, { worker: peer.name, how }, shard);
  }

  #settle(): void {
    this.#settling.settle();
  }

  #step(): void {
    this.#wantLinks();
    const mute = this.#departures.newlyMute(this.#health.silent);
    this.routes.refresh();
    this.#giveUpLost(mute);
    this.placing.settle();
    if (this.#probes) this.probing.settle();
    if (this.placing.giveCopies()) this.#settling.again();
    for (const peer of this.registry.workers()) {
      const holdings = this.holdings.of(peer);
      this.#health.paced(peer, paceOf(holdings));
      peer.moveTo(stateOf(peer, holdings, this.routes.live, this.placing.loading));
      this.#departures.release(peer);
    }
  }

  #giveUpLost(mute: readonly Peer[]): void {
    for (const peer of mute) {
      if (this.holdings.of(peer).length === 0) continue;
      this.#lose(peer, 'failed', `${peer.name} fell silent, to the server and to its neighbours`);
      this.#settling.again();
    }
    const away = this.registry.away();
    for (const peer of this.#departures.newlyLost(away, this.#blackout.isOn)) {
      this.#lose(peer, 'left', `${peer.name} left (its connection closed)`);
      this.#settling.again();
    }
    this.#moveOff(away);
    if (this.routes.live === null) return;
    for (const [a, b] of this.#departures.newlySilent(this.routes.live)) this.routes.tellLinkLost(a, b);
  }

  /** Told with every change until nothing runs there any more: there may be a way, or room, since the last time. */
  #moveOff(away: readonly Peer[]): void {
    const used = this.holdings.all().filter(({ sequences }) => sequences > 0);
    const inUse = new Set(used.map(({ peer }) => peer));
    for (const peer of away) if (inUse.has(peer)) this.routes.tellMovable(peer, 'away');
    for (const peer of inUse) {
      if (!peer.isWorker) continue;
      if (this.#departures.isDraining(peer)) this.routes.tellMovable(peer, 'drains');
      else if (this.#health.isSilent(peer)) this.routes.tellMovable(peer, 'silent');
    }
  }

  /** What serves first: its links are the ones that matter. */
  #wantLinks(): void {
    const { holdings, routes, placing } = this;
    const live = routes.live?.stops.flatMap(({ peer, shard }) => holdings.find(peer, shard) ?? []);
    const paths = [live, placing.loading?.holdings].filter((path) => path !== undefined);
    this.links.update({ holdings: holdings.all(), version: holdings.version, paths });
  }
}

/** What a worker says of its own, for the log alone. */
const wordsOf = ({ id, name }: Peer, says: string) => ({
  peer: id,
  worker: name,
  says: oneLine(says, MAX_LOGGED_WORDS),
});
