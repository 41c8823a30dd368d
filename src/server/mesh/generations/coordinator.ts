/** All generations: how many there may be, whose messages are whose, and what a lost worker or link means for each. */
import { randomInt } from 'node:crypto';
import type { Logger } from 'pino';
import { Ending } from '../../../backend/ending.ts';
import type { GenerateEvent, GenerateRequest, TokenGenerator } from '../../../backend/fxn/generator.ts';
import { linkedSignal } from '../../../backend/linked-signal.ts';
import { ShoalError } from '../../../config/errors.ts';
import { MAX_CONCURRENT_REQUESTS, MAX_LOGGED_WORDS, RETRY_AFTER_SECONDS } from '../../../config/limits.ts';
import { oneLine } from '../../../config/one-line.ts';
import type { WireDtype } from '../../../gpu/stage-engine.ts';
import type { PeerMessage, ToldToken } from '../../../mesh/protocol/control.ts';
import type { Loss } from '../../../mesh/protocol/status.ts';
import type { Timers } from '../../../mesh/timers.ts';
import type { Peer } from '../peers/peer.ts';
import { areNeighbours, type MeshRoute, type MoveReason, type Routes, stopOf } from '../routes/mesh-route.ts';
import { Patience } from '../sequences/patience.ts';
import { PrefillQueue } from '../sequences/prefill-queue.ts';
import { Strikes } from '../sequences/strikes.ts';
import { judgeWorkerFailure } from '../sequences/worker-verdict.ts';
import { Generation } from './generation.ts';
import { Returning } from './returning.ts';
import { Slots } from './slots.ts';

type Message<T extends PeerMessage['type']> = Extract<PeerMessage, { type: T }>;

export interface CoordinatorOptions {
  readonly routes: Routes;
  readonly timers: Timers;
  readonly log: Logger;
  /** Of activations between stages; a sequence whose values leave f16's range goes on with f32. */
  readonly wire: WireDtype;
  /** Ids of the model: [0, vocab). */
  readonly vocab: number;
  /** A sequence is to go on that began before the server was started: its workers may be back soon. */
  readonly onExpecting?: () => void;
  /** Numbers count up from here. Default: each at random, as workers may still hold sequences of a server before this one, and none is to be guessed. */
  readonly firstSequence?: number;
}

/** What has happened since the start, for metrics. */
export interface FailoverCounts {
  /** Sequences that went on with another route. */
  failovers: number;
  /** Positions that stages computed again for it, all stages together. */
  replayedPositions: number;
  /** Times that a sequence went on in another class of adapters, so that its text may be another. */
  crossings: number;
}

export class Coordinator implements TokenGenerator {
  readonly counts: FailoverCounts = { failovers: 0, replayedPositions: 0, crossings: 0 };
  readonly #options: CoordinatorOptions;
  readonly #slots: Slots;
  readonly #generations = new Map<number, Generation>();
  readonly #returning: Returning;
  readonly #strikes = new Strikes();
  readonly #queue = new PrefillQueue();
  readonly #patience: Patience;
  readonly #closing = new Ending();
  /** null: they are drawn. */
  #lastSequence: number | null;
  #lastTicket = 0;
  #inFlight = 0;
  /** Of them, each client's. */
  readonly #places = new Map<string, number>();

  constructor(options: CoordinatorOptions) {
    const { routes, timers } = options;
    this.#options = options;
    this.#lastSequence = options.firstSequence ?? null;
    this.#slots = new Slots(routes, timers);
    this.#patience = new Patience(this.#queue, (route) => routes.expectedMs(route));
    this.#returning = new Returning({
      generations: this.#generations,
      timers,
      routes,
      onLost: (peer) => this.#lostBy(peer),
    });
    routes.onHearsay(() => this.#returning.review());
    routes.onPossible(() => this.#slots.changed());
    routes.onPeerLost((peer, loss, shard) => this.#peerLost(peer, loss, shard));
    routes.onMovable((peer, why) => this.#movable(peer, why));
    routes.onLinkLost((a, b) => this.#linkLost(a, b));
  }

  /** Generations that run or wait. */
  get inFlight(): number {
    return this.#inFlight;
  }

  /** Generations that have lost their route and had no token since. */
  get resuming(): number {
    return [...this.#generations.values()].filter(({ isResuming }) => isResuming).length;
  }

  /** Generations that have a route. */
  get running(): number {
    return [...this.#generations.values()].filter(({ sequence }) => sequence.isOnRoute).length;
  }

  /** Routes of sequences that have crossed classes of adapters. */
  get crossed(): ReadonlySet<MeshRoute> {
    const crossed = [...this.#generations.values()].filter(({ hasCrossed }) => hasCrossed);
    return new Set(crossed.flatMap(({ sequence }) => sequence.route ?? []));
  }

  /** Sequences that run through the peer. */
  runsOn(peer: Peer): number {
    return [...this.#generations.values()].filter(({ sequence }) => isOn(sequence, peer)).length;
  }

  async *generate(
    request: GenerateRequest,
    signal: AbortSignal,
  ): AsyncGenerator<GenerateEvent, void, undefined> {
    const { client = '' } = request;
    const { outlook } = this.#options.routes;
    if (this.#inFlight >= MAX_CONCURRENT_REQUESTS && !this.#slots.makeRoom(client, this.#places, full())) {
      throw full();
    }
    if (!outlook.ready && !outlook.isComing && request.resume === undefined) {
      throw new ShoalError('NO_PIPELINE', outlook.detail);
    }
    this.#count(client, 1);
    const ended = linkedSignal(signal, this.#closing);
    const generation = this.#begin(request, client);
    try {
      yield* generation.events(ended.signal);
    } finally {
      this.#generations.delete(generation.sequence.id);
      const isLeft = request.outlives === true && isShutdown(ended.signal);
      generation.close({ leavesStages: isLeft });
      ended.unlink();
      this.#count(client, -1);
    }
  }

  opened(peer: Peer, message: Message<'opened'>): void {
    const verdict = this.#find(message)?.sequence.opened(peer, message);
    if (verdict !== 'taken') this.#refuse(peer, message, verdict);
  }

  token(peer: Peer, message: ToldToken): void {
    const generation = this.#find(message);
    const route = generation?.sequence.route ?? null;
    const isUntimed = generation?.sequence.isRetelling === true;
    const verdict = generation?.sequence.token(peer, message);
    if (generation === undefined || verdict !== 'taken') {
      this.#refuse(peer, { type: 'token', ...message }, verdict);
      return;
    }
    this.#tokenTaken(generation);
    if (isUntimed) this.#options.routes.retold(route!);
    else this.#options.routes.served(route!);
    endIfOver(generation);
  }

  retold(peer: Peer, message: Message<'retold'>): void {
    const generation = this.#find(message);
    const known = generation?.sequence.known;
    const verdict = generation?.sequence.retold(peer, message);
    if (generation === undefined || verdict !== 'taken') {
      this.#refuse(peer, message, verdict);
      return;
    }
    if (generation.sequence.state !== 'adrift') {
      if (generation.sequence.known !== known) this.#tokenTaken(generation);
      this.#options.routes.retold(generation.sequence.route!);
    }
    endIfOver(generation);
  }

  sequenceFailed(peer: Peer, message: Message<'sequence-failed'>): void {
    const generation = this.#find(message);
    const sequence = generation?.sequence;
    if (sequence === undefined || sequence.epoch !== message.epoch || !isOn(sequence, peer)) {
      this.#refuse(peer, message, undefined);
      return;
    }
    const { code, message: text } = message.error;
    const { error, isBlamed, accused } = judgeWorkerFailure(code, sequence, peer, message.peer);
    const blamed = accused === null ? peer : this.#options.routes.blameFor(peer, accused);
    this.#options.log.warn(
      {
        sequence: sequence.id,
        epoch: message.epoch,
        worker: peer.name,
        blamed: blamed.name,
        code,
        says: oneLine(text, MAX_LOGGED_WORDS),
      },
      'a worker reports a failed sequence',
    );
    if (!sequence.fail(error, blamed) || !isBlamed || !this.#strikes.reported(accused ?? peer)) return;
    if (accused === null) {
      const failed = new ShoalError('PIPELINE_LOST', `it failed a sequence with ${code}`);
      this.#options.routes.failed({ kind: 'reported', peer, error: failed });
      return;
    }
    const what = `${peer.name} refused what ${accused.name} sent with ${code}`;
    this.#options.routes.failed({
      kind: 'refused',
      by: peer,
      sender: accused,
      error: new ShoalError('PIPELINE_LOST', what),
      how: code === 'NON_FINITE' ? 'non-finite' : null,
    });
  }

  /** The worker is there, or there again: it says next what it runs. */
  joined(peer: Peer): void {
    this.#returning.joined(peer);
  }

  /** A worker that is back names the sequences that it holds. @throws PROTOCOL_INVALID */
  runs(peer: Peer, message: Message<'running'>): void {
    this.#returning.reported(peer, message);
  }

  /** A worker's link to `other` has ended; for sequences whose stages are not all back yet. */
  linkEnded(peer: Peer, other: string): void {
    this.#returning.linkEnded(peer, other);
  }

  /** Ends every generation with ABORTED. */
  close(): void {
    this.#closing.abort(new ShoalError('ABORTED', 'the server is shutting down'));
    this.#slots.close();
  }

  #begin(request: GenerateRequest, client: string): Generation {
    const { resume } = request;
    const generation = new Generation({
      ...this.#options,
      id: resume?.sequence ?? this.nextId(),
      request,
      client,
      slots: this.#slots,
      strikes: this.#strikes,
      queue: this.#queue,
      patience: this.#patience,
      nextTicket: () => ++this.#lastTicket,
      onMoved: (positions) => {
        this.counts.failovers++;
        // Each stage computes the newest position; what is beyond it is computed again.
        this.counts.replayedPositions += positions.reduce((sum, count) => sum + count - 1, 0);
      },
      onCrossed: () => {
        this.counts.crossings++;
      },
      isShared: (peer) => this.runsOn(peer) > 1,
    });
    this.#generations.set(generation.sequence.id, generation);
    // Without a number it had no token, and no stage can name it.
    if (resume === undefined || resume.sequence === null) generation.seek();
    else {
      this.#options.onExpecting?.();
      this.#returning.expect(generation);
    }
    return generation;
  }

  #tokenTaken(generation: Generation): void {
    const { route, state } = generation.sequence;
    generation.tokenTaken();
    // One that comes after its deadline is taken, but is no sign that all is well.
    if (state === 'running') this.#strikes.clear(route!);
  }

  #linkLost(a: Peer, b: Peer): void {
    const what = `the link between ${a.name} and ${b.name} broke`;
    const hit = [...this.#generations.values()].filter(({ sequence: { route, isOnRoute } }) => {
      return isOnRoute && route !== null && areNeighbours(route, a, b);
    });
    // Before any goes on: not over it once more, where that is one time too many.
    if (hit.length > 0 && this.#strikes.broke(a, b)) {
      const error = new ShoalError('LINK_FAILED', `${what} again and again`);
      this.#options.routes.failed({ kind: 'unlinked', by: a, other: b, error });
    }
    for (const generation of hit) generation.lose(what, { worker: null, how: 'failed' });
  }

  /** Something that ran on the worker was lost by its own doing. */
  #lostBy(peer: Peer): void {
    if (!this.#strikes.lost(peer)) return;
    const error = new ShoalError('PIPELINE_LOST', 'what ran on it was lost again and again');
    this.#options.routes.failed({ kind: 'losing', peer, error });
  }

  #peerLost(peer: Peer, loss: Loss, shard: number | null): void {
    let hasHit = false;
    for (const generation of [...this.#generations.values()]) {
      const { route } = generation.sequence;
      const stop = route === null ? undefined : stopOf(route, peer);
      if (stop === undefined || (shard !== null && stop.shard !== shard)) continue;
      hasHit = generation.lose(`${peer.name} left or failed`, loss, peer) || hasHit;
    }
    // Who failed was judged for it.
    if (hasHit && loss.how === 'left') this.#lostBy(peer);
  }

  #movable(peer: Peer, why: MoveReason): void {
    for (const generation of [...this.#generations.values()]) {
      const { route, hasToken } = generation.sequence;
      if (route === null || stopOf(route, peer) === undefined) continue;
      // Of longer routes the neighbours hear it, or say that they do not.
      if (why === 'silent' && route.stops.length > 1) continue;
      if (why === 'away' && hasToken) continue;
      const how = why === 'silent' ? 'stalled' : 'left';
      generation.moveOff(peer, `${peer.name} ${WORDS[why]}`, { worker: peer.name, how });
    }
  }

  #count(client: string, change: 1 | -1): void {
    this.#inFlight += change;
    const places = (this.#places.get(client) ?? 0) + change;
    if (places === 0) this.#places.delete(client);
    else this.#places.set(client, places);
  }

  /** Unsigned 32-bit, never one that is live. */
  nextId(): number {
    for (;;) {
      const last = this.#lastSequence;
      const id = last === null ? randomInt(2 ** 32) : (last + 1) >>> 0;
      if (last !== null) this.#lastSequence = id;
      if (!this.#generations.has(id)) return id;
    }
  }

  #find({ sequence }: { readonly sequence: number }): Generation | undefined {
    return this.#generations.get(sequence);
  }

  #refuse(
    peer: Peer,
    message: Pick<Message<'opened' | 'token' | 'retold' | 'sequence-failed'>, 'type' | 'epoch' | 'sequence'>,
    verdict: string | undefined,
  ): void {
    const { type, epoch, sequence } = message;
    // Not an error: what was on its way when the sequence was closed, or moved, arrives here.
    this.#options.log.debug(
      { worker: peer.name, type, epoch, sequence },
      `refused: ${verdict ?? 'no such sequence of that epoch'}`,
    );
  }
}

/** However long its reader takes: others need the room, and who leaves now has lost nothing. */
function endIfOver(generation: Generation): void {
  if (generation.sequence.isOver) generation.close();
}

const WORDS: Record<MoveReason, string> = {
  drains: 'wishes to stop',
  silent: 'was not heard of lately',
  away: 'was away when the sequence was opened',
};

function isOn({ route }: Generation['sequence'], peer: Peer): boolean {
  return route !== null && stopOf(route, peer) !== undefined;
}

const isShutdown = ({ aborted, reason }: AbortSignal): boolean =>
  aborted && reason instanceof ShoalError && reason.code === 'SHUTTING_DOWN';

function full(): ShoalError {
  return new ShoalError(
    'OVERLOADED',
    `${MAX_CONCURRENT_REQUESTS} answers are running or waiting, which is all that the server takes; try again later`,
    { retryAfterSeconds: RETRY_AFTER_SECONDS },
  );
}
