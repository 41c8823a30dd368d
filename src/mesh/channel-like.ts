/** What `ChannelTransport` needs of an RTCDataChannel; a `RelayChannel` offers the same over a MessagePort. */
export interface ChannelLike {
  readonly readyState: 'connecting' | 'open' | 'closing' | 'closed';
  /** Bytes handed to `send` that have not left yet. */
  readonly bufferedAmount: number;
  bufferedAmountLowThreshold: number;
  binaryType: 'arraybuffer' | 'blob';
  onopen: ((event: Event) => unknown) | null;
  onmessage: ((event: MessageEvent) => unknown) | null;
  onbufferedamountlow: ((event: Event) => unknown) | null;
  onclose: ((event: Event) => unknown) | null;
  onerror: ((event: RTCErrorEvent) => unknown) | null;
  send(data: ArrayBuffer): void;
  close(): void;
}
