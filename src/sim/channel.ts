import type { ChannelLike } from '../mesh/channel-like.ts';
import type { Host, Network, Stream } from './network.ts';

/** What a data channel adds to a message on the wire: DTLS, SCTP, UDP and IP. */
const OVERHEAD_BYTES = 80;

/** A data channel over the simulated network, in the shape that `ChannelTransport` drives. */
export class SimChannel implements ChannelLike {
  readyState: ChannelLike['readyState'] = 'connecting';
  bufferedAmount = 0;
  bufferedAmountLowThreshold = 0;
  binaryType: ChannelLike['binaryType'] = 'arraybuffer';
  onopen: ChannelLike['onopen'] = null;
  onmessage: ChannelLike['onmessage'] = null;
  onbufferedamountlow: ChannelLike['onbufferedamountlow'] = null;
  onclose: ChannelLike['onclose'] = null;
  onerror: ChannelLike['onerror'] = null;
  readonly #out: Stream;
  #other!: SimChannel;

  private constructor(out: Stream) {
    this.#out = out;
  }

  static pair(network: Network, a: Host, b: Host): [SimChannel, SimChannel] {
    const [left, right] = [new SimChannel(network.stream(a, b)), new SimChannel(network.stream(b, a))];
    left.#other = right;
    right.#other = left;
    return [left, right];
  }

  /** The connection stands, for this end; each end hears of it in its own time. */
  open(): void {
    if (this.readyState !== 'connecting') return;
    this.readyState = 'open';
    this.onopen?.(EVENT);
  }

  send(data: ArrayBuffer): void {
    if (this.readyState !== 'open') throw new DOMException('the channel is not open', 'InvalidStateError');
    const copy = data.slice(0);
    this.bufferedAmount += copy.byteLength;
    this.#out.send(copy.byteLength + OVERHEAD_BYTES, () => this.#arrived(copy));
  }

  /** The other end hears of it, after what was sent before. */
  close(): void {
    if (this.readyState === 'closed') return;
    this.readyState = 'closed';
    this.#out.send(OVERHEAD_BYTES, () => this.#other.#lost());
  }

  /** Fault: nothing arrives any more, in either direction, and nobody is told. */
  cut(): void {
    this.#out.cut();
    this.#other.#out.cut();
  }

  /** Fault: the connection is gone, and both ends are told. */
  break(): void {
    this.cut();
    this.#lost();
    this.#other.#lost();
  }

  #lost(): void {
    if (this.readyState === 'closed') return;
    this.readyState = 'closed';
    this.onclose?.(EVENT);
  }

  /** Runs in the other end's process. What arrived is acknowledged, and has left this end's buffer. */
  #arrived(data: ArrayBuffer): void {
    const before = this.bufferedAmount;
    this.bufferedAmount -= data.byteLength;
    // An end that the other does not know to be open yet takes nothing; it opens first.
    this.#other.open();
    if (this.#other.readyState === 'open') this.#other.onmessage?.({ data } as MessageEvent);
    const low = this.bufferedAmountLowThreshold;
    if (before <= low || this.bufferedAmount > low || this.readyState !== 'open') return;
    const { process } = this.#out.from;
    process.arrive(() => this.onbufferedamountlow?.(EVENT));
  }
}

/** Nobody reads what is in it. */
const EVENT = new Event('sim');
