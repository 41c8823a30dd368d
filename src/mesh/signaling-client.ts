import { type ErrorCode, ShoalError } from '../config/errors.ts';
import { MAX_CONTROL_BACKLOG_BYTES } from '../config/limits.ts';
import { drawPeerKey } from './peer-key.ts';
import { parseServerMessage, writeMessage } from './protocol/codec.ts';
import { CONTROL_VERSION, type PeerMessage, type ServerMessage } from './protocol/control.ts';
import { ReconnectingSocket } from './reconnecting-socket.ts';
import { CONNECTION_TRANSITIONS, type ConnectionOptions, type ConnectionState } from './server-connection.ts';
import { StateMachine } from './state.ts';

export type Welcome = Extract<ServerMessage, { type: 'welcome' }>;

export interface SignalingClientOptions extends ConnectionOptions {
  /** Who this is, on every connection: the id follows from it. Default: drawn for this client. */
  readonly key?: string;
  /** Where the server asks workers for one. */
  readonly joinKey?: string;
  /** At every (re)connection, with the same id each time. A contributor says from here on where it stands. */
  readonly onWelcome: (welcome: Welcome) => void;
  /** Everything else, parsed, in order. */
  readonly onMessage: (message: Exclude<ServerMessage, Welcome>) => void;
}

/**
 * The page's WebSocket to the server: versioned handshake, parsed messages, reconnection with jittered back-off.
 * It knows nothing of the mesh's links, so losing the server leaves them alone.
 */
export class SignalingClient {
  private readonly options: SignalingClientOptions;
  private readonly machine: StateMachine<ConnectionState>;
  private readonly socket: ReconnectingSocket;

  constructor(options: SignalingClientOptions) {
    this.options = options;
    const key = options.key ?? drawPeerKey();
    this.machine = new StateMachine<ConnectionState>(
      'signaling',
      'idle',
      CONNECTION_TRANSITIONS,
      options.onState,
    );
    this.socket = new ReconnectingSocket({
      ...options,
      onConnecting: () => this.machine.to('connecting'),
      onOpen: () => {
        this.machine.to('greeting');
        const { name, joinKey } = options;
        const hello = { type: 'hello', version: CONTROL_VERSION, name, key } as const;
        this.socket.send(writeMessage(joinKey === undefined ? hello : { ...hello, joinKey }));
      },
      onData: (data) => this.received(data),
      onLost: (why) => {
        this.machine.to('waiting');
        options.onError(new ShoalError('LINK_FAILED', why));
      },
    });
  }

  get state(): ConnectionState {
    return this.machine.state;
  }

  /** Starts; reconnects by itself until `close()` or a refusal. */
  connect(): void {
    this.socket.connect();
  }

  /**
   * Nothing is kept for a server that is not there: after every `welcome` a peer says where it stands, and the server asks again
   * for what it misses.
   * @returns false when it was dropped
   * @throws PROTOCOL_INVALID when too large; OVERLOADED when the server takes nothing
   */
  send(message: PeerMessage): boolean {
    const text = writeMessage(message);
    if (this.state !== 'ready') return false;
    const waitingBytes = this.socket.bufferedAmount;
    if (waitingBytes > MAX_CONTROL_BACKLOG_BYTES) {
      throw new ShoalError(
        'OVERLOADED',
        `${waitingBytes} B wait for the server, at most ${MAX_CONTROL_BACKLOG_BYTES} B are allowed; is it reachable?`,
      );
    }
    this.socket.send(text);
    return true;
  }

  close(): void {
    if (this.state === 'closed') return;
    this.machine.to('closed');
    this.socket.close();
  }

  private received(data: unknown): void {
    let message: ServerMessage;
    try {
      if (typeof data !== 'string')
        throw new ShoalError('PROTOCOL_INVALID', 'the server sent binary, expected JSON text');
      message = parseServerMessage(data);
    } catch (thrown) {
      this.refusedMessage(ShoalError.from(thrown, 'PROTOCOL_INVALID'));
      return;
    }
    if (message.type === 'welcome') {
      this.welcomed(message);
      return;
    }
    if (message.type === 'error' && message.fatal && isFinal(message.error.code)) {
      this.refuse(ShoalError.from(message.error));
      return;
    }
    this.options.onMessage(message);
  }

  private welcomed(welcome: Welcome): void {
    if (this.state !== 'greeting') {
      this.options.onError(new ShoalError('PROTOCOL_INVALID', `the server sent welcome while ${this.state}`));
      return;
    }
    this.socket.accepted();
    this.machine.to('ready');
    this.options.onWelcome(welcome);
  }

  private refusedMessage(error: ShoalError): void {
    if (error.code === 'PROTOCOL_VERSION') this.refuse(error);
    else this.options.onError(error);
  }

  private refuse(error: ShoalError): void {
    this.machine.to('refused');
    this.socket.close();
    this.options.onError(error);
  }
}

/** The next connection would be refused for the same reason: another version, or a join key that does not count. */
const isFinal = (code: ErrorCode): boolean => code === 'PROTOCOL_VERSION' || code === 'UNAUTHORIZED';
