/** Whom work may be given to: failures leave a worker out for a while, what others may be to blame for makes it suspected. */
import type { Logger } from 'pino';
import type { ShoalError } from '../../config/errors.ts';
import { SUSPICION_MS } from '../../config/limits.ts';
import type { Timers } from '../../mesh/timers.ts';
import { TimerGroup } from '../timer-group.ts';
import type { RouteFailure } from './mesh-route.ts';
import type { Peer } from './registry.ts';

export class Health {
  readonly #timers: TimerGroup;
  readonly #log: Logger;
  readonly #onRelieved: () => void;
  /** Until when what they hold is not used: failures of loads are none of it. */
  readonly #unfitUntil = new WeakMap<Peer, number>();

  /** @param onRelieved somebody may be given work again */
  constructor(options: { readonly timers: Timers; readonly log: Logger }, onRelieved: () => void) {
    this.#timers = new TimerGroup(options.timers);
    this.#log = options.log;
    this.#onRelieved = onRelieved;
  }

  /** Gets no layers. */
  isLeftOut(peer: Peer): boolean {
    return peer.excludedUntil > this.#timers.now();
  }

  /** Whether what it holds may be used. */
  isFit(peer: Peer): boolean {
    return (this.#unfitUntil.get(peer) ?? 0) <= this.#timers.now();
  }

  isSuspected(peer: Peer): boolean {
    return peer.suspectedUntil > this.#timers.now();
  }

  loadFailed(peer: Peer, error: ShoalError): void {
    this.#leaveOut(peer, error, { isLoad: true, suspicionMs: 0 });
  }

  loaded(peer: Peer): void {
    // What it is left out for came after the load began.
    if (!this.isLeftOut(peer)) peer.loaded();
  }

  /**
   * A link that the mesh cannot do without is gone, or did not come.
   * @param isLoad it was to be used, and never was
   * @returns who is left out for it
   */
  linkFailed(reporter: Peer, other: Peer, error: ShoalError, isLoad: boolean): Peer {
    const suspect = suspectOf(reporter, other);
    this.#leaveOut(suspect, error, { isLoad, suspicionMs: SUSPICION_MS });
    return suspect;
  }

  /** @returns who is left out for it */
  routeFailed(failure: RouteFailure): readonly Peer[] {
    const { error } = failure;
    switch (failure.kind) {
      case 'reported':
        this.#leaveOut(failure.peer, error, { isLoad: false, suspicionMs: 0 });
        return [failure.peer];
      case 'unresponsive':
        for (const peer of failure.peers) this.#leaveOut(peer, error, { isLoad: false, suspicionMs: 0 });
        return failure.peers;
      case 'stalled': {
        // The one that was suspected most often is left out until the rest has shown whether it works; of equals the last,
        // whose tokens they are.
        const peers = failure.route.stops.map(({ peer }) => peer);
        const suspect = peers.reduce((most, peer) => (peer.suspicions >= most.suspicions ? peer : most));
        suspect.suspicions++;
        this.#leaveOut(suspect, error, { isLoad: false, suspicionMs: SUSPICION_MS });
        return [suspect];
      }
      default:
        return failure satisfies never;
    }
  }

  /** A token came round through it. */
  served(peer: Peer): void {
    peer.served();
    if (!this.isLeftOut(peer)) peer.problem = null;
  }

  close(): void {
    this.#timers.clear();
  }

  #leaveOut(
    peer: Peer,
    error: ShoalError,
    { isLoad, suspicionMs }: { readonly isLoad: boolean; readonly suspicionMs: number },
  ): void {
    const problem = `${peer.name} failed: ${error}`;
    const now = this.#timers.now();
    const backoffMs = peer.exclude(now, problem, isLoad);
    this.#log.warn({ worker: peer.name, backoffMs }, problem);
    if (!isLoad) this.#unfitUntil.set(peer, now + backoffMs);
    this.#timers.after(backoffMs, this.#onRelieved);
    if (suspicionMs === 0) return;
    peer.suspectedUntil = now + suspicionMs;
    this.#timers.after(suspicionMs, this.#onRelieved);
  }
}

/** The end of a failed link that more failures speak against; of equals the one that did not report it. */
function suspectOf(reporter: Peer, other: Peer): Peer {
  reporter.suspicions++;
  other.suspicions++;
  return reporter.suspicions > other.suspicions ? reporter : other;
}
