/** A peer as the server knows it; it outlives its sockets. */
import { WORKER_BACKOFF_MAX_MS, WORKER_BACKOFF_MIN_MS } from '../../config/limits.ts';
import type { Capability, PeerMessage, ServerMessage } from '../../mesh/protocol/control.ts';
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
  /** Gets no layers before this (the registry's clock). */
  excludedUntil = 0;
  /** Until then it gets layers only where the others cannot serve without it. */
  suspectedUntil = 0;
  /** Failures that it may be to blame for, since it last served. */
  suspicions = 0;
  #loadFailures = 0;
  #servingFailures = 0;

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

  /** Keeps layers away for a while that doubles with every failure. @returns the while, in ms */
  exclude(now: number, problem: string, wasLoading: boolean): number {
    const failures = this.#loadFailures + this.#servingFailures;
    const backoffMs = Math.min(WORKER_BACKOFF_MIN_MS * 2 ** failures, WORKER_BACKOFF_MAX_MS);
    if (wasLoading) this.#loadFailures++;
    else this.#servingFailures++;
    this.excludedUntil = now + backoffMs;
    this.problem = problem;
    return backoffMs;
  }

  /** Its load succeeded, which ends the doubling for loads that failed. */
  loaded(): void {
    this.#loadFailures = 0;
    this.excludedUntil = 0;
    this.problem = null;
  }

  /** A token came out of its pipeline: only this ends the doubling for failures while serving. */
  served(): void {
    this.#servingFailures = 0;
    this.suspicions = 0;
  }
}
