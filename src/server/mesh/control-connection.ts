/** One control connection, from the handshake to its close: what is refused, and when it counts as dead. */
import type { Logger } from 'pino';
import { ShoalError } from '../../config/errors.ts';
import {
  CONTROL_BURST,
  CONTROL_DEAD_MS,
  CONTROL_MESSAGES_PER_SECOND,
  CONTROL_PING_MS,
  HELLO_DEADLINE_MS,
  MAX_CONTROL_BACKLOG_BYTES,
  MAX_PROTOCOL_OFFENCES,
  MAX_SIGNAL_BACKLOG_BYTES,
  SIGNAL_BURST,
  SIGNALS_PER_SECOND,
} from '../../config/limits.ts';
import { parsePeerMessage } from '../../mesh/protocol/codec.ts';
import { CONTROL_VERSION, type PeerMessage, type ServerMessage } from '../../mesh/protocol/control.ts';
import type { Timers } from '../../mesh/timers.ts';
import { POLICY_VIOLATION, TRY_AGAIN_LATER } from '../http/web-sockets.ts';
import { TimerGroup } from '../timer-group.ts';
import { TokenBucket } from '../token-bucket.ts';
import type { ControlSocket } from './control-socket.ts';
import type { Peer, PeerConnection } from './peer.ts';
import type { Registry } from './registry.ts';

export type IceServers = Extract<ServerMessage, { type: 'welcome' }>['iceServers'];

/** What is left for the mesh when the connection has done its part. */
export type MeshMessage = Exclude<PeerMessage, { type: 'hello' | 'alive' }>;

/** What signaling hands on to. */
export interface SignalingMesh {
  readonly registry: Registry;
  /**
   * A message of a peer that has said hello. At `join` the registry has it as a worker already; at `leave` it has it still,
   * until `registry.leave`.
   * @throws PROTOCOL_INVALID for one that does not fit the peer's state
   */
  handle(peer: Peer, message: MeshMessage): void;
}

export interface ControlOptions {
  readonly mesh: SignalingMesh;
  /** For the tabs' connections to each other; empty: only addresses they can reach directly. */
  readonly iceServers: IceServers;
  readonly timers: Timers;
  readonly log: Logger;
}

export class ControlConnection implements PeerConnection {
  readonly #socket: ControlSocket;
  readonly #options: ControlOptions;
  readonly #address: string | null;
  readonly #timers: TimerGroup;
  readonly #bucket: TokenBucket;
  readonly #signalBucket: TokenBucket;
  #peer: Peer | null = null;
  #offences = 0;
  #heardAt: number;
  #closeReason = 'the connection was closed';

  /** @param address of the machine at the other end, where it is known */
  constructor(socket: ControlSocket, address: string | null, options: ControlOptions) {
    this.#socket = socket;
    this.#address = address;
    this.#options = options;
    this.#timers = new TimerGroup(options.timers);
    this.#heardAt = this.#timers.now();
    this.#bucket = new TokenBucket(CONTROL_MESSAGES_PER_SECOND, CONTROL_BURST, this.#heardAt);
    this.#signalBucket = new TokenBucket(SIGNALS_PER_SECOND, SIGNAL_BURST, this.#heardAt);
    socket.listen({
      message: (text) => this.#receive(text),
      // ws itself closes with 1009 above maxPayload, before the message is in memory.
      failed: (error) => {
        this.#closeReason = error.message;
      },
      closed: () => this.#closed(),
    });
    this.#timers.after(HELLO_DEADLINE_MS, () => {
      if (this.#peer === null)
        this.#fatal(new ShoalError('PROTOCOL_INVALID', 'no hello came; say hello first'));
    });
    this.#watch();
  }

  send(message: ServerMessage): void {
    if (!this.#socket.isOpen) return;
    const { bufferedAmount } = this.#socket;
    // What a neighbour makes wait here must not end the connection of who is slow to read it.
    if (message.type === 'signal' && bufferedAmount > MAX_SIGNAL_BACKLOG_BYTES) {
      this.#options.log.debug({ peer: this.#peer?.id, from: message.from }, 'signal dropped: too much waits');
      return;
    }
    if (bufferedAmount > MAX_CONTROL_BACKLOG_BYTES) {
      this.#closeReason = `${bufferedAmount} B wait for it, at most ${MAX_CONTROL_BACKLOG_BYTES} may`;
      this.#socket.terminate();
      return;
    }
    this.#socket.send(JSON.stringify(message));
  }

  close(code: number, reason: string): void {
    this.#peer = null;
    this.#timers.clear();
    if (this.#socket.isOpen) this.#socket.close(code, reason);
  }

  #receive(text: string | null): void {
    // After a fatal error the socket lives until its close is answered; nothing it says counts any more.
    if (!this.#socket.isOpen) return;
    this.#heard();
    try {
      if (!this.#bucket.take(this.#timers.now())) {
        throw new ShoalError(
          'OVERLOADED',
          `more than ${CONTROL_MESSAGES_PER_SECOND} messages a second; the message was dropped`,
        );
      }
      if (text === null)
        throw new ShoalError('PROTOCOL_INVALID', 'control messages are text, this one is binary');
      this.#handle(parsePeerMessage(text));
    } catch (thrown) {
      this.#offence(ShoalError.from(thrown));
    }
  }

  #handle(message: PeerMessage): void {
    const { mesh } = this.#options;
    if (message.type === 'signal' && !this.#signalBucket.take(this.#timers.now())) {
      throw new ShoalError(
        'OVERLOADED',
        `more than ${SIGNALS_PER_SECOND} signals a second; the signal was dropped`,
      );
    }
    if (this.#peer === null) {
      this.#hello(message);
      return;
    }
    switch (message.type) {
      case 'hello':
        throw new ShoalError('PROTOCOL_INVALID', 'a connection says hello once');
      case 'alive':
        return;
      case 'join':
        mesh.registry.join(this.#peer, message.capability);
        break;
    }
    mesh.handle(this.#peer, message);
  }

  #hello(message: PeerMessage): void {
    const { registry } = this.#options.mesh;
    if (message.type !== 'hello') {
      throw new ShoalError('PROTOCOL_INVALID', `'${message.type}' came before hello; say hello first`);
    }
    const { key, name } = message;
    const peer = registry.connect({ key, name, address: this.#address, connection: this });
    this.#peer = peer;
    this.send({
      type: 'welcome',
      version: CONTROL_VERSION,
      peer: peer.id,
      iceServers: [...this.#options.iceServers],
    });
    registry.welcomed(peer);
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
    if (this.#peer !== null) this.#options.mesh.registry.heard(this.#peer);
  }

  #watch(): void {
    this.#timers.after(CONTROL_PING_MS, () => {
      const silentMs = this.#timers.now() - this.#heardAt;
      if (silentMs >= CONTROL_DEAD_MS) {
        this.#closeReason = `nothing was heard for ${Math.round(silentMs / 1_000)} s`;
        this.#socket.terminate();
        return;
      }
      if (this.#socket.isOpen) this.#socket.ping();
      this.#watch();
    });
  }

  #closed(): void {
    this.#timers.clear();
    const peer = this.#peer;
    this.#peer = null;
    if (peer !== null) this.#options.mesh.registry.disconnect(peer, this, this.#closeReason);
  }
}
