import type { ShoalError } from '../config/errors.ts';
import type { WebSocketLike } from './reconnecting-socket.ts';
import type { TransitionTable } from './state.ts';
import type { Timers } from './timers.ts';

/**
 * A WebSocket to the server, for signaling or for lending. `greeting`: it is open and `hello` was sent. `refused`: another
 * version, or a key that does not count; final.
 */
export type ConnectionState = 'idle' | 'connecting' | 'greeting' | 'ready' | 'waiting' | 'refused' | 'closed';

export const CONNECTION_TRANSITIONS: TransitionTable<ConnectionState> = {
  idle: ['connecting', 'closed'],
  connecting: ['greeting', 'waiting', 'closed'],
  greeting: ['ready', 'waiting', 'refused', 'closed'],
  ready: ['waiting', 'refused', 'closed'],
  waiting: ['connecting', 'closed'],
  refused: ['closed'],
  closed: [],
};

export interface ConnectionOptions {
  /** `wss://host/signal` or `wss://host/provide` */
  readonly url: string;
  /** Shown to people. */
  readonly name: string;
  readonly openSocket: (url: string) => WebSocketLike;
  readonly timers: Timers;
  /** Uniform in [0, 1), for the back-off. */
  readonly random: () => number;
  /** The longest back-off; default: RECONNECT_MAX_MS. Asked at each loss. */
  readonly maxBackoffMs?: () => number;
  readonly onState: (state: ConnectionState) => void;
  /** Why the connection ended, or a message was refused. */
  readonly onError: (error: ShoalError) => void;
}
