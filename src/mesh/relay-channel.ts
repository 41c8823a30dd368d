import { LOW_WATER_BYTES } from '../config/limits.ts';
import type { ChannelLike } from './channel-like.ts';

/**
 * For browsers that refuse to transfer an RTCDataChannel to a worker (Chrome before 130, Firefox before 144): the page
 * keeps the channel and relays over a MessagePort. Costs two thread hops a frame and janks with the page.
 *
 * Port messages: an ArrayBuffer is data; anything else is a `RelayNotice`. Both ends are ours, so they are trusted.
 * `settled` counts bytes of the worker that have left the channel, so that the worker's `bufferedAmount` covers the
 * port and the channel behind it.
 */
type RelayNotice =
  | { readonly type: 'open' }
  | { readonly type: 'settled'; readonly totalBytes: number }
  | { readonly type: 'close' };

/** The page's side. @returns the port to transfer to the worker, there to be wrapped in a `RelayChannel` */
export function relayThroughPage(channel: ChannelLike): MessagePort {
  const { port1: page, port2: worker } = new MessageChannel();
  let handedOver = 0;
  const notify = (notice: RelayNotice) => page.postMessage(notice);
  const settle = () => notify({ type: 'settled', totalBytes: handedOver - channel.bufferedAmount });
  const closed = () => {
    notify({ type: 'close' });
    page.close();
  };
  channel.binaryType = 'arraybuffer';
  channel.bufferedAmountLowThreshold = LOW_WATER_BYTES;
  channel.onopen = () => notify({ type: 'open' });
  channel.onmessage = ({ data }) => {
    if (data instanceof ArrayBuffer) page.postMessage(data, [data]);
    else channel.close();
  };
  channel.onbufferedamountlow = settle;
  channel.onclose = closed;
  channel.onerror = () => channel.close();
  page.onmessage = ({ data }: MessageEvent<ArrayBuffer | RelayNotice>) => {
    if (!(data instanceof ArrayBuffer)) {
      channel.close();
      return;
    }
    try {
      channel.send(data);
    } catch {
      // Closed a moment ago; its close event follows, or came before.
      return;
    }
    handedOver += data.byteLength;
    settle();
  };
  if (channel.readyState === 'open') notify({ type: 'open' });
  return worker;
}

/** The worker's side of `relayThroughPage`, in the shape of the channel it stands for. */
export class RelayChannel implements ChannelLike {
  readyState: ChannelLike['readyState'] = 'connecting';
  bufferedAmountLowThreshold = 0;
  binaryType: ChannelLike['binaryType'] = 'arraybuffer';
  onopen: ChannelLike['onopen'] = null;
  onmessage: ChannelLike['onmessage'] = null;
  onbufferedamountlow: ChannelLike['onbufferedamountlow'] = null;
  onclose: ChannelLike['onclose'] = null;
  onerror: ChannelLike['onerror'] = null;
  private readonly port: MessagePort;
  private handedOver = 0;
  private settled = 0;

  constructor(port: MessagePort) {
    this.port = port;
    port.onmessage = (event: MessageEvent<ArrayBuffer | RelayNotice>) => {
      if (event.data instanceof ArrayBuffer) this.onmessage?.(event);
      else this.noticed(event.data);
    };
  }

  get bufferedAmount(): number {
    return this.handedOver - this.settled;
  }

  /** Takes `data` over: it is transferred. */
  send(data: ArrayBuffer): void {
    if (this.readyState !== 'open')
      throw new DOMException(`the relay is ${this.readyState}`, 'InvalidStateError');
    this.handedOver += data.byteLength;
    this.port.postMessage(data, [data]);
  }

  close(): void {
    if (this.readyState === 'closed') return;
    this.readyState = 'closed';
    this.port.postMessage({ type: 'close' } satisfies RelayNotice);
    this.port.close();
  }

  private noticed(notice: RelayNotice): void {
    switch (notice.type) {
      case 'open':
        if (this.readyState !== 'connecting') return;
        this.readyState = 'open';
        this.onopen?.(new Event('open'));
        return;
      case 'settled': {
        const before = this.bufferedAmount;
        this.settled = notice.totalBytes;
        const low = this.bufferedAmountLowThreshold;
        if (before > low && this.bufferedAmount <= low)
          this.onbufferedamountlow?.(new Event('bufferedamountlow'));
        return;
      }
      case 'close':
        if (this.readyState === 'closed') return;
        this.readyState = 'closed';
        this.port.close();
        this.onclose?.(new Event('close'));
        return;
      default:
        notice satisfies never;
    }
  }
}
