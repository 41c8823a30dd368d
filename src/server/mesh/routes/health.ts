/** Whom work may be given to: what happens in the mesh as `WorkerHealth` understands it, and what it says of it as the mesh does. */
import type { Logger } from 'pino';
import { ShoalError } from '../../../config/errors.ts';
import type { Timers } from '../../../mesh/timers.ts';
import type { HealthEvent, Misbehaviour } from '../../../schedule/health/health-events.ts';
import type { SignPace } from '../../../schedule/health/signs-of-life.ts';
import { WorkerHealth } from '../../../schedule/health/worker-health.ts';
import { EarliestTimer } from '../../earliest-timer.ts';
import type { Peer } from '../peers/peer.ts';
import type { Registry } from '../peers/registry.ts';
import type { RouteFailure } from './mesh-route.ts';

/** A timer that is later than this tells that the server itself stood still. */
const HELD_UP_MS = 200;

export interface HealthOptions {
  readonly registry: Registry;
  readonly timers: Timers;
  readonly log: Logger;
  /** Somebody may be given work again, or should not be any more. */
  readonly onChanged: () => void;
}

/** One token that came the whole way round. */
export interface Round {
  readonly stages: readonly { readonly peer: Peer; readonly seconds: number }[];
  readonly elapsedMs: number;
  /** Sequences that shared the busiest of its stages. */
  readonly sharing: number;
}

export class Health {
  readonly #options: HealthOptions;
  readonly #workers = new WorkerHealth();
  readonly #due: EarliestTimer;
  /** Who was silent when it was last looked at. */
  readonly #silent = new Set<Peer>();
  /** As it was noted. */
  readonly #paces = new WeakMap<Peer, SignPace>();
  /** When it is to be looked next. */
  #lookAtMs = Number.POSITIVE_INFINITY;
  #releaseAt: number | null = null;

  constructor(options: HealthOptions) {
    this.#options = options;
    this.#due = new EarliestTimer(options.timers, () => this.#look());
    options.registry.watch({
      heard: (peer) => {
        this.#note({ kind: 'heard', peer: peer.id });
        if (this.#silent.delete(peer)) options.onChanged();
      },
      away: (peer) => this.#silent.delete(peer),
      gone: (peer) => this.left(peer),
      offended: (peer, code) => {
        this.#blame({ kind: 'misbehaved', peer: peer.id, how: 'flood' }, new ShoalError(code, 'it offended'));
      },
    });
  }

  /** Gets no layers. */
  isLeftOut(peer: Peer): boolean {
    return this.#workers.mayHold(peer.id, this.#now) === 'no';
  }

  /** Whether what it holds may be used. */
  isFit(peer: Peer): boolean {
    return this.#workers.mayServe(peer.id, this.#now) !== 'no';
  }

  /** Nothing was heard of it lately. */
  isSilent(peer: Peer): boolean {
    return this.#workers.trustOf(peer.id, this.#now)?.isSilent === true;
  }

  /** To be used only where nobody else can. */
  isSuspected(peer: Peer): boolean {
    const now = this.#now;
    return (
      this.#workers.mayHold(peer.id, now) === 'if-needed' ||
      this.#workers.mayServe(peer.id, now) === 'if-needed'
    );
  }

  /** No client's sequence may run over it before a probe's tokens have. */
  needsProbe(peer: Peer): boolean {
    return this.#workers.mayServe(peer.id, this.#now) === 'after-probe';
  }

  /** It computed other tokens than others do, which its adapter may be the cause of. */
  isDoubted(peer: Peer): boolean {
    return this.#workers.isDoubted(peer.id, this.#now);
  }

  /** Whether what it computes counts against what others do. */
  isWitness(peer: Peer): boolean {
    return this.#workers.isWitness(peer.id);
  }

  /** Clients' tokens have come round with it, as many as make it one of those that others are measured by. */
  hasServedClients(peer: Peer): boolean {
    return this.#workers.hasServedClients(peer.id);
  }

  /** Whether the word of `by` counts that `about` sent it what no working worker sends. */
  isCredible(by: Peer, about: Peer): boolean {
    return this.#workers.isCredible(by.id, about.id, this.#now);
  }

  /** Whether both may be asked for a link: theirs has not failed lately. */
  mayLink(a: Peer, b: Peer): boolean {
    return this.#workers.mayLink(a.id, b.id, this.#now);
  }

  /** Of the speed that it says it has, the part to count on; null before it has served. */
  believedShare(peer: Peer): number | null {
    return this.#workers.believedShare(peer.id);
  }

  joined(peer: Peer): void {
    this.#paces.delete(peer);
    this.#note({ kind: 'joined', peer: peer.id, address: peer.address });
    this.#arm();
  }

  left(peer: Peer): void {
    this.#silent.delete(peer);
    this.#paces.delete(peer);
    this.#note({ kind: 'gone', peer: peer.id });
  }

  /** Of those who lend, whom the server has not heard for too long. */
  get silent(): ReadonlySet<Peer> {
    return this.#silent;
  }

  /** How often it is to be heard from here on. */
  paced(peer: Peer, pace: SignPace): void {
    if (this.#paces.get(peer) === pace) return;
    this.#paces.set(peer, pace);
    this.#note({ kind: 'paced', peer: peer.id, pace });
    // It speaks more often from now on, and its silence is noticed sooner.
    this.#arm();
  }

  loadFailed(peer: Peer, error: ShoalError): void {
    this.#blame({ kind: 'load-failed', peer: peer.id, isTooSlow: error.code === 'DEADLINE_EXCEEDED' }, error);
  }

  loaded(peer: Peer): void {
    this.#note({ kind: 'loaded', peer: peer.id });
    // What it is left out for came after the load began.
    if (!this.isLeftOut(peer)) this.#forgive(peer);
  }

  /** @returns who is left out for it; nobody where the report says nothing new */
  linkFailed(reporter: Peer, other: Peer, error: ShoalError): readonly Peer[] {
    return this.#blame({ kind: 'link-reported', by: reporter.id, about: other.id }, error);
  }

  /** @returns who is left out for it */
  routeFailed(failure: RouteFailure): readonly Peer[] {
    const { error } = failure;
    switch (failure.kind) {
      case 'reported': {
        const { id: peer } = failure.peer;
        const how = failure.how ?? misbehaviourOf(error);
        return this.#blame(
          how === null ? { kind: 'failed', peer } : { kind: 'misbehaved', peer, how },
          error,
        );
      }
      case 'refused': {
        const { by, sender, how } = failure;
        return this.#blame({ kind: 'accused', by: by.id, about: sender.id, how }, error);
      }
      case 'losing':
        return this.#blame({ kind: 'losing', peer: failure.peer.id }, error);
      case 'unlinked':
        return this.linkFailed(failure.by, failure.other, error);
      case 'unresponsive':
        return this.#blame({ kind: 'not-opened', peers: failure.peers.map(({ id }) => id) }, error);
      case 'stalled':
        return this.#blame({ kind: 'stalled', peers: failure.route.stops.map(({ peer }) => peer.id) }, error);
      default:
        return failure satisfies never;
    }
  }

  /** @returns who is left out, because the like of it came too slowly too often */
  served({ stages, elapsedMs, sharing }: Round): readonly Peer[] {
    const told = stages.map(({ peer, seconds }) => ({ peer: peer.id, expectedMs: seconds * 1_000 }));
    const left = this.#blame(
      { kind: 'served', stages: told, elapsedMs, sharing },
      new ShoalError('DEADLINE_EXCEEDED', 'its tokens come far more slowly than it says'),
    );
    for (const { peer } of stages) if (peer.problem !== null && !this.isLeftOut(peer)) this.#forgive(peer);
    return left;
  }

  /** It computed a probe's tokens as others do, or where nobody can check it. */
  proved(peer: Peer, isVouched: boolean): void {
    this.#note({ kind: 'proved', peer: peer.id, isVouched });
  }

  /** It computed others than another did: it serves where nobody else can, until it is asked again. */
  doubted(peer: Peer): void {
    this.#note({ kind: 'doubted', peer: peer.id });
    this.#options.log.warn(
      { worker: peer.name },
      `${peer.name} computed other tokens than another worker did`,
    );
    this.#arm();
  }

  /** One of them computed another token than others do: who it is is clear where there is one. @returns who is left out */
  computedWrong(peers: readonly Peer[]): readonly Peer[] {
    const error = new ShoalError('PROTOCOL_INVALID', 'its route computed another token than others do');
    return peers.flatMap(({ id: peer }) =>
      this.#blame(
        peers.length === 1 ? { kind: 'misbehaved', peer, how: 'wrong-token' } : { kind: 'failed', peer },
        error,
      ),
    );
  }

  close(): void {
    this.#due.stop();
  }

  get #now(): number {
    return this.#options.timers.now();
  }

  #note(event: HealthEvent): void {
    this.#workers.note(event, this.#now);
  }

  #blame(event: HealthEvent, error: ShoalError): readonly Peer[] {
    const { registry, log } = this.#options;
    const verdicts = this.#workers.note(event, this.#now);
    const left = new Set<Peer>();
    for (const { peer: id, untilMs, reason } of verdicts) {
      const peer = registry.get(id);
      if (peer === undefined) continue;
      log.warn({ worker: peer.name, backoffMs: untilMs - this.#now }, `${peer.name} ${reason}: ${error}`);
      peer.problem = `${peer.name} failed: ${error}`;
      peer.excludedUntil = untilMs;
      left.add(peer);
    }
    if (verdicts.length > 0 || event.kind === 'losing') this.#arm();
    return [...left];
  }

  #forgive(peer: Peer): void {
    peer.problem = null;
    peer.excludedUntil = 0;
  }

  /** Whether somebody is let in again, or has been silent for too long. */
  #look(): void {
    const now = this.#now;
    const lateMs = now - this.#lookAtMs;
    this.#lookAtMs = Number.POSITIVE_INFINITY;
    if (lateMs > HELD_UP_MS) {
      // Timers run before what has come is read: a server that was held up does not hold it against anybody.
      this.#due.within(HELD_UP_MS);
      return;
    }
    let hasChanged = this.#releaseAt !== null && this.#releaseAt <= now;
    for (const peer of this.#options.registry.workers()) {
      if (this.#silent.has(peer) || !this.#workers.trustOf(peer.id, now)?.isSilent) continue;
      this.#silent.add(peer);
      hasChanged = true;
    }
    this.#arm();
    if (hasChanged) this.#options.onChanged();
  }

  #arm(): void {
    const now = this.#now;
    this.#releaseAt = this.#workers.nextReleaseMs(now);
    const next = this.#workers.nextChangeMs(now);
    if (next === null) return;
    this.#lookAtMs = Math.min(this.#lookAtMs, next);
    this.#due.within(next - now);
  }
}

/** What a worker that works does not send; null: it may happen to any. */
function misbehaviourOf({ code }: ShoalError): Misbehaviour | null {
  if (code === 'PROTOCOL_INVALID') return 'broken-protocol';
  return code === 'NON_FINITE' ? 'non-finite' : null;
}
