import type { GenerateRequest } from '../../../backend/fxn/generator.ts';
import { ShoalError } from '../../../config/errors.ts';
import { MAX_PROMPT_IDS_PER_MESSAGE, OPEN_DEADLINE_MS } from '../../../config/limits.ts';
import type { WireDtype } from '../../../gpu/stage-engine.ts';
import type { PeerMessage, ServerMessage, ToldToken } from '../../../mesh/protocol/control.ts';
import { hasPenalties } from '../../../model/sampling.ts';
import { positionsToCompute, resumePoints, type StageHolds } from '../../../schedule/replay.ts';
import { TimerGroup } from '../../timer-group.ts';
import type { Peer } from '../peers/peer.ts';
import { type MeshRoute, type RouteStop, routeOf, stopOf } from '../routes/mesh-route.ts';
import type { SequenceOptions, SequenceToken, Verdict } from './sequence-types.ts';
import { TokenInbox } from './token-inbox.ts';
import { finishAt, type Offence, offenceOfToken } from './token-offence.ts';
import { TokenWatch } from './token-watch.ts';

type Message<T extends PeerMessage['type']> = Extract<PeerMessage, { type: T }>;

/** `adrift`: its route is lost, or it has none yet. `opening`: its stages make room. `running`: tokens come. */
type SequenceState = 'adrift' | 'opening' | 'running' | 'closed';

/**
 * One sequence on the stages, from its first route to its end. Each route is an epoch: it is in every message and frame, so that
 * nothing of an older route can pass for the present one's. What stages hold of it survives a change of route.
 */
export class Sequence {
  readonly id: number;
  readonly #options: SequenceOptions;
  readonly #timers: TimerGroup;
  readonly #watch: TokenWatch;
  readonly #ids: number[];
  readonly #inbox = new TokenInbox<SequenceToken>();
  /** Peers that were told to open it and not to close it. */
  readonly #openOn = new Set<Peer>();
  #state: SequenceState = 'adrift';
  #epoch = 0;
  #route: MeshRoute | null = null;
  #wire: WireDtype = 'f32';
  /** What the stages said that they hold; of those that have opened. */
  #holds = new Map<Peer, StageHolds>();
  #hasToken = false;
  /** The last stage was asked to tell tokens again, and has not told all of them. */
  #isRetelling = false;
  #isOver = false;

  constructor(options: SequenceOptions) {
    this.id = options.id;
    this.#options = options;
    this.#timers = new TimerGroup(options.timers);
    this.#ids = [...options.ids];
    this.#watch = new TokenWatch({ ...options, timers: this.#timers, missed: (ms) => this.#missed(ms) });
  }

  get state(): SequenceState {
    return this.#state;
  }

  get epoch(): number {
    return this.#epoch;
  }

  get route(): MeshRoute | null {
    return this.#route;
  }

  get wire(): WireDtype {
    return this.#wire;
  }

  /** It has a route, which its stages open or compute. */
  get isOnRoute(): boolean {
    return this.#state === 'opening' || this.#state === 'running';
  }

  /** Whether the present route has given one. */
  get hasToken(): boolean {
    return this.#hasToken;
  }

  /** Its last token came: the stages have nothing more to do, though tokens may wait to be read. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** Ids that are known, the prompt's too; the next token stands at this position. */
  get known(): number {
    return this.#ids.length;
  }

  /** Gives it a route. Stages that have it keep what they hold; peers that are no stage of it any more forget it. */
  moveTo(route: MeshRoute, wire: WireDtype): void {
    if (this.#state === 'closed') return;
    const { request, events } = this.#options;
    this.#watch.leaveQueue(null);
    this.#epoch++;
    this.#hasToken = false;
    this.#isRetelling = false;
    this.#route = route;
    this.#wire = wire;
    this.#state = 'opening';
    this.#holds = new Map();
    for (const peer of this.#openOn) if (stopOf(route, peer) === undefined) this.#closeOn(peer);
    for (const [index, stop] of route.stops.entries()) this.#open(stop, index, request);
    this.#watch.within(OPEN_DEADLINE_MS, () => {
      const silent = route.stops.map(({ peer }) => peer).filter((peer) => !this.#holds.has(peer));
      // It did not hear of it, or could not answer.
      const here = silent.filter((peer) => !peer.isAway);
      const names = silent.map(({ name }) => name).join(', ');
      const error = new ShoalError(
        'DEADLINE_EXCEEDED',
        `${names} did not open the sequence in ${OPEN_DEADLINE_MS} ms`,
      );
      if (this.fail(error) && here.length > 0) events.unresponsive(here);
    });
  }

  /**
   * Takes up a route that runs already, as its stages have told a server that was away.
   * @param epoch of the route
   */
  adopt(route: MeshRoute, epoch: number, wire: WireDtype): void {
    this.#route = route;
    this.#epoch = epoch;
    this.#wire = wire;
    this.#state = 'running';
    // What its stages tell is that of a route which was open; a token that does not come is noticed by the deadline.
    this.#hasToken = true;
    for (const { peer } of route.stops) this.#openOn.add(peer);
    for (const peer of this.#openOn) if (stopOf(route, peer) === undefined) this.#closeOn(peer);
    this.retell();
    this.#watch.expectNext(route, true);
  }

  /** A stage of a route from before the restart: it is closed there when the sequence goes on without it. */
  noteOpenOn(peer: Peer): void {
    this.#openOn.add(peer);
  }

  /** In the run of the server before this one its stages have counted so many routes: the next is one more. */
  noteEpoch(epoch: number): void {
    if (this.#state === 'adrift') this.#epoch = Math.max(this.#epoch, epoch);
  }

  /** The last stage tells again what was on its way while it, or the server, was away. */
  retell(): void {
    const last = this.#route?.stops.at(-1)?.peer;
    if (this.#state !== 'running' || last === undefined) return;
    this.#isRetelling = true;
    this.#send(last, { type: 'retell', sequence: this.id, epoch: this.#epoch, position: this.known });
  }

  /** The last stage is to tell tokens again: how long one took says nothing until it has. */
  get isRetelling(): boolean {
    return this.#isRetelling;
  }

  /** Whether the peer has made room for it on the present route. */
  hasOpened(peer: Peer): boolean {
    return this.#holds.has(peer);
  }

  opened(peer: Peer, { epoch, position, keptFrom }: Message<'opened'>): Verdict {
    if (this.#state === 'closed') return 'ended';
    if (epoch !== this.#epoch || this.#route === null || stopOf(this.#route, peer) === undefined) {
      return 'of an older route';
    }
    if (this.#state !== 'opening' || this.#holds.has(peer)) return 'seen before';
    if (position > Math.max(0, this.known - 1) || keptFrom > position) {
      return this.#offence(peer, {
        code: 'PROTOCOL_INVALID',
        what: `it says that it holds ${position} positions and has kept rows from ${keptFrom}, of ${this.known} that are known`,
      });
    }
    this.#holds.set(peer, { position, keptFrom });
    if (this.#holds.size === this.#route.stops.length) this.#start(this.#route);
    return 'taken';
  }

  /**
   * Only the next position counts. One beyond it means that a token was lost: the sequence fails, and another route makes it again.
   * Unless the last stage was asked to tell them again: it goes on meanwhile, and what it was asked for comes after.
   */
  token(peer: Peer, message: ToldToken): Verdict {
    const refusal = this.#refusal(peer, message);
    if (refusal !== null) return refusal;
    if (message.position > this.known && this.#isRetelling) return 'to be told again';
    return this.#take(peer, message, !this.#hasToken || this.#isRetelling || this.#state !== 'running');
  }

  /** Tokens that were on their way while the last stage, or the server, was away. */
  retold(peer: Peer, message: Message<'retold'>): Verdict {
    const refusal = this.#refusal(peer, message);
    if (refusal !== null) return refusal;
    if (!this.#isRetelling) return 'seen before';
    const { sequence, epoch, position, tokens, last } = message;
    if (position > this.known) {
      // It became the last stage later than that: nobody has them any more, and nobody is to blame.
      this.fail(
        new ShoalError('PIPELINE_LOST', `tokens ${this.known} to ${position - 1} cannot be told again`),
      );
      return 'taken';
    }
    for (const [index, token] of tokens.entries()) {
      const told = { ...token, sequence, epoch, position: position + index };
      // They come in one go: how long that took says nothing of the route.
      if (this.#take(peer, told, true) === 'an offence') return 'an offence';
    }
    if (last) this.#isRetelling = false;
    return 'taken';
  }

  /** Why a word of the last stage does not count; null: it does. */
  #refusal(peer: Peer, { epoch }: { readonly epoch: number }): Verdict | null {
    if (this.#state === 'closed') return 'ended';
    if (epoch !== this.#epoch || this.#route === null) return 'of an older route';
    if (peer !== this.#route.stops.at(-1)!.peer) return 'not the last stage';
    // A route that is given up computes until the next one opens, and what it says is as true as before.
    return this.#state === 'opening' ? 'not open' : null;
  }

  /** @param isUntimed the time since the last token is not what one takes */
  #take(peer: Peer, message: ToldToken, isUntimed: boolean): Verdict {
    const route = this.#route!;
    if (this.#isOver) return 'ended';
    if (message.position < this.known) return 'seen before';
    const { request } = this.#options;
    const { topLogprobs } = request;
    // Judged here as well as by the last stage.
    const finish = finishAt(request, this.known, message.token);
    const expected = { position: this.known, vocab: this.#options.vocab, topLogprobs, finish };
    const offence = offenceOfToken(message, expected);
    if (offence !== null) return this.#offence(peer, offence);
    this.#watch.taken(route, isUntimed);
    this.#hasToken = true;
    this.#ids.push(message.token);
    this.#inbox.add({
      id: message.token,
      finish,
      ...(topLogprobs !== undefined && message.logprobs && { logprobs: message.logprobs }),
      route,
      epoch: this.#epoch,
    });
    if (this.#state === 'running') {
      if (finish === null) this.#watch.expectNext(route);
      else this.#watch.stop();
    }
    this.#isOver = finish !== null;
    return 'taken';
  }

  /**
   * Its route is of no use any more. Tokens that came before stay to be read.
   * @returns false where it has no route anyway
   */
  fail(error: ShoalError, by: Peer | null = null, offence: Offence | null = null): boolean {
    if (!this.isOnRoute) return false;
    this.#state = 'adrift';
    this.#watch.stop();
    this.#watch.leaveQueue(null);
    this.#options.events.failed(error, by, offence);
    return true;
  }

  /** Frees it on every stage, though it is to go on; it is adrift. */
  forget(): void {
    for (const peer of this.#openOn) this.#closeOn(peer);
  }

  /** No route will come: `next` throws this once all tokens before it were read. */
  end(error: ShoalError): void {
    this.#inbox.end(error);
  }

  /** @throws what it was ended with; the signal's reason as ABORTED */
  next(signal: AbortSignal): Promise<SequenceToken> {
    return this.#inbox.next(signal);
  }

  /** Idempotent. Frees the sequence on every stage. */
  close(): void {
    if (this.#state === 'closed') return;
    this.leave();
    for (const peer of this.#openOn) this.#closeOn(peer);
  }

  /** Ends it here alone: its stages go on. */
  leave(): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.#route = null;
    this.#timers.clear();
    this.#watch.leaveQueue(null);
  }

  #open({ peer, shard }: RouteStop, index: number, request: GenerateRequest): void {
    const { prompt, maxTokens, eosTokenIds, sampling, topLogprobs } = request;
    this.#openOn.add(peer);
    this.#send(peer, {
      type: 'open',
      sequence: this.id,
      epoch: this.#epoch,
      shard,
      index,
      route: routeOf(this.#route!),
      wire: this.#wire,
      maxPositions: prompt.length + maxTokens,
      eosTokenIds: [...eosTokenIds],
      sampling,
      ...(topLogprobs !== undefined && { topLogprobs }),
      promptTokens: prompt.length,
      known: this.known,
      awaitsResume: this.#epoch > 1,
    });
  }

  #closeOn(peer: Peer): void {
    this.#openOn.delete(peer);
    this.#send(peer, { type: 'close', sequence: this.id });
  }

  /** Every stage is open: it is told from where it goes on, and the ends are told the ids. */
  #start(route: MeshRoute): void {
    const { request, events } = this.#options;
    const peers = route.stops.map(({ peer }) => peer);
    const points = resumePoints(peers.map((peer) => this.#holds.get(peer)!));
    const [first, last] = [peers[0]!, peers.at(-1)!];
    this.#state = 'running';
    if (this.#epoch > 1) {
      for (const [index, point] of points.entries()) {
        const peer = peers[index]!;
        const ids = peer === last ? this.#idsToRetell(last) : {};
        this.#send(peer, { type: 'resume', sequence: this.id, epoch: this.#epoch, ...point, ...ids });
      }
    }
    // The last stage must know the prompt before the first token is sampled; stage 0 starts after it was told.
    if (hasPenalties(request.sampling) && last !== first) this.#sendIds(last, 0);
    this.#sendIds(first, points[0]!.position);
    const positions = positionsToCompute(points, this.known);
    const isFresh = this.#epoch === 1 && this.known === request.prompt.length;
    this.#watch.expectFirst(route, Math.max(...positions), isFresh);
    events.opened(positions);
  }

  /** For a last stage that picked none of them. With log probabilities, which are not kept here, it could not tell them whole. */
  #idsToRetell(last: Peer): { ids?: number[] } {
    const { prompt, topLogprobs } = this.#options.request;
    if (this.#holds.get(last)!.position > 0 || topLogprobs !== undefined) return {};
    const ids = this.#ids.slice(Math.max(prompt.length, this.known - MAX_PROMPT_IDS_PER_MESSAGE));
    return ids.length === 0 ? {} : { ids };
  }

  #sendIds(peer: Peer, from: number): void {
    for (let position = from; position < this.known; position += MAX_PROMPT_IDS_PER_MESSAGE) {
      const ids = this.#ids.slice(position, position + MAX_PROMPT_IDS_PER_MESSAGE);
      const last = position + ids.length === this.known;
      this.#send(peer, { type: 'prompt', sequence: this.id, epoch: this.#epoch, position, ids, last });
    }
  }

  #missed(ms: number): void {
    const last = this.#route?.stops.at(-1)?.peer;
    if (this.#hasToken && last?.isAway === true) {
      // It cannot say anything, and tells it again when it is back. If it is not, the sequence is lost with it.
      this.#watch.expectNext(this.#route!, true);
      return;
    }
    const error = new ShoalError('DEADLINE_EXCEEDED', `no token at position ${this.known} for ${ms} ms`);
    const route = this.#route!;
    if (this.fail(error)) this.#options.events.stalled(route, error);
  }

  #offence(peer: Peer, offence: Offence): Verdict {
    this.fail(new ShoalError(offence.code, `${peer.name}: ${offence.what}`), peer, offence);
    return 'an offence';
  }

  #send(peer: Peer, message: ServerMessage): void {
    if (peer.state !== 'gone') peer.connection.send(message);
  }
}
