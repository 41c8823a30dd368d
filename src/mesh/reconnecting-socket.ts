import { CONNECT_DEADLINE_MS, RECONNECT_MAX_MS, RECONNECT_MIN_MS } from '../config/limits.ts';
import type { Timers } from './timers.ts';

/** The part of a browser's WebSocket that is used. */
export interface WebSocketLike {
  readonly bufferedAmount: number;
  onopen: ((event: never) => unknown) | null;
  onmessage: ((event: { data: unknown }) => unknown) | null;
  onclose: ((event: { code: number; reason: string }) => unknown) | null;
  onerror: ((event: never) => unknown) | null;
  send(text: string): void;
  close(): void;
}

export interface ReconnectingSocketOptions {
  readonly url: string;
  readonly openSocket: (url: string) => WebSocketLike;
  readonly timers: Timers;
  /** Uniform in [0, 1), for the back-off. */
  readonly random: () => number;
  /** The longest back-off; default: RECONNECT_MAX_MS. Asked at each loss. */
  readonly maxBackoffMs?: () => number;
  /** Before every attempt, the first included. */
  readonly onConnecting: () => void;
  readonly onOpen: () => void;
  readonly onData: (data: unknown) => void;
  /** `why` ends with when the next attempt is made. */
  readonly onLost: (why: string) => void;
}

/** A WebSocket that is opened again with jittered, doubling back-off whenever it is lost, until `close`. */
export class ReconnectingSocket {
  private readonly options: ReconnectingSocketOptions;
  private socket: WebSocketLike | null = null;
  private failures = 0;
  private cancelRetry: (() => void) | null = null;
  private cancelDeadline: (() => void) | null = null;

  constructor(options: ReconnectingSocketOptions) {
    this.options = options;
  }

  connect(): void {
    this.options.onConnecting();
    this.cancelRetry = null;
    const socket = this.options.openSocket(this.options.url);
    this.socket = socket;
    let wasOpen = false;
    // A network that swallows everything is noticed by a browser after minutes.
    this.cancelDeadline = this.options.timers.after(CONNECT_DEADLINE_MS, () =>
      this.lost(`the server has said nothing for ${CONNECT_DEADLINE_MS / 1_000} s`),
    );
    socket.onopen = () => {
      wasOpen = true;
      this.options.onOpen();
    };
    socket.onmessage = ({ data }) => this.options.onData(data);
    socket.onclose = ({ code, reason }) => {
      const said = `${code}${reason === '' ? '' : `: ${reason}`}`;
      this.lost(wasOpen ? `the server closed the connection (${said})` : 'the server cannot be reached');
    };
    // A browser tells no cause here, and a close event follows.
    socket.onerror = () => {};
  }

  get bufferedAmount(): number {
    return this.socket?.bufferedAmount ?? 0;
  }

  /** Dropped where there is no open socket: the owner knows from `onOpen` and `onLost`. */
  send(text: string): void {
    this.socket?.send(text);
  }

  /** The other side has accepted this connection: the next back-off is short again. */
  accepted(): void {
    this.failures = 0;
    this.cancelDeadline?.();
    this.cancelDeadline = null;
  }

  /** Gives the connection up, and tries again after the back-off. */
  lost(why: string): void {
    this.release();
    const ceilingMs = Math.min(
      this.options.maxBackoffMs?.() ?? RECONNECT_MAX_MS,
      RECONNECT_MIN_MS * 2 ** this.failures,
    );
    this.failures += 1;
    // At least half: a server that comes back is not met by everyone at once, nor hammered by one.
    const delayMs = ceilingMs * (0.5 + 0.5 * this.options.random());
    this.cancelRetry = this.options.timers.after(delayMs, () => this.connect());
    this.options.onLost(`${why}; trying again in ${Math.round(delayMs)} ms`);
  }

  /** Ends it for good. */
  close(): void {
    this.cancelRetry?.();
    this.cancelRetry = null;
    this.release();
  }

  private release(): void {
    this.cancelDeadline?.();
    this.cancelDeadline = null;
    const { socket } = this;
    this.socket = null;
    if (socket === null) return;
    socket.onopen = null;
    socket.onmessage = null;
    socket.onclose = null;
    // `ws` emits an error when closed while connecting; without a handler it would be thrown.
    socket.onerror = () => {};
    socket.close();
  }
}
