/**
 * When layers are handed out, and to whom. A better placement of those present is loaded beside what serves, and takes over
 * when it is whole (make before break). After a loss the others keep what they hold: a spare takes the lost layers, and only
 * where there is none everything is placed anew.
 */
import {
  DEPARTURE_DEBOUNCE_MS,
  EXPECT_WORKERS_MS,
  PLACEMENT_DEBOUNCE_MS,
  RETURN_WAIT_MS,
} from '../../config/limits.ts';
import type { SpareReason } from '../../mesh/protocol/status.ts';
import {
  type DoesNotFit,
  isWorthMoving,
  type PlacedStage,
  type Placement,
  slowestStage,
} from '../../schedule/placement.ts';
import { EarliestTimer } from '../earliest-timer.ts';
import { TimerGroup } from '../timer-group.ts';
import { ConnectWatch } from './connect-watch.ts';
import { Cutter } from './cutter.ts';
import type { Holding } from './holding.ts';
import type { Peer } from './peer.ts';
import type { PlacingOptions } from './placing-options.ts';
import { Racing } from './racing.ts';
import type { LiveRoute } from './routes.ts';
import { Target } from './target.ts';
import { Judgements, whySpare } from './why-spare.ts';

export type Shortage = Pick<DoesNotFit, 'workers' | 'detail'>;

export class Placing {
  readonly #options: PlacingOptions;
  readonly #timers: TimerGroup;
  readonly #due: EarliestTimer;
  readonly #judged = new Judgements();
  readonly #cutter: Cutter;
  readonly #connecting: ConnectWatch;
  readonly #racing: Racing;
  #target: Target | null = null;
  #expecting: boolean;
  /** When the first shard was adopted that nobody here had asked for. */
  #adoptedAt = Number.NEGATIVE_INFINITY;
  /** Why nothing is served, when nothing is or loads. */
  #lack = 'no worker has joined; open the page and press Join';
  #shortage: DoesNotFit | null = null;
  /** A better placement has no memory beside what is in use. */
  #waitsForIdle = false;
  #wasLive = false;

  constructor(options: PlacingOptions) {
    this.#options = options;
    this.#timers = new TimerGroup(options.timers);
    this.#cutter = new Cutter(options);
    this.#racing = new Racing({ ...options, cutter: this.#cutter });
    this.#connecting = new ConnectWatch({ ...options, timers: this.#timers });
    this.#due = new EarliestTimer(this.#timers, () => {
      this.#place();
      options.onPlaced();
    });
    this.#expecting = (options.expectWorkers ?? 0) > 1;
    if (this.#expecting) {
      this.#timers.after(EXPECT_WORKERS_MS, () => {
        this.#expecting = false;
        this.#due.within(0);
      });
    }
  }

  /** What loads, or waits for its links; null: nothing does. */
  get loading(): Target | null {
    return this.#target?.isEstablished === false ? this.#target : null;
  }

  /** A placement is due. */
  get isDue(): boolean {
    return this.#due.isDue;
  }

  /** Whether a route may be expected without anyone joining. */
  get isComing(): boolean {
    return this.loading !== null || this.isDue || this.#isReturning;
  }

  /** Set while the model does not fit into the workers that are there, and would not if those left out for a while were asked again. */
  get shortage(): Shortage | null {
    return this.#shortage;
  }

  /** One sentence for people: what is served, or what is missing. */
  get detail(): string {
    const { model, routes } = this.#options;
    if (routes.live !== null) {
      return `${model} is served by ${routes.live.stops.map(({ peer }) => peer.name).join(', ')}`;
    }
    const { loading } = this;
    if (loading !== null) return `${model} loads on ${loading.names.join(', ')}: ${loading.loadText()}`;
    return `${model} is not served: ${this.#lack}`;
  }

  /** Why a worker holds nothing; null for one that does, or loads. */
  spareReason(peer: Peer): SpareReason | null {
    const { holdings, registry, routes } = this.#options;
    if (holdings.of(peer).length > 0 && !this.#options.health.isLeftOut(peer)) return null;
    const expected = this.#options.expectWorkers ?? 0;
    return whySpare(peer, {
      nowMs: this.#timers.now(),
      expecting: this.#expecting ? { joined: registry.workers().length, expected } : null,
      isPlacing: this.isDue,
      judged: this.#judged.of(peer.id),
      hasLive: routes.live !== null,
      hasLoading: this.loading !== null,
      missingBytes: this.#shortage === null ? 0 : this.#shortage.neededBytes - this.#shortage.availableBytes,
    });
  }

  joined(peer: Peer): void {
    this.#judged.forget(peer.id);
    this.#due.within(PLACEMENT_DEBOUNCE_MS);
  }

  /** A worker held something that this server had not asked for. */
  adopted(): void {
    if (this.#adoptedAt === Number.NEGATIVE_INFINITY) this.#adoptedAt = this.#timers.now();
  }

  /** @param why for people */
  lost(why: string): void {
    this.#judged.clear();
    this.#lack = why;
    this.#due.within(DEPARTURE_DEBOUNCE_MS);
  }

  /** Somebody may be given layers again. */
  relieved(): void {
    this.#due.within(0);
  }

  /** To be called when holdings, links, routes or peers have changed, after the routes' own. */
  settle(): void {
    const { routes } = this.#options;
    this.#checkTarget(routes.live);
    const won = this.loading && this.#racing.won(this.loading);
    if (won !== null) this.#setTarget(won);
    const { loading } = this;
    if (loading !== null && routes.isServing(loading.holdings)) this.#takeOver(loading);
    else if (loading?.holdings.every(({ isHeld }) => isHeld)) this.#connecting.watch(loading);
    this.#dropRetired();
    const isLive = routes.live !== null;
    if (this.#wasLive && !isLive) this.#due.within(DEPARTURE_DEBOUNCE_MS);
    this.#wasLive = isLive;
    if (this.#waitsForIdle && !this.#isInUse) this.#due.within(0);
  }

  close(): void {
    this.#due.stop();
    this.#timers.clear();
    this.#lack = 'the server is shutting down';
    this.#target = null;
  }

  /** Somebody who is away, and may return, makes what is there whole. */
  get #isReturning(): boolean {
    const { routes, isExpected } = this.#options;
    return routes.live === null && routes.potential(isExpected) !== null;
  }

  get #isInUse(): boolean {
    return this.#options.holdings.all().some(({ sequences }) => sequences > 0);
  }

  /** Who is lost from it ends a target that loads; one that served goes on as the route that serves now. */
  #checkTarget(live: LiveRoute | null): void {
    const target = this.#target;
    if (target === null) return;
    const { holdings, isUsable, mayLoad, isExpected } = this.#options;
    const isWhole = target.holdings.every(
      (holding) =>
        holdings.find(holding.peer, holding.shard) === holding &&
        ((isUsable(holding.peer) && (target.isEstablished || mayLoad(holding.peer))) ||
          isExpected(holding.peer)),
    );
    if (isWhole) return;
    if (!target.isBroken) this.#due.within(DEPARTURE_DEBOUNCE_MS);
    // What is left of it is what a spare may complete.
    target.isEstablished = true;
    target.isBroken = true;
    this.#connecting.stop();
    if (live !== null) this.#follow(live);
  }

  #follow(live: LiveRoute): void {
    const { holdings } = this.#options;
    const path = live.stops.flatMap(({ peer, shard }) => holdings.find(peer, shard) ?? []);
    this.#setTarget(new Target(path, true));
    for (const holding of path) holding.isRetiring = false;
  }

  #takeOver(target: Target): void {
    this.#connecting.stop();
    target.isEstablished = true;
    this.#cutter.lastOrder = target.holdings.map(({ peer }) => peer.id);
    this.#retireOthers(target.holdings);
    this.#options.log.info({}, `serves now: ${target}`);
    this.#due.within(PLACEMENT_DEBOUNCE_MS);
    this.#options.routes.refresh();
  }

  /** Copies of what is wanted stay. */
  #retireOthers(wanted: readonly Holding[]): void {
    for (const holding of this.#options.holdings.all()) {
      holding.isRetiring = !wanted.some(({ layers }) => holding.isSameAs(holding.peer, layers));
    }
  }

  /** Beside a route that serves, what is not wanted goes as soon as nobody uses it. */
  #dropRetired(): void {
    const { holdings, routes } = this.#options;
    if (routes.live === null || this.loading !== null) return;
    for (const holding of holdings.all()) {
      if (holding.isRetiring && holding.sequences === 0) holdings.drop(holding);
    }
  }

  #place(): void {
    const { registry, routes, health, mayLoad, holdings } = this.#options;
    const workers = registry.workers().filter(mayLoad);
    const trusted = workers.filter((peer) => !health.isSuspected(peer));
    // What loads is let finish: abandoning it for every newcomer might never serve at all.
    if (this.loading !== null) {
      const mayReplace = routes.live === null && !this.#isInUse;
      const first = this.#racing.enter(this.loading, workers, trusted, mayReplace);
      if (first !== null) this.#load(first);
      return;
    }
    if (routes.live !== null) {
      if (this.#target === null) this.#follow(routes.live);
      // At most one that is being replaced: while it is in use nothing new is loaded.
      if (holdings.all().some(({ isRetiring, sequences }) => isRetiring && sequences > 0)) return;
      this.#improve(trusted);
      return;
    }
    if (this.#expecting && workers.length < (this.#options.expectWorkers ?? 0)) {
      this.#lack = `${workers.length} of ${this.#options.expectWorkers} expected workers have joined`;
      return;
    }
    const whole = routes.potential();
    if (whole !== null) {
      this.#expecting = false;
      this.#setTarget(new Target(whole, false));
      return;
    }
    if (this.#isReturning) return;
    const waitMs = this.#adoptedAt + RETURN_WAIT_MS - this.#timers.now();
    if (waitMs > 0) {
      this.#due.within(waitMs);
      return;
    }
    this.#placeAnew(workers, trusted);
  }

  #placeAnew(workers: readonly Peer[], trusted: readonly Peer[]): void {
    const { registry, log } = this.#options;
    const filled = this.#target && this.#cutter.filled(this.#target, trusted);
    const alone = this.#cutter.placedAmong(workers, trusted, () => 0);
    this.#shortage = null;
    this.#waitsForIdle = false;
    if (
      filled !== null &&
      (alone.kind !== 'placed' || slowestStage(filled) <= FILL_TOLERANCE * alone.bottleneckSeconds)
    ) {
      this.#judged.note(alone, 'no-gain');
      this.#load(filled);
      return;
    }
    if (alone.kind === 'placed') {
      // What answers run on, though nothing new may begin there.
      const beside = this.#isInUse
        ? this.#cutter.placedAmong(workers, trusted, (peer) => this.#cutter.bytesInUse(peer, null))
        : alone;
      this.#expecting = false;
      this.#judged.note(alone, beside.kind === 'placed' ? 'no-gain' : 'answers-first');
      if (beside.kind === 'placed') this.#load(beside.stages);
      else this.#waitsForIdle = true;
      return;
    }
    if (workers.length > 0 && workers.length === registry.workers().length) this.#shortage = alone;
    const problems = registry.workers().flatMap(({ problem }) => (problem === null ? [] : [problem]));
    this.#lack = [alone.detail, ...problems].join('; ');
    this.#judged.clear();
    if (workers.length > 0) log.warn({ workers: workers.length }, this.detail);
  }

  /**
   * Loads a better placement beside the one that serves. Where the workers' memory does not hold both, the old one has to end
   * first, and does when nobody uses it.
   */
  #improve(workers: readonly Peer[]): void {
    const { holdings } = this.#options;
    const current = this.#target!;
    this.#waitsForIdle = false;
    const better = (placement: Placement) =>
      placement.kind === 'placed' && isWorthMoving(slowestStage(current.holdings), placement)
        ? placement
        : null;
    const beside = better(this.#cutter.placed(workers, (peer) => this.#cutter.bytesInUse(peer, current)));
    const alone = this.#cutter.placed(workers, () => 0);
    const instead = beside ?? better(alone);
    this.#judged.note(alone, 'no-gain');
    if (instead === null) return;
    if (beside === null) {
      if (this.#isInUse) {
        this.#waitsForIdle = true;
        this.#judged.note(alone, 'answers-first');
        return;
      }
      this.#options.log.info({}, 'what serves ends: its memory is needed for a better placement');
      for (const holding of current.holdings) {
        const stays = instead.stages.some(
          ({ worker, shard }) => worker === holding.peer.id && holding.isSameAs(holding.peer, shard),
        );
        if (!stays) holdings.drop(holding);
      }
    }
    this.#judged.note(instead, 'no-gain');
    this.#load(instead.stages);
  }

  #load(stages: readonly PlacedStage[]): void {
    const { links, log } = this.#options;
    const target = this.#cutter.load(stages, this.#target);
    this.#setTarget(target);
    log.info({}, `loads: ${target}`);
    for (const [index, { peer }] of target.holdings.entries()) {
      links.retry(peer, target.holdings[(index + 1) % target.holdings.length]!.peer);
    }
  }

  #setTarget(target: Target): void {
    this.#connecting.stop();
    this.#target = target;
  }
}

/** A spare that is slower than the best placement of all may still take a gap: its layers alone have to be loaded. */
const FILL_TOLERANCE = 2;
