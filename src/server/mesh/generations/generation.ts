/**
 * One answer: ids in, ids out, whatever happens to the workers below. It holds one sequence, looks for a route for it, and for
 * another one whenever that is lost. Draws are keyed by (seed, position), so the tokens go on as if nothing had happened.
 */
import type { Logger } from 'pino';
import type { GenerateEvent, GenerateRequest } from '../../../backend/fxn/generator.ts';
import { ShoalError } from '../../../config/errors.ts';
import { MAX_LOSSES_TOLD, PIPELINE_WAIT_MS } from '../../../config/limits.ts';
import type { WireDtype } from '../../../gpu/stage-engine.ts';
import type { Loss } from '../../../mesh/protocol/status.ts';
import type { Timers } from '../../../mesh/timers.ts';
import { restartAfter } from '../../../schedule/restart.ts';
import type { Turn } from '../../../schedule/turns.ts';
import { TimerGroup } from '../../timer-group.ts';
import type { Peer } from '../peers/peer.ts';
import {
  type MeshRoute,
  type Routes,
  type RouteWish,
  servingStagesOf,
  stopOf,
} from '../routes/mesh-route.ts';
import type { Patience } from '../sequences/patience.ts';
import type { PrefillQueue } from '../sequences/prefill-queue.ts';
import { Sequence } from '../sequences/sequence.ts';
import type { Strikes } from '../sequences/strikes.ts';
import type { Offence } from '../sequences/token-offence.ts';
import { Crossings } from '../told/crossings.ts';
import { givenUp, lossOf, noRoute } from './failure-words.ts';
import type { Slots } from './slots.ts';

export interface GenerationOptions {
  /** Of its sequence. */
  readonly id: number;
  readonly request: GenerateRequest;
  readonly client: string;
  /** Of activations between stages; a sequence whose values leave f16's range goes on with f32. */
  readonly wire: WireDtype;
  readonly vocab: number;
  readonly routes: Routes;
  readonly slots: Slots;
  readonly strikes: Strikes;
  readonly queue: PrefillQueue;
  readonly patience: Patience;
  readonly timers: Timers;
  readonly log: Logger;
  /** Rises with everything that waits for a place. */
  readonly nextTicket: () => number;
  /** The answer goes on with another route; `positions` as `SequenceEvents.opened` has them. */
  readonly onMoved: (positions: readonly number[]) => void;
  /** Its tokens come from another class of adapters from here on, or from nobody knows which. */
  readonly onCrossed: () => void;
  /** Whether another sequence than this one has a stage on the peer. */
  readonly isShared: (peer: Peer) => boolean;
}

/** Of a stage that has some by its own word. */
const NO_ROOM = new ShoalError('KV_EXHAUSTED', 'it refuses what it has room for');

export class Generation {
  readonly sequence: Sequence;
  readonly #options: GenerationOptions;
  readonly #timers: TimerGroup;
  readonly #ending = new AbortController();
  /** Of which routes.enter was called and leave was not. */
  #entered: MeshRoute | null = null;
  /** The route that it had last: what it holds of the sequence is worth going back to. */
  #before: MeshRoute | null = null;
  #ticket: number;
  #round: number;
  #wire: WireDtype;
  /** Newest last. */
  #losses: readonly Loss[] = [];
  readonly #crossings: Crossings;
  #restarts = 0;
  /** Of them, since the last token. */
  #failures = 0;
  #nonFinite: { by: Peer | null; count: number; isOfOne: boolean } | null = null;
  #waitingSince: number | null = null;
  /** Stages that gave nothing since the last token: a route without them is tried first. */
  readonly #avoid = new Set<Peer>();
  /** Whose doing the last loss was; null: not known, or a token came since. */
  #lostBy: Peer | null = null;
  /** The next failure is for the loss of this. */
  #loss: Loss | null = null;
  /** Had no room though nothing else ran there: others need not wait behind it. */
  #isTooLarge = false;
  #wasOpened = false;
  readonly #whenClosed: (() => void)[] = [];
  #isSeeking = false;

  constructor(options: GenerationOptions) {
    const { id, request, client, vocab, queue, patience, timers } = options;
    this.#options = options;
    this.#crossings = new Crossings(request.resume?.sequence != null);
    this.#timers = new TimerGroup(timers);
    this.#ticket = options.nextTicket();
    this.#round = options.slots.roundFor(client);
    this.#wire = options.wire;
    this.sequence = new Sequence({
      id,
      request,
      ids: [...request.prompt, ...(request.resume?.ids ?? [])],
      vocab,
      timers,
      queue,
      patience,
      events: {
        opened: (positions) => this.#opened(positions),
        failed: (error, by, offence) => this.#failed(error, by, offence),
        unresponsive: (peers) =>
          options.routes.failed({
            kind: 'unresponsive',
            peers,
            error: new ShoalError(
              'DEADLINE_EXCEEDED',
              'it did not answer in time; it is left out for a while',
            ),
          }),
        stalled: (route, error) => {
          if (options.strikes.silent(route)) options.routes.failed({ kind: 'stalled', route, error });
        },
      },
    });
  }

  /** Runs when it has ended, however. */
  whenClosed(run: () => void): void {
    this.#whenClosed.push(run);
  }

  /** Its newest tokens are of another class of adapters than some before them. */
  get hasCrossed(): boolean {
    return this.#crossings.count > 0;
  }

  /** Has lost its route, and had no token since. */
  get isResuming(): boolean {
    return this.#failures > 0;
  }

  /**
   * The worker, or a link, is gone for it.
   * @param by whose doing it is: where it is so again before a token came, a route without it is tried first
   * @returns false where it had no route anyway
   */
  lose(why: string, loss: Loss, by: Peer | null = null): boolean {
    if (!this.sequence.isOnRoute) return false;
    if (by !== null && by === this.#lostBy) this.#avoid.add(by);
    this.#lostBy = by;
    this.#loss = loss;
    // Why is in the log; it may be the words of a worker, which are not for clients.
    return this.sequence.fail(new ShoalError('PIPELINE_LOST', why));
  }

  /** As `lose`, but only where there is a way without the peer, with room for it now: make before break. */
  moveOff(peer: Peer, why: string, loss: Loss): void {
    const { slots, routes } = this.#options;
    if (this.#entered === null || !slots.isNext(this.#turn(true))) return;
    const other = routes.choose(this.#wish(new Set([...this.#avoid, peer])));
    if (other === null || stopOf(other, peer) !== undefined) return;
    this.#avoid.add(peer);
    this.lose(why, loss);
  }

  /** Goes on with the route that its stages told after the server was away; it counts as entered. */
  adopt(route: MeshRoute, epoch: number, wire: WireDtype): void {
    if (this.sequence.state !== 'adrift' || this.#entered !== null) return;
    this.#options.routes.enter(route);
    this.#entered = route;
    this.#before = route;
    this.#crossings.adopted(route);
    this.#wire = wire;
    this.sequence.adopt(route, epoch, wire);
  }

  /** Looks for a route, best over stages that it had before the server was away. */
  resumeNear(before: MeshRoute): void {
    if (before.stops.length > 0) this.#before ??= before;
    this.seek();
  }

  /** Looks for a route, unless it has one. */
  seek(): void {
    if (this.sequence.state === 'adrift' && !this.#isSeeking) void this.#seek();
  }

  /** @throws as TokenGenerator.generate says */
  async *events(signal: AbortSignal): AsyncGenerator<GenerateEvent, void, undefined> {
    let told = -1;
    for (;;) {
      const token = await this.sequence.next(signal);
      if (token.epoch !== told) {
        told = token.epoch;
        this.#noteClasses(token.route);
        const stages = servingStagesOf(token.route);
        yield {
          type: 'pipeline',
          stages,
          sequence: this.sequence.id,
          restarts: this.#restarts,
          losses: this.#losses,
          crossings: this.#crossings.count,
        };
      }
      yield { type: 'token', id: token.id, ...(token.logprobs && { logprobs: token.logprobs }) };
      if (token.finish !== null) {
        yield { type: 'finished', reason: token.finish };
        return;
      }
    }
  }

  /** A token came: it works. */
  tokenTaken(): void {
    this.#failures = 0;
    this.#nonFinite = null;
    this.#waitingSince = null;
    this.#avoid.clear();
    this.#lostBy = null;
  }

  /**
   * Idempotent: frees the sequence on its stages and its place. Tokens that came can be read still.
   * @param leavesStages not on its stages, which go on: the next run of the server takes it up
   */
  close({ leavesStages = false } = {}): void {
    this.#ending.abort(new ShoalError('ABORTED', 'the answer has ended'));
    this.#timers.clear();
    for (const run of this.#whenClosed.splice(0)) run();
    if (leavesStages) this.sequence.leave();
    else this.sequence.close();
    this.#leave();
  }

  #noteClasses(route: MeshRoute): void {
    const layers = this.#crossings.gives(route);
    if (layers === null) return;
    this.#options.onCrossed();
    const { id, epoch } = this.sequence;
    this.#options.log.warn(
      { sequence: id, epoch, layers },
      'an answer goes on in another class of adapters: its words may differ from here',
    );
  }

  #opened(positions: readonly number[]): void {
    const { log, onMoved } = this.#options;
    const { id, epoch, route } = this.sequence;
    this.#wasOpened = true;
    this.#isTooLarge = false;
    this.#waitingSince = null;
    if (this.#restarts > 0) {
      onMoved(positions);
      const stages = route?.stops.map(({ peer }, index) => `${peer.name}: ${positions[index]}`).join(', ');
      log.info({ sequence: id, epoch, positions }, `sequence goes on; positions to compute by ${stages}`);
    }
    this.#options.slots.opened(this.#ticket);
  }

  #failed(error: ShoalError, by: Peer | null, offence: Offence | null): void {
    const { slots, log, routes, strikes, isShared } = this.#options;
    const loss = this.#loss;
    this.#loss = null;
    this.#waitingSince ??= this.#timers.now();
    const { id, epoch } = this.sequence;
    if (error.code === 'NON_FINITE') {
      const before = this.#nonFinite ?? { by, count: 0, isOfOne: true };
      this.#nonFinite = {
        by,
        count: before.count + 1,
        isOfOne: before.isOfOne && before.by === by,
      };
    }
    const restart = restartAfter({
      code: error.code,
      isRouteLost: loss !== null,
      failures: this.#failures + 1,
      nonFinite: this.#nonFinite?.count ?? 0,
      isNonFiniteOfOne: this.#nonFinite?.isOfOne ?? true,
    });
    if (restart.kind === 'room') {
      const refusal = by !== null && this.#entered !== null ? routes.refusedRoom(this.#entered, by) : 'known';
      if (refusal === 'known') slots.refused(this.#ticket);
      else slots.later();
      if (refusal === 'again') routes.failed({ kind: 'reported', peer: by!, error: NO_ROOM });
      if (by !== null && refusal === 'known' && !isShared(by)) {
        this.#isTooLarge = true;
        this.#ticket = this.#options.nextTicket();
        this.#round = slots.roundFor(this.#options.client);
      }
      // It waits with empty hands: two that hold what the other needs would wait for ever.
      this.sequence.forget();
      this.#before = null;
      this.#leave();
      void this.#seek();
      return;
    }
    log.warn({ sequence: id, epoch, worker: by?.name }, `sequence failed: ${error}`);
    // Nobody is blamed for the first time; the way back to what may stand still is no way on.
    if (error.code === 'DEADLINE_EXCEEDED' && this.#entered !== null) {
      for (const peer of routes.suspectsOf(this.#entered)) this.#avoid.add(peer);
    }
    // Once may be chance, but for what no working worker does.
    if (by !== null && offence !== null && (offence.how !== undefined || strikes.reported(by))) {
      routes.failed({ kind: 'reported', peer: by, error, ...(offence.how && { how: offence.how }) });
    }
    this.#leave();
    this.#restarts++;
    this.#failures++;
    this.#losses = [...this.#losses, loss ?? lossOf(error, by)].slice(-MAX_LOSSES_TOLD);
    if (restart.kind === 'give-up') {
      this.sequence.end(givenUp(restart.why, error));
      return;
    }
    if (restart.needsF32) this.#wire = 'f32';
    if (restart.pauseMs === 0) void this.#seek();
    else this.#timers.after(restart.pauseMs, () => this.seek());
  }

  async #seek(): Promise<void> {
    const { slots, request } = this.#options;
    this.#isSeeking = true;
    this.#waitingSince ??= this.#timers.now();
    const hasStarted = this.sequence.known > request.prompt.length || this.#restarts > 0;
    const turn = this.#turn(hasStarted);
    const wish = this.#wish(this.#avoid);
    const deadline = new AbortController();
    const stop = () => deadline.abort(this.#ending.signal.reason);
    this.#ending.signal.addEventListener('abort', stop, { once: true });
    let cancel = () => {};
    const watch = () => {
      const since = this.#waitingSince ?? this.#timers.now();
      const leftMs = since + PIPELINE_WAIT_MS - this.#timers.now();
      if (leftMs > 0) cancel = this.#timers.after(leftMs, watch);
      else deadline.abort(noRoute(this.#options.routes.outlook));
    };
    watch();
    try {
      const route = await slots.acquire(turn, wish, deadline.signal);
      this.#entered = route;
      if (this.#ending.signal.aborted) {
        this.#leave();
        return;
      }
      this.#before = route;
      this.#wasOpened = false;
      // It may fail at once, and then looks for the next.
      this.#isSeeking = false;
      this.sequence.moveTo(route, this.#wire);
    } catch (thrown) {
      this.sequence.end(ShoalError.from(thrown, 'ABORTED'));
    } finally {
      this.#isSeeking = false;
      cancel();
      this.#ending.signal.removeEventListener('abort', stop);
    }
  }

  #turn(hasStarted: boolean): Turn {
    const { client } = this.#options;
    const isResumed = hasStarted && !this.#isTooLarge;
    return { client, round: this.#round, ticket: this.#ticket, isResumed };
  }

  /** @param avoid as it is when the wish is granted */
  #wish(avoid: ReadonlySet<Peer>): RouteWish {
    const { prompt, maxTokens } = this.#options.request;
    const before = this.#before;
    return {
      positions: prompt.length + maxTokens,
      prompt: prompt.length,
      avoid,
      ...(before !== null && { before }),
    };
  }

  #leave(): void {
    const route = this.#entered;
    if (route === null) return;
    this.#entered = null;
    this.#options.routes.leave(route);
    this.#options.slots.released(this.#ticket, this.#wasOpened);
  }
}
