/**
 * When layers are handed out, and to whom. A better placement of those present is loaded beside what serves, and takes over
 * when it is whole (make before break). After a loss the others keep what they hold: where a copy of the lost layers is held
 * it serves at once, else a spare takes them, and only where there is none everything is placed anew.
 */
import {
  DEPARTURE_DEBOUNCE_MS,
  EXPECT_WORKERS_MS,
  PLACEMENT_DEBOUNCE_MS,
  PLACEMENT_REST_MS_A_WORKER,
  RETURN_REST_MS,
  RETURN_WAIT_MS,
} from '../../../config/limits.ts';
import type { SpareReason } from '../../../mesh/protocol/status.ts';
import type { DoesNotFit } from '../../../schedule/layout/does-not-fit.ts';
import { EarliestTimer } from '../../earliest-timer.ts';
import { TimerGroup } from '../../timer-group.ts';
import type { Peer } from '../peers/peer.ts';
import type { LiveRoute } from '../routes/routes.ts';
import { ConnectWatch } from './connect-watch.ts';
import { Copies } from './copies.ts';
import { Cutter } from './cutter.ts';
import type { PlacingOptions } from './placing-options.ts';
import type { Plan } from './planner.ts';
import { Racing } from './racing.ts';
import { dropRetired, retireOthers } from './retiring.ts';
import { Target } from './target.ts';
import { Judgements, whySpare } from './why-spare.ts';

export type Shortage = Pick<DoesNotFit, 'workers' | 'detail'>;

export class Placing {
  readonly #options: PlacingOptions;
  readonly #timers: TimerGroup;
  readonly #due: EarliestTimer;
  readonly #judged = new Judgements();
  readonly #cutter: Cutter;
  readonly #copies: Copies;
  readonly #connecting: ConnectWatch;
  readonly #racing: Racing;
  #target: Target | null = null;
  #expecting: boolean;
  /** Since when workers of before are expected. */
  #returnsFrom = Number.NEGATIVE_INFINITY;
  /** Why nothing is served, when nothing is or loads. */
  #lack = 'no worker has joined; open the page and press Join';
  #shortage: DoesNotFit | null = null;
  /** A better placement has no memory beside what is in use. */
  #waitsForIdle = false;
  #wasLive = false;
  /** Who should hold what, as of the last placement; null before the first. */
  #plan: Plan | null = null;
  /** What copies were last given out by: the same again gives the same. */
  #copiesOf: readonly unknown[] = [];

  constructor(options: PlacingOptions) {
    this.#options = options;
    this.#timers = new TimerGroup(options.timers);
    this.#cutter = new Cutter(options);
    this.#racing = new Racing({ ...options, cutter: this.#cutter });
    this.#copies = new Copies(options);
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
    this.#dueWithin(PLACEMENT_DEBOUNCE_MS);
  }

  /** There were workers before this server, as one holds something that it had not asked for, or a sequence is to go on: others may return. */
  expectReturn(): void {
    if (this.#returnsFrom === Number.NEGATIVE_INFINITY) this.#returnsFrom = this.#timers.now();
  }

  /** @param why for people */
  lost(why: string): void {
    this.#judged.clear();
    this.#lack = why;
    this.#dueWithin(DEPARTURE_DEBOUNCE_MS);
  }

  /** Somebody may be given layers again. */
  relieved(): void {
    this.#dueWithin(0);
  }

  /** To be called when holdings, links, routes or peers have changed, after the routes' own. */
  settle(): void {
    const { routes } = this.#options;
    this.#checkTarget(routes.live);
    const won = this.loading && this.#racing.won(this.loading);
    if (won !== null) this.#setTarget(won);
    const { loading } = this;
    if (loading !== null && routes.ways.isServing(loading.holdings)) this.#takeOver(loading);
    else if (loading?.holdings.every(({ isHeld }) => isHeld)) this.#connecting.watch(loading);
    // Beside a route that serves, what is not wanted goes as soon as nobody uses it.
    if (routes.live !== null && this.loading === null) dropRetired(this.#options.holdings);
    const isLive = routes.live !== null;
    if (this.#wasLive && !isLive) this.#due.within(DEPARTURE_DEBOUNCE_MS);
    this.#wasLive = isLive;
    if (this.#waitsForIdle && !this.#isInUse) this.#due.within(0);
    if (isLive && this.#cutter.isOutgrown) this.#dueWithin(PLACEMENT_DEBOUNCE_MS);
  }

  close(): void {
    this.#due.stop();
    this.#timers.clear();
    this.#lack = 'the server is shutting down';
    this.#target = null;
  }

  /**
   * While something serves, who comes and goes in a large mesh is placed together: each decision looks at everybody, and where
   * somebody comes every moment there would be one every moment.
   */
  #dueWithin(ms: number): void {
    const { routes, registry } = this.#options;
    const restMs = routes.live === null ? 0 : registry.count * PLACEMENT_REST_MS_A_WORKER;
    this.#due.within(restMs < PLACEMENT_DEBOUNCE_MS ? ms : Math.max(ms, restMs));
  }

  /** Somebody who is away, and may return, makes what is there whole. */
  get #isReturning(): boolean {
    const { routes, isExpected } = this.#options;
    return routes.live === null && routes.ways.potential(isExpected) !== null;
  }

  get #isInUse(): boolean {
    return this.#options.holdings.all().some(({ sequences }) => sequences > 0);
  }

  /** Who is lost from it ends a target that loads; one that served goes on as the route that serves now. */
  #checkTarget(live: LiveRoute | null): void {
    const target = this.#target;
    if (target === null) return;
    const { holdings, health, isUsable, mayLoad, isExpected } = this.#options;
    const isWhole = target.holdings.every(
      (holding) =>
        holdings.find(holding.peer, holding.shard) === holding &&
        ((isUsable(holding.peer) && (target.isEstablished || mayLoad(holding.peer))) ||
          isExpected(holding.peer)) &&
        // Beside a route that serves, who computes other tokens than it takes nothing over.
        (target.isEstablished || live === null || !health.isDoubted(holding.peer)),
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
    retireOthers(this.#options.holdings, target.holdings, this.#plan);
    this.#dueWithin(PLACEMENT_DEBOUNCE_MS);
    this.#options.routes.refresh();
    this.#options.log.info({}, `serves now: ${target}${expectedText(this.#options.routes)}`);
  }

  /** What others than the route's workers should hold, beside a route that serves. @returns whether anything was done */
  giveCopies(): boolean {
    const { routes, registry, holdings } = this.#options;
    if (this.#plan === null || this.loading !== null || this.isDue || routes.live === null) {
      this.#copiesOf = [];
      return false;
    }
    const view = [this.#plan, this.#target, registry.workers(), holdings.version];
    if (view.every((part, index) => part === this.#copiesOf[index])) return false;
    this.#copiesOf = view;
    return this.#copies.settle(this.#plan, this.#target);
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
    const whole = routes.ways.potential();
    if (whole !== null) {
      this.#expecting = false;
      this.#setTarget(new Target(whole, false));
      return;
    }
    if (this.#isReturning) return;
    const patienceMs = this.#options.isAwaited() ? RETURN_WAIT_MS : RETURN_REST_MS;
    const waitMs = this.#returnsFrom + patienceMs - this.#timers.now();
    if (waitMs > 0) {
      this.#due.within(waitMs);
      return;
    }
    this.#placeAnew(workers, trusted);
  }

  #placeAnew(workers: readonly Peer[], trusted: readonly Peer[]): void {
    const { registry, log } = this.#options;
    const plan = this.#cutter.plannedAmong(workers, trusted);
    this.#shortage = null;
    this.#waitsForIdle = false;
    if (plan.kind === 'placed') {
      this.#expecting = false;
      // What answers run on stays, though nothing new may begin there.
      const isBeside = this.#cutter.fitsBeside(plan, null);
      this.#judged.note(plan, isBeside ? 'no-gain' : 'answers-first');
      if (isBeside) this.#load(plan);
      else this.#waitsForIdle = true;
      return;
    }
    if (workers.length > 0 && workers.length === registry.workers().length) this.#shortage = plan;
    const problems = registry.workers().flatMap(({ problem }) => (problem === null ? [] : [problem]));
    this.#lack = [plan.detail, ...problems].join('; ');
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
    const plan = this.#cutter.planned(workers);
    this.#judged.note(plan, 'no-gain');
    if (plan.kind === 'does-not-fit') return;
    // Who serves and is to hold the same goes on; others' layers are copies, which routes take when they are there.
    const goesOn = current.holdings.every((holding) => {
      const range = plan.ranges.get(holding.peer.id);
      return range !== undefined && holding.isSameAs(holding.peer, range);
    });
    if (goesOn || this.#cutter.missing(plan).length === 0) {
      this.#plan = plan;
      return;
    }
    if (!this.#cutter.fitsBeside(plan, current)) {
      if (this.#isInUse) {
        this.#waitsForIdle = true;
        this.#judged.note(plan, 'answers-first');
        return;
      }
      this.#options.log.info({}, 'what serves ends: its memory is needed for a better placement');
      for (const holding of current.holdings) {
        const stays = plan.stages.some(
          ({ worker, shard }) => worker === holding.peer.id && holding.isSameAs(holding.peer, shard),
        );
        if (!stays) holdings.drop(holding);
      }
    }
    this.#load(plan);
  }

  #load(plan: Plan): void {
    const { links, log } = this.#options;
    this.#plan = plan;
    const target = this.#cutter.load(plan.stages, this.#target);
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

/** `; expects 31 tok/s, first token 0.4 s`: what the route that serves should give a request alone. */
function expectedText({ live, forecast }: PlacingOptions['routes']): string {
  if (live === null) return '';
  const { tokensPerSecond, firstTokenMs } = forecast.predicted(live);
  const text = (value: number) => Number(value.toPrecision(2));
  return `; expects ${text(tokensPerSecond)} tok/s, first token ${text(firstTokenMs / 1_000)} s`;
}
