/** The control WebSockets at `/signal`: who may connect, what is refused, and when a connection counts as dead. */
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Logger } from 'pino';
import { type RawData, WebSocket, WebSocketServer } from 'ws';
import { ShoalError } from '../../config/errors.ts';
import {
  CONTROL_BURST,
  CONTROL_DEAD_MS,
  CONTROL_MESSAGES_PER_SECOND,
  CONTROL_PING_MS,
  HELLO_DEADLINE_MS,
  MAX_CONTROL_BACKLOG_BYTES,
  MAX_CONTROL_BYTES,
  MAX_PROTOCOL_OFFENCES,
  MAX_SIGNAL_BACKLOG_BYTES,
  MAX_WORKERS,
  SIGNAL_BURST,
  SIGNALS_PER_SECOND,
} from '../../config/limits.ts';
import { parsePeerMessage } from '../../mesh/protocol/codec.ts';
import { CONTROL_VERSION, type PeerMessage, type ServerMessage } from '../../mesh/protocol/control.ts';
import type { Timers } from '../../mesh/timers.ts';
import type { HostGuard } from '../http/host-guard.ts';
import {
  closeWebSockets,
  POLICY_VIOLATION,
  refuseUpgrade,
  TRY_AGAIN_LATER,
  upgradeRefusal,
} from '../http/web-sockets.ts';
import { TimerGroup } from '../timer-group.ts';
import { TokenBucket } from '../token-bucket.ts';
import type { Mesh } from './mesh.ts';
import type { Peer } from './registry.ts';

export const SIGNAL_PATH = '/signal';

export type IceServers = Extract<ServerMessage, { type: 'welcome' }>['iceServers'];

export interface SignalingOptions {
  readonly mesh: Mesh;
  readonly guard: HostGuard;
  /** For the tabs' connections to each other; empty: only addresses they can reach directly. */
  readonly iceServers: IceServers;
  readonly timers: Timers;
  readonly log: Logger;
}

export class Signaling {
  readonly #options: SignalingOptions;
  readonly #sockets = new WebSocketServer({
    noServer: true,
    maxPayload: MAX_CONTROL_BYTES,
    perMessageDeflate: false,
  });

  constructor(options: SignalingOptions) {
    this.#options = options;
  }

  /** For the HTTP server's `upgrade` event. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    // Without a listener, a reset during the handshake would end the process.
    socket.on('error', () => socket.destroy());
    const refusal = this.#refusal(request);
    if (refusal !== null) {
      this.#options.log.warn({ status: refusal, origin: request.headers.origin }, 'WebSocket refused');
      refuseUpgrade(socket, refusal);
      return;
    }
    this.#sockets.handleUpgrade(request, socket, head, (webSocket) => {
      new Connection(webSocket, this.#options);
    });
  }

  /** Says goodbye to everyone; resolves when all sockets are closed. */
  close(): Promise<void> {
    return closeWebSockets(this.#sockets, this.#options.timers);
  }

  #refusal(request: IncomingMessage): string | null {
    // Spectators count too; the registry refuses at MAX_WORKERS with a sentence, this bounds those before hello.
    const isFull = this.#sockets.clients.size >= 2 * MAX_WORKERS;
    return (
      upgradeRefusal(request, SIGNAL_PATH, this.#options.guard) ?? (isFull ? '503 Service Unavailable' : null)
    );
  }
}

/** One socket, from the handshake to its close. */
class Connection {
  readonly #socket: WebSocket;
  readonly #options: SignalingOptions;
  readonly #timers: TimerGroup;
  readonly #bucket: TokenBucket;
  readonly #signalBucket: TokenBucket;
  #peer: Peer | null = null;
  #offences = 0;
  #heardAt: number;
  #closeReason = 'the connection was closed';

  constructor(socket: WebSocket, options: SignalingOptions) {
    this.#socket = socket;
    this.#options = options;
    this.#timers = new TimerGroup(options.timers);
    this.#heardAt = this.#timers.now();
    this.#bucket = new TokenBucket(CONTROL_MESSAGES_PER_SECOND, CONTROL_BURST, this.#heardAt);
    this.#signalBucket = new TokenBucket(SIGNALS_PER_SECOND, SIGNAL_BURST, this.#heardAt);
    socket.on('message', (data, isBinary) => this.#receive(data, isBinary));
    socket.on('pong', () => this.#heard());
    // ws itself closes with 1009 above maxPayload, before the message is in memory.
    socket.on('error', (error) => {
      this.#closeReason = error.message;
    });
    socket.on('close', () => this.#closed());
    this.#timers.after(HELLO_DEADLINE_MS, () => {
      if (this.#peer === null)
        this.#fatal(new ShoalError('PROTOCOL_INVALID', 'no hello came; say hello first'));
    });
    this.#ping();
  }

  send(message: ServerMessage): void {
    if (this.#socket.readyState !== WebSocket.OPEN) return;
    // What a neighbour makes wait here must not end the connection of who is slow to read it.
    if (message.type === 'signal' && this.#socket.bufferedAmount > MAX_SIGNAL_BACKLOG_BYTES) {
      this.#options.log.debug({ peer: this.#peer?.id, from: message.from }, 'signal dropped: too much waits');
      return;
    }
    if (this.#socket.bufferedAmount > MAX_CONTROL_BACKLOG_BYTES) {
      this.#closeReason = `${this.#socket.bufferedAmount} B wait for it, at most ${MAX_CONTROL_BACKLOG_BYTES} may`;
      this.#socket.terminate();
      return;
    }
    this.#socket.send(JSON.stringify(message));
  }

  #receive(data: RawData, isBinary: boolean): void {
    this.#heard();
    // After a fatal error the socket lives until its close is answered; nothing it says counts any more.
    if (this.#socket.readyState !== WebSocket.OPEN) return;
    try {
      if (!this.#bucket.take(this.#timers.now())) {
        throw new ShoalError(
          'OVERLOADED',
          `more than ${CONTROL_MESSAGES_PER_SECOND} messages a second; the message was dropped`,
        );
      }
      if (isBinary) throw new ShoalError('PROTOCOL_INVALID', 'control messages are text, this one is binary');
      this.#handle(parsePeerMessage(String(data)));
    } catch (thrown) {
      this.#offence(ShoalError.from(thrown));
    }
  }

  #handle(message: PeerMessage): void {
    const { mesh, iceServers } = this.#options;
    if (message.type === 'signal' && !this.#signalBucket.take(this.#timers.now())) {
      throw new ShoalError(
        'OVERLOADED',
        `more than ${SIGNALS_PER_SECOND} signals a second; the signal was dropped`,
      );
    }
    if (this.#peer !== null) {
      mesh.handle(this.#peer, message);
      return;
    }
    if (message.type !== 'hello') {
      throw new ShoalError('PROTOCOL_INVALID', `'${message.type}' came before hello; say hello first`);
    }
    this.#peer = mesh.connected(message.name, this);
    this.send({
      type: 'welcome',
      version: CONTROL_VERSION,
      peer: this.#peer.id,
      iceServers: [...iceServers],
    });
  }

  #offence(error: ShoalError): void {
    this.#offences++;
    const { log } = this.#options;
    if (error.code === 'INTERNAL')
      log.error({ peer: this.#peer?.id, err: error }, 'a message could not be handled');
    else log.warn({ peer: this.#peer?.id, code: error.code }, `message refused: ${error.message}`);
    const isFatal =
      error.code === 'PROTOCOL_VERSION' || this.#peer === null || this.#offences >= MAX_PROTOCOL_OFFENCES;
    if (isFatal) this.#fatal(error);
    else this.send({ type: 'error', error: error.toWire(), fatal: false });
  }

  #fatal(error: ShoalError): void {
    this.send({ type: 'error', error: error.toWire(), fatal: true });
    this.#closeReason = error.message;
    this.#socket.close(error.code === 'OVERLOADED' ? TRY_AGAIN_LATER : POLICY_VIOLATION, error.code);
  }

  #heard(): void {
    this.#heardAt = this.#timers.now();
  }

  #ping(): void {
    this.#timers.after(CONTROL_PING_MS, () => {
      const silentMs = this.#timers.now() - this.#heardAt;
      if (silentMs >= CONTROL_DEAD_MS) {
        this.#closeReason = `nothing was heard for ${Math.round(silentMs / 1_000)} s`;
        this.#socket.terminate();
        return;
      }
      if (this.#socket.readyState === WebSocket.OPEN) this.#socket.ping();
      this.#ping();
    });
  }

  #closed(): void {
    this.#timers.clear();
    if (this.#peer !== null) this.#options.mesh.disconnected(this.#peer, this.#closeReason);
    this.#peer = null;
  }
}
