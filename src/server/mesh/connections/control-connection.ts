/** One control connection, from the handshake to its close: what is refused, and when it counts as dead. */
import type { Logger } from 'pino';
import { ShoalError } from '../../../config/errors.ts';
import {
  CONTROL_DEAD_MS,
  CONTROL_PING_MS,
  HELLO_DEADLINE_MS,
  JOIN_REFUSAL_MS,
  MAX_CONTROL_BACKLOG_BYTES,
  MAX_PEER_NAME_CHARS,
  MAX_PROTOCOL_OFFENCES,
  MAX_SIGNAL_BACKLOG_BYTES,
  SPECTATOR_MS,
  TURN_CREDENTIAL_MS,
} from '../../../config/limits.ts';
import { oneLine } from '../../../config/one-line.ts';
import type { Secret } from '../../../config/secret.ts';
import { parsePeerMessage } from '../../../mesh/protocol/codec.ts';
import { CONTROL_VERSION, type PeerMessage, type ServerMessage } from '../../../mesh/protocol/control.ts';
import type { Timers } from '../../../mesh/timers.ts';
import { POLICY_VIOLATION, TRY_AGAIN_LATER } from '../../http/web-sockets.ts';
import { TimerGroup } from '../../timer-group.ts';
import type { Peer, PeerConnection } from '../peers/peer.ts';
import { CLOSE_NOT_JOINED, type Registry } from '../peers/registry.ts';
import { Allowance } from './allowance.ts';
import type { ControlSocket } from './control-socket.ts';
import { type IceOptions, iceForAnyone, iceForWorker } from './ice-offer.ts';
import { checkJoinKey } from './join-key.ts';
import type { Guest, Lobby } from './lobby.ts';

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

export interface ControlOptions extends IceOptions {
  readonly mesh: SignalingMesh;
  /** Absent: whoever reaches the server may join. */
  readonly joinKey?: Secret;
  readonly timers: Timers;
  readonly log: Logger;
}

export class ControlConnection implements PeerConnection, Guest {
  readonly address: string | null;
  readonly #socket: ControlSocket;
  readonly #options: ControlOptions;
  readonly #lobby: Lobby;
  readonly #timers: TimerGroup;
  readonly #allowance: Allowance;
  #peer: Peer | null = null;
  #offences = 0;
  #heardAt: number;
  #closeReason = 'the connection was closed';
  /** Nothing that it says counts any more. */
  #isRefused = false;
  #hasJoined = false;
  /** By the last `links`. */
  #hasLinks = false;
  /** It is told of ICE servers again before their credentials end. */
  #isIceTold = false;
  /** Of what is due while it has joined, or has not. */
  #cancelStage = () => {};

  /** @param address of one machine, or one household; null: not known */
  constructor(socket: ControlSocket, address: string | null, lobby: Lobby, options: ControlOptions) {
    this.#socket = socket;
    this.address = address;
    this.#lobby = lobby;
    this.#options = options;
    this.#timers = new TimerGroup(options.timers);
    this.#heardAt = this.#timers.now();
    this.#allowance = new Allowance(this.#heardAt);
    socket.listen({
      message: (text, bytes) => this.#receive(text, bytes),
      // ws itself closes with 1009 above maxPayload, before the message is in memory.
      failed: (error) => {
        this.#closeReason = error.message;
      },
      closed: () => this.#closed(),
    });
    this.#spectate();
    this.#timers.after(HELLO_DEADLINE_MS, () => {
      if (this.#peer === null && !this.#isRefused)
        this.#fatal(new ShoalError('PROTOCOL_INVALID', 'no hello came; say hello first'));
    });
    this.#watch();
  }

  send(message: ServerMessage): void {
    if (!this.#socket.isOpen) return;
    if (message.type === 'links') {
      this.#hasLinks = message.peers.length > 0;
      // A relay costs its owner traffic: it is for who has somebody to reach, not for whoever says that it joins.
      if (this.#hasLinks && !this.#isIceTold) this.#tellIce();
    }
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
    this.#lobby.leave(this);
    this.#timers.clear();
    if (this.#socket.isOpen) this.#socket.close(code, reason);
  }

  showOut(): void {
    this.#closeReason = 'it did not join, and others came';
    if (this.#socket.isOpen) this.#socket.close(CLOSE_NOT_JOINED, 'others wait to join');
  }

  #receive(text: string | null, bytes: number): void {
    // After a fatal error the socket lives until its close is answered.
    if (this.#isRefused || !this.#socket.isOpen) return;
    this.#heard();
    try {
      this.#allowance.take(this.#timers.now(), bytes);
      if (text === null)
        throw new ShoalError('PROTOCOL_INVALID', 'control messages are text, this one is binary');
      this.#handle(parsePeerMessage(text));
    } catch (thrown) {
      this.#offence(ShoalError.from(thrown));
    }
  }

  #handle(message: PeerMessage): void {
    const { mesh } = this.#options;
    this.#allowance.takeOf(this.#timers.now(), message.type);
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
        this.#join();
        break;
    }
    mesh.handle(this.#peer, message);
    if (this.#hasJoined && this.#peer?.state === 'connected') this.#spectate();
  }

  #join(): void {
    if (this.#hasJoined) return;
    this.#hasJoined = true;
    this.#lobby.leave(this);
    this.#cancelStage();
  }

  /** Until it joins, or joins again. */
  #spectate(): void {
    this.#hasJoined = false;
    this.#hasLinks = false;
    this.#isIceTold = false;
    this.#lobby.enter(this);
    this.#cancelStage();
    this.#cancelStage = this.#timers.after(SPECTATOR_MS, () => {
      this.#closeReason = 'it did not join';
      this.#socket.close(CLOSE_NOT_JOINED, 'no join came');
    });
  }

  /** Again before the credentials end, so that links may be made at any time. */
  #tellIce(): void {
    const { turn } = this.#options;
    this.#isIceTold = this.#peer !== null && this.#hasJoined && this.#hasLinks;
    if (!this.#isIceTold || this.#peer === null) return;
    const iceServers = iceForWorker(this.#options, this.#peer.id);
    if (iceServers !== null) this.send({ type: 'ice', iceServers });
    if (turn !== undefined)
      this.#cancelStage = this.#timers.after(TURN_CREDENTIAL_MS / 2, () => this.#tellIce());
  }

  #hello(message: PeerMessage): void {
    const { registry } = this.#options.mesh;
    if (message.type !== 'hello') {
      throw new ShoalError('PROTOCOL_INVALID', `'${message.type}' came before hello; say hello first`);
    }
    const { key, name, joinKey } = message;
    checkJoinKey(joinKey, this.#options.joinKey ?? null);
    const peer = registry.connect({
      key,
      // As everybody is shown it.
      name: oneLine(name, MAX_PEER_NAME_CHARS) || 'unnamed',
      address: this.address,
      connection: this,
    });
    this.#peer = peer;
    this.send({
      type: 'welcome',
      version: CONTROL_VERSION,
      peer: peer.id,
      iceServers: iceForAnyone(this.#options),
    });
    registry.welcomed(peer);
  }

  #offence(error: ShoalError): void {
    this.#offences++;
    const { log } = this.#options;
    if (error.code === 'INTERNAL')
      log.error({ peer: this.#peer?.id, err: error }, 'a message could not be handled');
    else log.warn({ peer: this.#peer?.id, code: error.code }, `message refused: ${error.message}`);
    if (error.code === 'UNAUTHORIZED') {
      this.#isRefused = true;
      this.#timers.after(JOIN_REFUSAL_MS, () => this.#fatal(error));
      return;
    }
    const isFatal =
      error.code === 'PROTOCOL_VERSION' || this.#peer === null || this.#offences >= MAX_PROTOCOL_OFFENCES;
    if (!isFatal) {
      this.send({ type: 'error', error: error.toWire(), fatal: false });
      return;
    }
    if (this.#peer !== null) this.#options.mesh.registry.offended(this.#peer, error.code);
    this.#fatal(error);
  }

  #fatal(error: ShoalError): void {
    this.#isRefused = true;
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
    this.#lobby.leave(this);
    const peer = this.#peer;
    this.#peer = null;
    if (peer !== null) this.#options.mesh.registry.disconnect(peer, this, this.#closeReason);
  }
}
