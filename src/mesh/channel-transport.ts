import { ShoalError } from '../config/errors.ts';
import { HIGH_WATER_BYTES, LOW_WATER_BYTES } from '../config/limits.ts';
import type { ChannelLike } from './channel-like.ts';
import { cutSlice, nextMessage, SLICE_HEADER_BYTES, SliceReassembler } from './slices.ts';
import { TransportEndpoint } from './transport-endpoint.ts';

interface Outgoing {
  readonly frame: Uint8Array;
  readonly sent: () => void;
  readonly failed: (reason: ShoalError) => void;
}

/**
 * Frames over one ordered, reliable data channel, cut into slices (slices.ts). Order is strict: a token waits behind
 * the slices of an activation that was sent before it. Above the high-water mark nothing more is handed to the channel.
 */
export class ChannelTransport extends TransportEndpoint {
  private readonly channel: ChannelLike;
  private readonly incoming = new SliceReassembler();
  private queue: Outgoing[] = [];
  private queuedBytes = 0;
  /** Bytes of the queue's first frame that were handed over. */
  private offset = 0;
  private message = 0;
  /** Handed over whole, but the channel is above the high-water mark. */
  private handedOver: Outgoing[] = [];

  /** Takes the channel over: its handlers are the transport's from here on. */
  constructor(channel: ChannelLike) {
    super();
    this.channel = channel;
    channel.binaryType = 'arraybuffer';
    channel.bufferedAmountLowThreshold = LOW_WATER_BYTES;
    channel.onopen = () => this.channelOpened();
    channel.onmessage = (event) => this.received(event.data);
    channel.onbufferedamountlow = () => this.pump();
    channel.onclose = () =>
      this.close(new ShoalError('LINK_FAILED', 'the other peer closed the link, or it broke'));
    channel.onerror = (event) => this.close(channelError(event));
    if (channel.readyState === 'open') this.markOpen();
    else if (channel.readyState !== 'connecting') {
      this.close(new ShoalError('LINK_FAILED', `the data channel was ${channel.readyState} from the start`));
    }
  }

  async send(frame: Uint8Array): Promise<void> {
    this.checkSend(frame, this.queuedBytes);
    await new Promise<void>((sent, failed) => {
      this.queue.push({ frame, sent, failed });
      this.queuedBytes += frame.length;
      this.pump();
    });
  }

  protected shutDown(reason: ShoalError): void {
    const { channel } = this;
    channel.onopen = null;
    channel.onmessage = null;
    channel.onbufferedamountlow = null;
    channel.onclose = null;
    channel.onerror = null;
    channel.close();
    const lost = [...this.handedOver, ...this.queue];
    this.queue = [];
    this.handedOver = [];
    this.queuedBytes = 0;
    for (const { failed } of lost) failed(reason);
  }

  private channelOpened(): void {
    this.markOpen();
    this.pump();
  }

  private pump(): void {
    if (this.state !== 'open') return;
    while (this.queue.length > 0 && this.channel.bufferedAmount <= HIGH_WATER_BYTES) {
      const first = this.queue[0]!;
      const slice = cutSlice(first.frame, this.message, this.offset);
      // Before the send: a relay transfers the slice, which leaves it empty.
      const sliceBytes = slice.byteLength;
      try {
        this.channel.send(slice);
      } catch (cause) {
        // A channel that closed a moment ago throws before its close event comes.
        this.close(
          new ShoalError('LINK_FAILED', `the data channel refused a slice: ${String(cause)}`, { cause }),
        );
        return;
      }
      const content = sliceBytes - SLICE_HEADER_BYTES;
      this.offset += content;
      this.queuedBytes -= content;
      const whole = this.offset === first.frame.length;
      this.countSent(sliceBytes, whole ? 1 : 0);
      if (!whole) continue;
      this.queue.shift();
      this.offset = 0;
      this.message = nextMessage(this.message);
      this.handedOver.push(first);
    }
    if (this.channel.bufferedAmount > HIGH_WATER_BYTES) return;
    const done = this.handedOver;
    this.handedOver = [];
    for (const { sent } of done) sent();
  }

  private received(data: unknown): void {
    if (!(data instanceof ArrayBuffer)) {
      this.close(new ShoalError('FRAME_INVALID', 'a peer sent text where only binary slices are allowed'));
      return;
    }
    this.countReceived(data.byteLength);
    let frame: Uint8Array | null;
    try {
      frame = this.incoming.push(data);
    } catch (thrown) {
      this.close(ShoalError.from(thrown, 'FRAME_INVALID'));
      return;
    }
    if (frame !== null) this.deliver(frame);
  }
}

function channelError(event: RTCErrorEvent): ShoalError {
  const cause = event.error;
  return new ShoalError('LINK_FAILED', `the data channel failed: ${cause.message}`, { cause });
}
