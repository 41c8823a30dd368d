import { ShoalError } from '../config/errors.ts';
import { CONTROL_DEAD_MS } from '../config/limits.ts';
import type { Secret } from '../config/secret.ts';
import { PROVIDE_VERSION, type ProviderMessage, type ProvidingServerMessage } from './protocol/provide.ts';
import {
  parseProvidingServerMessage,
  requestBodyText,
  writeProviderMessage,
} from './protocol/provide-codec.ts';
import { ReconnectingSocket } from './reconnecting-socket.ts';
import { CONNECTION_TRANSITIONS, type ConnectionOptions, type ConnectionState } from './server-connection.ts';
import { StateMachine } from './state.ts';

const FINAL_CODES = new Set(['PROTOCOL_VERSION', 'UNAUTHORIZED', 'FORBIDDEN']);

export type ServerRequest = Extract<ProvidingServerMessage, { type: 'request' | 'cancel' | 'credit' }>;

export interface ProvideClientOptions extends ConnectionOptions {
  /** An API key of the server, where it wants one. */
  readonly key?: Secret;
  /** @param bodyText of a request: what its body was parsed from */
  readonly onRequest: (message: ServerRequest, bodyText?: string) => void;
}

/** A provider's WebSocket to the server: versioned handshake, parsed messages, liveness, reconnection. */
export class ProvideClient {
  private readonly options: ProvideClientOptions;
  private readonly machine: StateMachine<ConnectionState>;
  private readonly socket: ReconnectingSocket;
  private heardAtMs = 0;
  private stopWatching: () => void = () => {};

  constructor(options: ProvideClientOptions) {
    this.options = options;
    this.machine = new StateMachine<ConnectionState>(
      'provider',
      'idle',
      CONNECTION_TRANSITIONS,
      options.onState,
    );
    this.socket = new ReconnectingSocket({
      ...options,
      onConnecting: () => {
        this.machine.to('connecting');
        this.heardAtMs = options.timers.now();
        this.watch();
      },
      onOpen: () => this.greet(),
      onData: (data) => this.received(data),
      onLost: (why) => {
        this.stopWatching();
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

  /** Dropped while there is no server: requests belong to their connection, and offers are made anew. */
  send(message: ProviderMessage): void {
    if (this.state === 'ready') this.socket.send(writeProviderMessage(message));
  }

  close(): void {
    if (this.state === 'closed') return;
    this.stopWatching();
    this.machine.to('closed');
    this.socket.close();
  }

  private greet(): void {
    const { name, key } = this.options;
    this.machine.to('greeting');
    const hello = { type: 'hello', version: PROVIDE_VERSION, name } as const;
    this.socket.send(writeProviderMessage(key === undefined ? hello : { ...hello, key: key.reveal() }));
  }

  private received(data: unknown): void {
    this.heardAtMs = this.options.timers.now();
    let message: ProvidingServerMessage;
    try {
      if (typeof data !== 'string')
        throw new ShoalError('PROTOCOL_INVALID', 'the server sent binary, expected JSON text');
      message = parseProvidingServerMessage(data);
    } catch (thrown) {
      this.failed(ShoalError.from(thrown, 'PROTOCOL_INVALID'));
      return;
    }
    switch (message.type) {
      case 'welcome':
        if (this.state !== 'greeting') {
          this.failed(new ShoalError('PROTOCOL_INVALID', `the server sent welcome while ${this.state}`));
          return;
        }
        this.socket.accepted();
        this.machine.to('ready');
        return;
      case 'ping':
        this.send({ type: 'pong' });
        return;
      case 'error':
        this.failed(ShoalError.from(message.error));
        return;
      case 'request':
        this.options.onRequest(message, requestBodyText(data as string));
        return;
      case 'cancel':
      case 'credit':
        this.options.onRequest(message);
        return;
      default:
        message satisfies never;
    }
  }

  private failed(error: ShoalError): void {
    if (FINAL_CODES.has(error.code)) {
      this.stopWatching();
      this.machine.to('refused');
      this.socket.close();
    }
    this.options.onError(error);
  }

  /** The server pings; a connection that stands and is silent is dead all the same. */
  private watch(): void {
    const { timers } = this.options;
    const leftMs = this.heardAtMs + CONTROL_DEAD_MS - timers.now();
    this.stopWatching = timers.after(Math.max(leftMs, 0), () => {
      if (timers.now() - this.heardAtMs < CONTROL_DEAD_MS) this.watch();
      else this.socket.lost(`the server was silent for ${CONTROL_DEAD_MS / 1_000} s`);
    });
  }
}
