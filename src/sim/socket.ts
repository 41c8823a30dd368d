import type { WebSocketLike } from '../mesh/reconnecting-socket.ts';
import type { ControlSocket, ControlSocketEvents } from '../server/mesh/connections/control-socket.ts';
import type { Host, Network, Stream } from './network.ts';

/** TCP, TLS and WebSocket around a message. */
const OVERHEAD_BYTES = 70;
/** RFC 6455: the connection broke. */
const ABNORMAL = 1_006;

/** One control connection: a browser's WebSocket here, what `ws` makes of it there, the network between. */
export class SimSocket implements WebSocketLike {
  onopen: WebSocketLike['onopen'] = null;
  onmessage: WebSocketLike['onmessage'] = null;
  onclose: WebSocketLike['onclose'] = null;
  onerror: WebSocketLike['onerror'] = null;
  /** Its end on the server is over. */
  onEnded: () => void = () => {};
  /** Every message as it arrives, for whoever looks on. */
  onText: (to: 'tab' | 'server', text: string) => void = () => {};
  bufferedAmount = 0;
  readonly #network: Network;
  readonly #tab: Host;
  #up: Stream;
  #down: Stream;
  #state: 'connecting' | 'open' | 'closed' = 'connecting';
  #serverEnd: SimServerEnd | null = null;

  /**
   * @param server the host; its process may be another when the connection reaches it
   * @param listener asked then; null: nobody listens there
   */
  constructor(network: Network, tab: Host, server: Host, listener: () => Listener | null) {
    this.#network = network;
    this.#tab = tab;
    this.#up = network.stream(tab, server);
    this.#down = network.stream(server, tab);
    this.#up.sendToHost(OVERHEAD_BYTES, () => {
      const listening = listener();
      if (listening === null) this.refuse();
      // TCP stands; TLS and the upgrade go there and back again.
      else this.#down.sendToHost(OVERHEAD_BYTES, () => this.#upgrade(listening));
    });
  }

  send(text: string): void {
    if (this.#state !== 'open') return;
    this.bufferedAmount += text.length;
    this.#up.send(text.length + OVERHEAD_BYTES, () => {
      this.bufferedAmount -= text.length;
      this.onText('server', text);
      this.#serverEnd?.receive(text);
    });
  }

  close(): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.#up.send(OVERHEAD_BYTES, () => this.#serverEnd?.lost());
  }

  /** The server's process is gone, and its operating system says so. */
  refuse(): void {
    this.#down.send(OVERHEAD_BYTES, () => this.lost(ABNORMAL, ''));
  }

  /** The tab's process is gone, and its operating system says so. */
  reset(): void {
    this.#state = 'closed';
    this.#up.send(OVERHEAD_BYTES, () => this.#serverEnd?.lost());
  }

  /** Fault: the connection is lost, and both sides are told. */
  break(): void {
    this.#tab.process.arrive(() => this.lost(ABNORMAL, ''));
    this.#down.from.process.arrive(() => this.#serverEnd?.lost());
  }

  #upgrade({ host, accept }: Listener): void {
    this.#up = this.#network.stream(this.#tab, host);
    this.#down = this.#network.stream(host, this.#tab);
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

  receive(text: string): void {
    if (this.#state !== 'open') return;
    this.onText('tab', text);
    this.onmessage?.({ data: text });
  }

  lost(code: number, reason: string): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.onclose?.({ code, reason });
  }
}

/** Who takes connections on a host. */
export interface Listener {
  readonly host: Host;
  /** Runs in the host's process, once the handshake is through. */
  readonly accept: (end: ControlSocket) => void;
}

class SimServerEnd implements ControlSocket {
  bufferedAmount = 0;
  isOpen = true;
  readonly #socket: SimSocket;
  readonly #down: Stream;
  #events: ControlSocketEvents | null = null;
  #isClosed = false;

  constructor(socket: SimSocket, down: Stream) {
    this.#socket = socket;
    this.#down = down;
  }

  listen(events: ControlSocketEvents): void {
    this.#events = events;
  }

  send(text: string): void {
    if (!this.isOpen) return;
    this.bufferedAmount += text.length;
    this.#down.send(text.length + OVERHEAD_BYTES, () => {
      this.bufferedAmount -= text.length;
      this.#socket.receive(text);
    });
  }

  /** A browser answers it whatever its tab does, and nobody here takes that for a sign of life. */
  ping(): void {}

  close(code: number, reason: string): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    this.#down.send(OVERHEAD_BYTES, () => this.#socket.lost(code, reason));
    // The other side answers; `ws` closes by itself if it does not.
    this.#down.from.process.after(CLOSE_ANSWER_MS, () => this.lost());
  }

  terminate(): void {
    this.#down.send(OVERHEAD_BYTES, () => this.#socket.lost(ABNORMAL, ''));
    this.lost();
  }

  receive(text: string): void {
    if (!this.#isClosed) this.#events?.message(text, text.length);
  }

  lost(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.isOpen = false;
    this.#events?.closed();
    this.#socket.onEnded();
  }
}

/** A round trip, mostly. */
const CLOSE_ANSWER_MS = 100;
const NOTHING = undefined as never;
