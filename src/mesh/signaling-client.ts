import { ShoalError } from '../config/errors.ts';
import { MAX_CONTROL_BACKLOG_BYTES, MAX_OUTBOX_MESSAGES } from '../config/limits.ts';
import { parseServerMessage, writeMessage } from './protocol/codec.ts';
import { CONTROL_VERSION, type PeerMessage, type ServerMessage } from './protocol/control.ts';
import { ReconnectingSocket } from './reconnecting-socket.ts';
import { CONNECTION_TRANSITIONS, type ConnectionOptions, type ConnectionState } from './server-connection.ts';
import { StateMachine } from './state.ts';

export type Welcome = Extract<ServerMessage, { type: 'welcome' }>;

export interface SignalingClientOptions extends ConnectionOptions {
  /** At every (re)connection; the id is a new one each time. A contributor sends `join` from here. */
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
  private readonly outbox: string[] = [];

  constructor(options: SignalingClientOptions) {
    this.options = options;
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
        this.socket.send(writeMessage({ type: 'hello', version: CONTROL_VERSION, name: options.name }));
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
   * Sends, or keeps the message until there is a server. Messages of the session that was lost (those with an epoch, a
   * signal, statistics) are not kept: the next session has another id and other epochs.
   * @returns false when it was dropped
   * @throws PROTOCOL_INVALID when too large; OVERLOADED when the server takes nothing or the outbox is full
   */
  send(message: PeerMessage): boolean {
    const text = writeMessage(message);
    if (this.state === 'ready') {
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
    if (this.state === 'closed' || this.state === 'refused') return false;
    if ('epoch' in message || message.type === 'signal' || message.type === 'stats') return false;
    if (this.outbox.length >= MAX_OUTBOX_MESSAGES) {
      throw new ShoalError('OVERLOADED', `${MAX_OUTBOX_MESSAGES} messages wait for a server already`);
    }
    this.outbox.push(text);
    return true;
  }

  close(): void {
    if (this.state === 'closed') return;
    this.machine.to('closed');
    this.outbox.length = 0;
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
    if (message.type === 'error' && message.fatal && message.error.code === 'PROTOCOL_VERSION') {
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
    for (const text of this.outbox.splice(0)) this.socket.send(text);
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
