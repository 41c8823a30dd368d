import { ShoalError } from '../config/errors.ts';
import {
  LINK_OPEN_MS,
  MAX_ATTEMPT_NUMBER,
  MAX_EARLY_SIGNALS,
  MAX_LINK_ATTEMPTS,
  MAX_LINKS,
  MAX_WORKERS,
  SIGNAL_LOST_MS,
} from '../config/limits.ts';
import { BoundedMap } from './bounded-map.ts';
import { type NegotiatedPeer, type OpenNegotiatedPeer, openNegotiatedPeer } from './negotiated-peer.ts';
import { type Negotiation, negotiationSchema } from './protocol/negotiation.ts';
import { relayThroughPage } from './relay-channel.ts';
import type { Timers } from './timers.ts';

export interface PeerConnectorOptions {
  /** This peer's id, from `welcome`. */
  readonly self: string;
  readonly iceServers: readonly RTCIceServer[];
  /** Sends a `signal` message through the server. */
  readonly sendSignal: (to: string, attempt: number, data: Negotiation) => void;
  /**
   * Gives a channel to the Web Worker: one synchronous `worker.postMessage(…, [end])`, whose exception must come
   * through. It is called again with a MessagePort where the transfer of an RTCDataChannel is refused.
   */
  readonly deliver: (peer: string, attempt: number, end: RTCDataChannel | MessagePort) => void;
  /** Every attempt failed; the peer is forgotten until the next `connect`. */
  readonly onFailed: (peer: string, reason: ShoalError) => void;
  /** A connection that was open ended, at either side; the peer is forgotten until the next `connect`. Not told of a `drop`. */
  readonly onEnded?: (peer: string, attempt: number) => void;
  readonly timers: Timers;
  /** Makes the connection; tests pass their own. */
  readonly open?: OpenNegotiatedPeer;
}

/** A peer that this one was told to connect to. */
interface Wanted {
  readonly initiator: boolean;
  current: NegotiatedPeer | null;
  opened: boolean;
  /** Attempts since the last open link. */
  tries: number;
  /** The current attempt. */
  begunAtMs: number;
  cancelDeadline: (() => void) | null;
}

/** Signals from a peer that this one does not (yet) want. */
interface Early {
  readonly attempt: number;
  readonly signals: Negotiation[];
}

/**
 * Makes the WebRTC connections of a tab, one for each other peer whatever number of routes share it, and hands
 * their activation channels to the Web Worker. Lives on the main thread; no frame passes here unless it must relay.
 *
 * The peer with the smaller id offers and numbers the attempts; signals of older attempts are ignored. It never waits
 * for ICE to notice a death: the worker's heartbeat does, the page calls `drop`, and `connect` starts the next attempt.
 */
export class PeerConnector {
  private readonly options: PeerConnectorOptions;
  /** For attempts from now on: their credentials expire, and every `welcome` tells new ones. */
  iceServers: readonly RTCIceServer[];
  private readonly open: OpenNegotiatedPeer;
  private readonly wanted = new Map<string, Wanted>();
  private readonly early = new BoundedMap<string, Early>(MAX_LINKS);
  /** Highest attempt seen or made; outlives `drop`, so that late signals of an old attempt stay stale. */
  private readonly attempts = new BoundedMap<string, number>(MAX_WORKERS);

  constructor(options: PeerConnectorOptions) {
    this.options = options;
    this.iceServers = options.iceServers;
    this.open = options.open ?? openNegotiatedPeer;
  }

  /** Wants a link to `peer`; does nothing when there is one, or one is on its way. */
  connect(peer: string): void {
    if (peer === this.options.self) throw new ShoalError('INTERNAL', 'a peer needs no link to itself');
    if (this.wanted.has(peer)) return;
    if (this.wanted.size >= MAX_LINKS) {
      this.options.onFailed(peer, new ShoalError('LINK_FAILED', `this page has ${MAX_LINKS} links already`));
      return;
    }
    const initiator = this.options.self < peer;
    const wanted: Wanted = {
      initiator,
      current: null,
      opened: false,
      tries: 0,
      begunAtMs: 0,
      cancelDeadline: null,
    };
    this.wanted.set(peer, wanted);
    if (initiator) {
      this.nextAttempt(peer, wanted);
      return;
    }
    wanted.cancelDeadline = this.options.timers.after(LINK_OPEN_MS * MAX_LINK_ATTEMPTS, () =>
      this.fail(
        peer,
        `no attempt of ${peer} came through within ${(LINK_OPEN_MS * MAX_LINK_ATTEMPTS) / 1_000} s`,
      ),
    );
    const early = this.early.get(peer);
    this.early.delete(peer);
    if (early === undefined) this.options.sendSignal(peer, this.attempts.get(peer) ?? 0, { type: 'want' });
    else for (const signal of early.signals) this.answer(peer, wanted, early.attempt, signal);
  }

  /**
   * A `signal` message came. What does not parse is refused; what is stale is ignored.
   * @throws PROTOCOL_INVALID
   */
  signal(from: string, attempt: number, data: unknown): void {
    const parsed = negotiationSchema.safeParse(data);
    if (!parsed.success) {
      const issue = parsed.error.issues[0];
      throw new ShoalError(
        'PROTOCOL_INVALID',
        `${from} sent a signal with a bad ${issue?.path.join('.') || 'shape'}: ${issue?.message ?? 'unknown'}`,
      );
    }
    const wanted = this.wanted.get(from);
    if (wanted === undefined) this.keepEarly(from, attempt, parsed.data);
    else if (wanted.initiator) this.steer(from, wanted, attempt, parsed.data);
    else this.answer(from, wanted, attempt, parsed.data);
  }

  /**
   * Ends the link to `peer`, open or not. Its channel closes in the worker too.
   * @param attempt the one that the worker saw fall: when a newer one is on its way already, it is left alone
   */
  drop(peer: string, attempt?: number): void {
    if (attempt !== undefined && attempt < (this.attempts.get(peer) ?? 0)) return;
    const wanted = this.wanted.get(peer);
    // The other side may have begun anew before this one was told of the fall.
    const early = this.early.get(peer);
    if (early !== undefined && (attempt === undefined || early.attempt <= attempt)) this.early.delete(peer);
    if (wanted === undefined) return;
    this.wanted.delete(peer);
    abandon(wanted);
  }

  /** A link to `peer` is open. */
  isOpen(peer: string): boolean {
    return this.wanted.get(peer)?.opened ?? false;
  }

  /** Ends every link; the page is leaving. */
  close(): void {
    for (const peer of [...this.wanted.keys()]) this.drop(peer);
    this.early.clear();
  }

  /** The initiator's side of a signal. */
  private steer(from: string, wanted: Wanted, attempt: number, data: Negotiation): void {
    const own = this.attempts.get(from) ?? 0;
    switch (data.type) {
      case 'want':
        // Below our own number: the offer that they lack is on its way, or was lost with the server between us.
        if (attempt < own && this.options.timers.now() - wanted.begunAtMs < SIGNAL_LOST_MS) return;
        this.attempts.set(from, Math.max(own, attempt));
        if (wanted.opened) wanted.tries = 0;
        this.nextAttempt(from, wanted);
        return;
      case 'answer':
      case 'candidate':
        if (attempt === own) wanted.current?.signal(data);
        return;
      case 'offer':
        return;
      default:
        data satisfies never;
    }
  }

  /** The other side: follows whatever attempt is newest. */
  private answer(from: string, wanted: Wanted, attempt: number, data: Negotiation): void {
    const seen = this.attempts.get(from) ?? 0;
    if (data.type === 'offer' && attempt > seen) this.begin(from, wanted, attempt);
    else if (attempt !== seen) return;
    if (data.type === 'offer' || data.type === 'candidate') wanted.current?.signal(data);
  }

  /** The side that follows gives the other the time of all its attempts. */
  private awaitAttempts(peer: string, wanted: Wanted): void {
    const waitMs = LINK_OPEN_MS * MAX_LINK_ATTEMPTS;
    wanted.cancelDeadline ??= this.options.timers.after(waitMs, () =>
      this.fail(
        peer,
        `no attempt of ${peer} came through within ${waitMs / 1_000} s; is UDP blocked between you?`,
      ),
    );
  }

  private nextAttempt(peer: string, wanted: Wanted): void {
    const attempt = (this.attempts.get(peer) ?? 0) + 1;
    wanted.tries += 1;
    if (wanted.tries > MAX_LINK_ATTEMPTS) {
      this.fail(
        peer,
        `${MAX_LINK_ATTEMPTS} attempts to connect to ${peer} failed; is UDP blocked between you?`,
      );
      return;
    }
    if (attempt > MAX_ATTEMPT_NUMBER) {
      this.fail(peer, `${MAX_ATTEMPT_NUMBER} attempts were made with ${peer}; reload the page`);
      return;
    }
    this.begin(peer, wanted, attempt);
  }

  private begin(peer: string, wanted: Wanted, attempt: number): void {
    const { initiator } = wanted;
    this.attempts.set(peer, attempt);
    if (initiator) wanted.cancelDeadline?.();
    else this.awaitAttempts(peer, wanted);
    wanted.current?.destroy();
    wanted.opened = false;
    wanted.begunAtMs = this.options.timers.now();
    let opened: NegotiatedPeer;
    try {
      opened = this.open({
        initiator,
        iceServers: this.iceServers,
        onSignal: (data) => {
          // simple-peer also asks to renegotiate media, which we do not have.
          const signal = negotiationSchema.safeParse(data);
          if (wanted.current === opened && signal.success)
            this.options.sendSignal(peer, attempt, signal.data);
        },
        onConnect: () => {
          if (wanted.current !== opened) return;
          wanted.opened = true;
          wanted.tries = 0;
          wanted.cancelDeadline?.();
          wanted.cancelDeadline = null;
        },
        onGone: () => this.gone(peer, wanted, opened),
      });
      wanted.current = opened;
      this.handOver(peer, attempt, opened.channel);
    } catch (thrown) {
      this.fail(peer, ShoalError.from(thrown, 'LINK_FAILED').message);
      return;
    }
    if (!initiator) return;
    wanted.cancelDeadline = this.options.timers.after(LINK_OPEN_MS, () => this.gone(peer, wanted, opened));
  }

  /** An attempt ended, or ran out of time. */
  private gone(peer: string, wanted: Wanted, ended: NegotiatedPeer): void {
    if (wanted.current !== ended) return;
    wanted.current = null;
    ended.destroy();
    if (wanted.opened) {
      // The worker sees its channel close; the owner decides whether the link is wanted again.
      this.drop(peer);
      this.options.onEnded?.(peer, this.attempts.get(peer) ?? 0);
    } else if (wanted.initiator) this.nextAttempt(peer, wanted);
  }

  private handOver(peer: string, attempt: number, channel: RTCDataChannel): void {
    try {
      this.options.deliver(peer, attempt, channel);
    } catch (thrown) {
      if (!(thrown instanceof Error) || (thrown.name !== 'DataCloneError' && thrown.name !== 'TypeError'))
        throw thrown;
      this.options.deliver(peer, attempt, relayThroughPage(channel));
    }
  }

  private fail(peer: string, reason: string): void {
    this.drop(peer);
    this.options.onFailed(peer, new ShoalError('LINK_FAILED', reason));
  }

  private keepEarly(from: string, attempt: number, data: Negotiation): void {
    if (data.type === 'want' || attempt <= (this.attempts.get(from) ?? 0)) return;
    const before = this.early.get(from);
    if (before === undefined || attempt > before.attempt) this.early.set(from, { attempt, signals: [data] });
    else if (attempt === before.attempt && before.signals.length < MAX_EARLY_SIGNALS)
      before.signals.push(data);
  }
}

function abandon(wanted: Wanted): void {
  wanted.cancelDeadline?.();
  wanted.cancelDeadline = null;
  const { current } = wanted;
  wanted.current = null;
  current?.destroy();
}
