import { MAX_SLICE_BYTES } from '../../src/config/limits.ts';
import type { ChannelLike } from '../../src/mesh/channel-like.ts';

/**
 * A pair of in-memory data channels: ordered, copying, asynchronous. A stalled channel keeps what it was given, so
 * that `bufferedAmount` rises; `perTurn` bytes leave in one turn of the event loop otherwise.
 */
export class FakeChannel implements ChannelLike {
  readyState: ChannelLike['readyState'] = 'connecting';
  bufferedAmount = 0;
  bufferedAmountLowThreshold = 0;
  binaryType: ChannelLike['binaryType'] = 'blob';
  onopen: ChannelLike['onopen'] = null;
  onmessage: ChannelLike['onmessage'] = null;
  onbufferedamountlow: ChannelLike['onbufferedamountlow'] = null;
  onclose: ChannelLike['onclose'] = null;
  onerror: ChannelLike['onerror'] = null;
  /** Highest `bufferedAmount` seen. */
  peakBytes = 0;
  sends = 0;
  stalled = false;
  private other!: FakeChannel;
  private queue: ArrayBuffer[] = [];
  private draining = false;

  static pair(): [FakeChannel, FakeChannel] {
    const [a, b] = [new FakeChannel(), new FakeChannel()];
    a.other = b;
    b.other = a;
    return [a, b];
  }

  openBoth(): void {
    for (const end of [this, this.other]) {
      end.readyState = 'open';
      end.onopen?.(new Event('open'));
    }
  }

  send(data: ArrayBuffer): void {
    if (this.readyState !== 'open') throw new DOMException('not open', 'InvalidStateError');
    if (data.byteLength > MAX_SLICE_BYTES)
      throw new TypeError(`a send of ${data.byteLength} B was not sliced`);
    this.sends += 1;
    this.queue.push(data.slice(0));
    this.bufferedAmount += data.byteLength;
    this.peakBytes = Math.max(this.peakBytes, this.bufferedAmount);
    this.drainSoon();
  }

  close(): void {
    if (this.readyState === 'closed') return;
    this.readyState = 'closed';
    this.queue = [];
    setImmediate(() => this.other.lose());
  }

  /** The connection is gone: this end hears of it. */
  lose(): void {
    if (this.readyState === 'closed') return;
    this.readyState = 'closed';
    this.onclose?.(new Event('close'));
  }

  /** The other side sends something that is no slice. */
  receive(data: unknown): void {
    this.onmessage?.(new MessageEvent('message', { data }));
  }

  resume(): void {
    this.stalled = false;
    this.drainSoon();
  }

  private drainSoon(): void {
    if (this.draining || this.stalled) return;
    this.draining = true;
    setImmediate(() => {
      this.draining = false;
      for (let turn = 0; turn < 16 && !this.stalled && this.readyState === 'open'; turn++) this.drainOne();
      if (this.queue.length > 0) this.drainSoon();
    });
  }

  private drainOne(): void {
    const data = this.queue.shift();
    if (data === undefined) return;
    const before = this.bufferedAmount;
    this.bufferedAmount -= data.byteLength;
    if (this.other.binaryType !== 'arraybuffer') throw new Error('binaryType was not set to arraybuffer');
    this.other.receive(data);
    const low = this.bufferedAmountLowThreshold;
    if (before > low && this.bufferedAmount <= low)
      this.onbufferedamountlow?.(new Event('bufferedamountlow'));
  }
}
