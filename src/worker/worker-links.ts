import { ShoalError } from '../config/errors.ts';
import type { Frame } from '../mesh/frame.ts';
import { encodeFrame } from '../mesh/frame-codec.ts';
import { Links } from '../mesh/links.ts';
import type { PeerMessage } from '../mesh/protocol/control.ts';
import type { Timers } from '../mesh/timers.ts';
import type { Transport } from '../mesh/transport.ts';
import { isDecode } from './frame-router.ts';
import type { HopStats } from './hop-stats.ts';
import { Loopback } from './loopback.ts';

export interface WorkerLinksOptions {
  readonly timers: Timers;
  readonly onFrame: (peer: string, frame: Frame, unpackMs: number) => void;
  readonly onOpen: (peer: string) => void;
  /** Frames on their way may be lost. */
  readonly onDown: (peer: string, attempt: number) => void;
  readonly tell: (message: PeerMessage) => void;
}

/** The links of one worker, its own loopback among them, and what the server is told of them. */
export class WorkerLinks {
  readonly #options: WorkerLinksOptions;
  readonly #links: Links;
  readonly #loopbacks = new Map<string, Loopback>();

  constructor(options: WorkerLinksOptions) {
    const { timers, onFrame, onOpen, onDown, tell } = options;
    this.#options = options;
    this.#links = new Links({
      timers,
      onFrame,
      onOpen: (peer) => {
        tell({ type: 'link', peer, state: 'up' });
        onOpen(peer);
      },
      onSilent: (peer, isSilent) => tell({ type: 'link', peer, state: isSilent ? 'silent' : 'up' }),
      onDown: (peer, reason, attempt) => {
        tell({ type: 'link', peer, state: 'down', error: reason.toWire() });
        onDown(peer, attempt);
      },
    });
  }

  /** Peers to which a link is open; not this worker itself. */
  get open(): string[] {
    return this.#links.open;
  }

  /** Of them, those that have been heard lately. */
  get heard(): string[] {
    return this.#links.heard;
  }

  /** Says how an open link is, to a server that may not know. */
  tell(peer: string): void {
    if (!this.#links.isOpen(peer)) return;
    const isSilent = this.#links.get(peer)?.silent === true;
    this.#options.tell({ type: 'link', peer, state: isSilent ? 'silent' : 'up' });
  }

  /** This worker's own id on a route: what goes there comes back at once. */
  addSelf(peer: string): void {
    if (this.#loopbacks.has(peer)) return;
    const { timers, onFrame } = this.#options;
    const loopback = new Loopback(
      () => timers.now(),
      (frame, unpackMs) => onFrame(peer, frame, unpackMs),
    );
    this.#loopbacks.set(peer, loopback);
  }

  isOpen(peer: string): boolean {
    return this.#loopbacks.has(peer) || this.#links.isOpen(peer);
  }

  /** Means of their pings, in milliseconds; of links that are open and have been heard. */
  get roundTrips(): { peer: string; rttMs: number }[] {
    return this.open.flatMap((peer) => {
      const roundTrip = this.#links.get(peer)?.roundTrip;
      return roundTrip ? [{ peer, rttMs: roundTrip.meanMs }] : [];
    });
  }

  get bytes(): { sent: number; received: number } {
    const stats = this.open.map((peer) => this.#links.get(peer)!.stats);
    return {
      sent: stats.reduce((sum, { bytesSent }) => sum + bytesSent, 0),
      received: stats.reduce((sum, { bytesReceived }) => sum + bytesReceived, 0),
    };
  }

  /** Their silence is noticed at once. */
  setBusy(peers: ReadonlySet<string>): void {
    this.#links.setBusy(peers);
  }

  /** Encodes a frame, timed, and sends it. @throws what `Link.send` throws; LINK_FAILED without an open link */
  async send(peer: string, frame: Frame, hop: HopStats): Promise<void> {
    const to = this.#loopbacks.get(peer) ?? this.#links.get(peer);
    if (to === undefined || !this.isOpen(peer)) {
      throw new ShoalError('LINK_FAILED', `there is no open link to ${peer}`);
    }
    const { timers } = this.#options;
    const startedMs = timers.now();
    const bytes = encodeFrame(frame);
    hop.packed(timers.now() - startedMs, bytes.byteLength, frame.entries.length, isDecode(frame));
    await (to instanceof Loopback ? to.send(bytes) : to.sendEncoded(bytes));
  }

  /** Takes a channel over; call it synchronously in the handler of the message that brought it. */
  accept(peer: string, attempt: number, end: RTCDataChannel | MessagePort): void {
    this.#links.accept(peer, attempt, end);
  }

  /** `accept` for a transport of any kind. */
  attach(peer: string, attempt: number, transport: Transport): void {
    this.#links.attach(peer, attempt, transport);
  }

  drop(peer: string): void {
    this.#links.drop(peer);
  }

  close(): void {
    this.#links.close();
    for (const loopback of this.#loopbacks.values()) loopback.close();
    this.#loopbacks.clear();
  }
}
