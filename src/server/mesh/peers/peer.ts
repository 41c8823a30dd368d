/** A peer as the server knows it; it outlives its sockets. */
import type { Capability, PeerMessage, ServerMessage } from '../../../mesh/protocol/control.ts';
import { checkTransition, type WorkerState } from './worker-state.ts';

/** The way to one peer; signaling implements it over a WebSocket. */
export interface PeerConnection {
  /** Never throws; a message to a closed connection is lost, and the loss is reported by its close. */
  send(message: ServerMessage): void;
  /** Ends it; nothing that still comes over it counts. */
  close(code: number, reason: string): void;
}

export type PeerStats = Extract<PeerMessage, { type: 'stats' }>;

/** What is said to a peer that is away is lost: when it returns, both sides tell each other how they stand. */
export const NO_CONNECTION: PeerConnection = { send() {}, close() {} };

export class Peer {
  readonly id: string;
  /** Of the machine, or household, that it connected from last; null where that is not known. */
  address: string | null = null;
  /** As it calls itself, for people. */
  name: string;
  /** The present one, or NO_CONNECTION. */
  connection: PeerConnection;
  /** When its page's own code was heard last (the registry's clock, ms). */
  heardAt = 0;
  #state: WorkerState = 'connected';
  /** Set while the peer lends its device. */
  capability: Capability | null = null;
  stats: PeerStats | null = null;
  /** Taken from the network for its shards since it connected. */
  downloadedBytes = 0;
  /** Why the worker holds nothing, for people. */
  problem: string | null = null;
  /** Gets no layers before this (the registry's clock), for people; `Health` judges. */
  excludedUntil = 0;

  constructor(id: string, name: string, connection: PeerConnection) {
    this.id = id;
    this.name = name;
    this.connection = connection;
  }

  get state(): WorkerState {
    return this.#state;
  }

  /** @throws INTERNAL when the transition is not in the table */
  moveTo(state: WorkerState): void {
    checkTransition(this.#state, state);
    this.#state = state;
  }

  /** Whether it may be given layers. */
  get isWorker(): boolean {
    return this.#state === 'joined' || this.#state === 'loading' || this.#state === 'serving';
  }

  /** A worker that may return: what it holds counts as held, and nothing new begins on it. */
  get isAway(): boolean {
    return this.#state === 'away';
  }
}
