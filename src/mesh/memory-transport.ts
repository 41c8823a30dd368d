import { ShoalError } from '../config/errors.ts';
import { HIGH_WATER_BYTES, LOW_WATER_BYTES } from '../config/limits.ts';
import { TransportEndpoint } from './transport-endpoint.ts';

export interface MemoryTransportOptions {
  /** Runs a delivery later, in the order given. Default: a microtask. Tests pass a fake clock to delay. */
  readonly schedule?: (deliver: () => void) => void;
  /** Open at once (default), or when `open()` is called on either end. */
  readonly connecting?: boolean;
}

interface InFlight {
  readonly frame: Uint8Array;
  readonly sent: () => void;
  readonly failed: (reason: ShoalError) => void;
}

/** A transport within one thread: the twin of `ChannelTransport` for tests, with faults on demand. */
export class MemoryTransport extends TransportEndpoint {
  private other!: MemoryTransport;
  private readonly schedule: (deliver: () => void) => void;
  private queue: InFlight[] = [];
  private queuedBytes = 0;
  /** Deliveries that were scheduled and have not run. */
  private scheduled = 0;
  private stalled = false;
  private vanished = false;

  private constructor(options: MemoryTransportOptions) {
    super();
    this.schedule = options.schedule ?? ((task) => queueMicrotask(task));
  }

  /** Two connected ends. */
  static pair(options: MemoryTransportOptions = {}): [MemoryTransport, MemoryTransport] {
    const left = new MemoryTransport(options);
    const right = new MemoryTransport(options);
    left.other = right;
    right.other = left;
    if (options.connecting !== true) left.open();
    return [left, right];
  }

  /** Opens both ends. */
  open(): void {
    for (const end of [this, this.other]) {
      end.markOpen();
      end.deliverLater();
    }
  }

  /** Fault: frames of this end wait, until `resume`. */
  stall(): void {
    this.stalled = true;
  }

  resume(): void {
    this.stalled = false;
    this.deliverLater();
  }

  /** Fault: the link breaks and both ends notice. Frames on their way are lost. */
  drop(reason = new ShoalError('LINK_FAILED', 'the link broke')): void {
    this.close(reason);
    this.other.close(reason);
  }

  /** Fault: this end is gone without a word. What either side sends is taken and lost. */
  vanish(): void {
    this.vanished = true;
    this.other.vanished = true;
  }

  async send(frame: Uint8Array): Promise<void> {
    this.checkSend(frame, this.queuedBytes);
    const copy = frame.slice();
    await new Promise<void>((sent, failed) => {
      this.queue.push({ frame: copy, sent, failed });
      this.queuedBytes += copy.length;
      this.deliverLater();
    });
  }

  protected shutDown(reason: ShoalError): void {
    const lost = this.queue;
    this.queue = [];
    this.queuedBytes = 0;
    for (const { failed } of lost) failed(reason);
    // A closed channel is noticed by the other end a moment later.
    if (!this.vanished) {
      this.schedule(() => this.other.close(new ShoalError('LINK_FAILED', 'the other peer closed the link')));
    }
  }

  private deliverLater(): void {
    if (this.state !== 'open') return;
    if (this.stalled) {
      this.release(HIGH_WATER_BYTES);
      return;
    }
    while (this.scheduled < this.queue.length) {
      this.scheduled += 1;
      this.schedule(() => {
        this.scheduled -= 1;
        this.deliverOne();
      });
    }
  }

  /** A channel takes frames up to the high-water mark; beyond it, sends wait until it is below the low one. */
  private release(belowBytes: number): void {
    if (this.queuedBytes > belowBytes) return;
    for (const item of this.queue) item.sent();
  }

  private deliverOne(): void {
    if (this.state !== 'open' || this.stalled) return;
    const item = this.queue.shift();
    if (item === undefined) return;
    this.queuedBytes -= item.frame.length;
    this.countSent(item.frame.length, 1);
    item.sent();
    this.release(LOW_WATER_BYTES);
    if (this.vanished) return;
    this.other.countReceived(item.frame.length);
    this.other.deliver(item.frame);
  }
}
