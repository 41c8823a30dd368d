import type { WebSocketLike } from '../mesh/reconnecting-socket.ts';
import type { Host, Network, Stream } from './network.ts';

/** TCP, TLS and WebSocket around a message. */
const OVERHEAD_BYTES = 70;
/** RFC 6455: the connection broke. */
const ABNORMAL = 1_006;

/** The server's end of a control connection, with what `ws` offers of it. */
export interface ServerEnd {
  readonly bufferedAmount: number;
  readonly isOpen: boolean;
  onText: (text: string) => void;
  onPong: () => void;
  /** Once, whoever ended it. */
  onClosed: (code: number) => void;
  send(text: string): void;
  ping(): void;
  close(code: number, reason: string): void;
  terminate(): void;
}

/** One control connection: a browser's WebSocket here, what `ws` makes of it there, the network between. */
export class SimSocket implements WebSocketLike {
  onopen: WebSocketLike['onopen'] = null;
  onmessage: WebSocketLike['onmessage'] = null;
  onclose: WebSocketLike['onclose'] = null;
  onerror: WebSocketLike['onerror'] = null;
  bufferedAmount = 0;
  readonly #up: Stream;
  readonly #down: Stream;
  readonly #tab: Host;
  readonly #server: Host;
  #state: 'connecting' | 'open' | 'closed' = 'connecting';
  #serverEnd: SimServerEnd | null = null;

  /**
   * @param listener asked when the connection reaches the server's host; null: nobody listens there. What it gives runs in the
   *   server's process.
   */
  constructor(network: Network, tab: Host, server: Host, listener: () => ((end: ServerEnd) => void) | null) {
    this.#tab = tab;
    this.#server = server;
    this.#up = network.stream(tab, server);
    this.#down = network.stream(server, tab);
    this.#up.sendToHost(OVERHEAD_BYTES, () => {
      const accept = listener();
      if (accept === null) this.refuse();
      // TCP stands; TLS and the upgrade go there and back again.
      else this.#down.sendToHost(OVERHEAD_BYTES, () => this.#upgrade(accept));
    });
  }

  #upgrade(accept: (end: ServerEnd) => void): void {
    this.#up.send(OVERHEAD_BYTES, () => {
      if (this.#state === 'closed') return;
      const end = new SimServerEnd(this, this.#down);
      this.#serverEnd = end;
      this.#down.send(OVERHEAD_BYTES, () => {
        if (this.#state !== 'connecting') return;
        this.#state = 'open';
        this.onopen?.(NOTHING);
      });
      accept(end);
    });
  }

  send(text: string): void {
    if (this.#state !== 'open') return;
    this.bufferedAmount += text.length;
    this.#up.send(text.length + OVERHEAD_BYTES, () => {
      this.bufferedAmount -= text.length;
      this.#serverEnd?.receive(text);
    });
  }

  close(): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.#up.send(OVERHEAD_BYTES, () => this.#serverEnd?.lost(1_000));
  }

  /** The server's process is gone, and its operating system says so. */
  refuse(): void {
    this.#down.send(OVERHEAD_BYTES, () => this.lost(ABNORMAL, ''));
  }

  /** The tab's process is gone, and its operating system says so. */
  reset(): void {
    this.#state = 'closed';
    this.#up.send(OVERHEAD_BYTES, () => this.#serverEnd?.lost(ABNORMAL));
  }

  /** Fault: the connection is lost, and both sides are told. */
  break(): void {
    this.#tab.process.arrive(() => this.lost(ABNORMAL, ''));
    this.#server.process.arrive(() => this.#serverEnd?.lost(ABNORMAL));
  }

  receive(text: string): void {
    if (this.#state === 'open') this.onmessage?.({ data: text });
  }

  /** The browser answers, whatever its tab does. */
  pinged(): void {
    this.#up.send(OVERHEAD_BYTES, () => this.#serverEnd?.ponged());
  }

  lost(code: number, reason: string): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.onclose?.({ code, reason });
  }
}

class SimServerEnd implements ServerEnd {
  bufferedAmount = 0;
  isOpen = true;
  onText: ServerEnd['onText'] = () => {};
  onPong: ServerEnd['onPong'] = () => {};
  onClosed: ServerEnd['onClosed'] = () => {};
  readonly #socket: SimSocket;
  readonly #down: Stream;
  #isClosed = false;

  constructor(socket: SimSocket, down: Stream) {
    this.#socket = socket;
    this.#down = down;
  }

  send(text: string): void {
    if (!this.isOpen) return;
    this.bufferedAmount += text.length;
    this.#down.send(text.length + OVERHEAD_BYTES, () => {
      this.bufferedAmount -= text.length;
      this.#socket.receive(text);
    });
  }

  ping(): void {
    if (this.isOpen) this.#down.sendToHost(OVERHEAD_BYTES, () => this.#socket.pinged());
  }

  close(code: number, reason: string): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    this.#down.send(OVERHEAD_BYTES, () => this.#socket.lost(code, reason));
    // The other side answers; `ws` closes by itself if it does not.
    this.#down.from.process.after(CLOSE_ANSWER_MS, () => this.lost(code));
  }

  terminate(): void {
    this.#down.send(OVERHEAD_BYTES, () => this.#socket.lost(ABNORMAL, ''));
    this.lost(ABNORMAL);
  }

  receive(text: string): void {
    if (!this.#isClosed) this.onText(text);
  }

  ponged(): void {
    if (!this.#isClosed) this.onPong();
  }

  lost(code: number): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.isOpen = false;
    this.onClosed(code);
  }
}

/** A round trip, mostly. */
const CLOSE_ANSWER_MS = 100;
const NOTHING = undefined as never;
