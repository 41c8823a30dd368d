import { ShoalError } from '../config/errors.ts';
import { MAX_FRAME_BYTES, MAX_SEND_QUEUE_BYTES, MAX_UNREAD_BYTES } from '../config/limits.ts';
import type { Transport, TransportStats } from './transport.ts';

/** What every Transport has in common: state, receiver, counters, and the checks before a frame is taken. */
export abstract class TransportEndpoint implements Transport {
  private current: Transport['state'] = 'connecting';
  private readonly counters = { bytesSent: 0, bytesReceived: 0, framesSent: 0, framesReceived: 0 };
  private receive: ((frame: Uint8Array) => void) | null = null;
  private unread: Uint8Array[] = [];
  private unreadBytes = 0;
  private opened: (() => void) | null = null;
  private closed: ((reason: ShoalError) => void) | null = null;
  private closeReason: ShoalError | null = null;

  get state(): Transport['state'] {
    return this.current;
  }

  get stats(): TransportStats {
    return { ...this.counters };
  }

  abstract send(frame: Uint8Array): Promise<void>;

  /** Releases the platform's side; called once, after `state` became `closed`. */
  protected abstract shutDown(reason: ShoalError): void;

  onOpen(opened: () => void): void {
    if (this.current === 'open') opened();
    else if (this.current === 'connecting') this.opened = opened;
  }

  onFrame(receive: (frame: Uint8Array) => void): void {
    if (this.receive !== null) {
      throw new ShoalError('INTERNAL', 'a transport has exactly one receiver, and this one has it already');
    }
    this.receive = receive;
    const kept = this.unread;
    this.unread = [];
    this.unreadBytes = 0;
    for (const frame of kept) receive(frame);
  }

  onClose(closed: (reason: ShoalError) => void): void {
    if (this.closeReason !== null) closed(this.closeReason);
    else this.closed = closed;
  }

  close(reason = new ShoalError('LINK_FAILED', 'the link was closed on this side')): void {
    if (this.current === 'closed') return;
    this.current = 'closed';
    this.closeReason = reason;
    this.shutDown(reason);
    const closed = this.closed;
    this.closed = null;
    this.opened = null;
    closed?.(reason);
  }

  protected markOpen(): void {
    if (this.current !== 'connecting') return;
    this.current = 'open';
    const opened = this.opened;
    this.opened = null;
    opened?.();
  }

  /** @throws see `Transport.send` */
  protected checkSend(frame: Uint8Array, queuedBytes: number): void {
    if (this.closeReason !== null) {
      throw new ShoalError('LINK_FAILED', `the link is closed: ${this.closeReason.message}`);
    }
    if (frame.length === 0) throw new ShoalError('FRAME_INVALID', 'a frame of 0 B cannot be sent');
    if (frame.length > MAX_FRAME_BYTES) {
      throw new ShoalError(
        'FRAME_TOO_LARGE',
        `a frame of ${frame.length} B exceeds ${MAX_FRAME_BYTES} B; send fewer rows in a micro-batch`,
      );
    }
    if (queuedBytes + frame.length > MAX_SEND_QUEUE_BYTES) {
      throw new ShoalError(
        'OVERLOADED',
        `${queuedBytes} B wait to be sent and ${frame.length} B more exceed ${MAX_SEND_QUEUE_BYTES} B; await earlier sends`,
      );
    }
  }

  protected countSent(bytes: number, frames: number): void {
    this.counters.bytesSent += bytes;
    this.counters.framesSent += frames;
  }

  protected countReceived(bytes: number): void {
    this.counters.bytesReceived += bytes;
  }

  protected deliver(frame: Uint8Array): void {
    if (this.current === 'closed') return;
    this.counters.framesReceived += 1;
    if (this.receive !== null) {
      this.receive(frame);
      return;
    }
    if (this.unreadBytes + frame.length > MAX_UNREAD_BYTES) {
      this.close(
        new ShoalError('OVERLOADED', `nobody reads: ${this.unreadBytes} B of frames wait for a receiver`),
      );
      return;
    }
    this.unread.push(frame);
    this.unreadBytes += frame.length;
  }
}
