import { ShoalError } from '../config/errors.ts';
import { MAX_LINKS } from '../config/limits.ts';
import { ChannelTransport } from './channel-transport.ts';
import type { Frame } from './frame.ts';
import { Link } from './link.ts';
import { RelayChannel } from './relay-channel.ts';
import type { Timers } from './timers.ts';
import type { Transport } from './transport.ts';

export interface LinksOptions {
  readonly timers: Timers;
  readonly onFrame: (peer: string, frame: Frame, unpackMs: number) => void;
  readonly onOpen: (peer: string) => void;
  /** An open link fell silent, or is heard again. */
  readonly onSilent?: (peer: string, isSilent: boolean) => void;
  /**
   * An open link is gone: frames may be lost. A link that never opened says nothing; the page retries or gives up.
   * `attempt` goes to `PeerConnector.drop`, which may have a newer one on its way.
   */
  readonly onDown: (peer: string, reason: ShoalError, attempt: number) => void;
}

interface Held {
  readonly attempt: number;
  readonly link: Link;
}

/** The links of one Web Worker, one a peer. The page delivers a channel per attempt (PeerConnector.deliver). */
export class Links {
  private readonly options: LinksOptions;
  private readonly held = new Map<string, Held>();
  private busy: ReadonlySet<string> = new Set();

  constructor(options: LinksOptions) {
    this.options = options;
  }

  /** Wraps what the page transferred. Call it in the very message handler that received it, before any await. */
  accept(peer: string, attempt: number, delivered: RTCDataChannel | MessagePort): void {
    const channel = delivered instanceof MessagePort ? new RelayChannel(delivered) : delivered;
    this.attach(peer, attempt, new ChannelTransport(channel));
  }

  /** `accept` for any transport. A newer attempt replaces the older; an older one is closed. */
  attach(peer: string, attempt: number, transport: Transport): void {
    const before = this.held.get(peer);
    if (
      (before !== undefined && before.attempt >= attempt) ||
      (before === undefined && this.held.size >= MAX_LINKS)
    ) {
      transport.close();
      return;
    }
    if (before !== undefined) {
      this.remove(
        peer,
        new ShoalError('LINK_FAILED', `the link to ${peer} was replaced by attempt ${attempt}`),
      );
    }
    let wasOpen = false;
    const link = new Link({
      peer,
      transport,
      timers: this.options.timers,
      onFrame: (frame, unpackMs) => this.options.onFrame(peer, frame, unpackMs),
      onOpen: () => {
        wasOpen = true;
        this.options.onOpen(peer);
      },
      onSilent: (isSilent) => this.options.onSilent?.(peer, isSilent),
      onDown: (reason) => this.fell(peer, attempt, wasOpen, reason),
    });
    this.held.set(peer, { attempt, link });
    link.setBusy(this.busy.has(peer));
    link.start();
  }

  isOpen(peer: string): boolean {
    return this.held.get(peer)?.link.state === 'open';
  }

  /** Peers to which a link is open. */
  get open(): string[] {
    return [...this.held.keys()].filter((peer) => this.isOpen(peer));
  }

  /** Of them, those that have been heard lately. */
  get heard(): string[] {
    return this.open.filter((peer) => this.held.get(peer)?.link.silent === false);
  }

  /** The peers that sequences wait for: their silence is noticed at once. */
  setBusy(peers: ReadonlySet<string>): void {
    this.busy = peers;
    for (const [peer, { link }] of this.held) link.setBusy(peers.has(peer));
  }

  /** The link to `peer`, open or on its way; for statistics. */
  get(peer: string): Link | undefined {
    return this.held.get(peer)?.link;
  }

  /** @throws LINK_FAILED without an open link, and what `Link.send` throws */
  async send(peer: string, frame: Frame): Promise<void> {
    const link = this.held.get(peer)?.link;
    if (link?.state !== 'open') throw new ShoalError('LINK_FAILED', `there is no open link to ${peer}`);
    await link.send(frame);
  }

  /** Closes the link to `peer`, if there is one, without `onDown`. */
  drop(peer: string): void {
    this.held.get(peer)?.link.close();
    this.held.delete(peer);
  }

  close(): void {
    for (const { link } of this.held.values()) link.close();
    this.held.clear();
  }

  private fell(peer: string, attempt: number, wasOpen: boolean, reason: ShoalError): void {
    if (this.held.get(peer)?.attempt === attempt) this.held.delete(peer);
    if (wasOpen) this.options.onDown(peer, reason, attempt);
  }

  private remove(peer: string, reason: ShoalError): void {
    const attempt = this.held.get(peer)?.attempt ?? 0;
    const wasOpen = this.isOpen(peer);
    this.drop(peer);
    if (wasOpen) this.options.onDown(peer, reason, attempt);
  }
}
