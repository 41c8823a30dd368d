/** Who is connected, who is expected back, and what they lend. */
import type { Logger } from 'pino';
import { type ErrorCode, ShoalError } from '../../../config/errors.ts';
import { ALL_RETURN_MS, MAX_WORKERS, PEER_RETURN_MS } from '../../../config/limits.ts';
import type { Capability } from '../../../mesh/protocol/control.ts';
import type { Timers } from '../../../mesh/timers.ts';
import { TRY_AGAIN_LATER } from '../../http/web-sockets.ts';
import { TimerGroup } from '../../timer-group.ts';
import { NO_CONNECTION, Peer, type PeerConnection } from './peer.ts';
import { identityOf } from './peer-id.ts';

/** WebSocket close codes of this protocol (RFC 6455 §7.4.2: private use). */
export const CLOSE_REPLACED = 4001;
/** It was there for long enough to join, or others need its place who will. */
export const CLOSE_NOT_JOINED = 4002;

export interface Arrival {
  readonly key: string;
  readonly name: string;
  /** Of one machine, or one household; null: not known. */
  readonly address: string | null;
  readonly connection: PeerConnection;
}

/** What becomes of peers; each is told after the peer's state has changed. */
export interface PeerWatcher {
  /** Said hello for the first time, and was welcomed. It lends nothing yet. */
  connected?(peer: Peer): void;
  /** A worker's socket closed, or another has taken its place. What is sent to it from here on is lost. */
  away?(peer: Peer, reason: string): void;
  /** It was away and was welcomed again; it stays `away` until its `join` says what it holds. */
  returned?(peer: Peer): void;
  /** It did not return in time, or lent nothing when its socket closed. It will not be this object again. */
  gone?(peer: Peer, reason: string): void;
  /** Its page's own code said something. */
  heard?(peer: Peer): void;
  /** Its connection is closed for what it sent; `away` or `gone` follows. */
  offended?(peer: Peer, code: ErrorCode): void;
}

export interface RegistryOptions {
  readonly timers: Timers;
  readonly log: Logger;
}

interface Entry {
  readonly peer: Peer;
  readonly digest: string;
  /** Of a peer that is away. */
  cancelReturn: () => void;
}

export class Registry {
  readonly #options: RegistryOptions;
  readonly #timers: TimerGroup;
  readonly #entries = new Map<string, Entry>();
  /** Of them, workers, those that are away included. */
  readonly #lending = new Set<Entry>();
  readonly #watchers: PeerWatcher[] = [];
  /** Made anew where it is another: asked for at every change of the mesh. */
  #workers: readonly Peer[] | null = null;
  readonly #away = new Set<Peer>();
  #isClosed = false;

  constructor(options: RegistryOptions) {
    this.#options = options;
    this.#timers = new TimerGroup(options.timers);
  }

  watch(watcher: PeerWatcher): void {
    this.#watchers.push(watcher);
  }

  /**
   * A connection has said hello. The peer whose key it has gets it, in place of the connection that it had; watchers are
   * told by `welcomed`.
   * @throws PROTOCOL_INVALID for another key whose id is the same
   */
  connect({ key, name, address, connection }: Arrival): Peer {
    const { id, digest } = identityOf(key);
    const known = this.#entries.get(id);
    if (known === undefined) {
      const peer = new Peer(id, name, connection);
      peer.address = address;
      peer.heardAt = this.#timers.now();
      this.#entries.set(id, { peer, digest, cancelReturn: () => {} });
      return peer;
    }
    if (known.digest !== digest) {
      throw new ShoalError('PROTOCOL_INVALID', `another peer is ${id}; draw another key`);
    }
    const { peer } = known;
    const replaced = peer.connection;
    if (peer.isWorker) this.#goAway(known, 'another connection has its key');
    peer.connection = connection;
    peer.name = name;
    peer.address = address;
    peer.heardAt = this.#timers.now();
    replaced.close(CLOSE_REPLACED, 'replaced');
    return peer;
  }

  /** Its `welcome` is sent. */
  welcomed(peer: Peer): void {
    const { log } = this.#options;
    const event = peer.isAway ? 'returned' : 'connected';
    log.info({ peer: peer.id, worker: peer.name }, `peer ${event}`);
    for (const watcher of this.#watchers) watcher[event]?.(peer);
  }

  /** Something came from its page's own code. */
  heard(peer: Peer): void {
    peer.heardAt = this.#timers.now();
    for (const watcher of this.#watchers) watcher.heard?.(peer);
  }

  /**
   * It offers its device, for the first time or anew.
   * @throws OVERLOADED at MAX_WORKERS
   */
  join(peer: Peer, capability: Capability): void {
    const entry = this.#entries.get(peer.id);
    if (entry === undefined) return;
    if (!this.#lending.has(entry)) this.#makeRoom(peer);
    peer.capability = capability;
    if (peer.isWorker) return;
    entry.cancelReturn();
    this.#lending.add(entry);
    this.#away.delete(peer);
    peer.moveTo('joined');
    this.#workers = null;
  }

  /** Its connection is about to be closed for this. */
  offended(peer: Peer, code: ErrorCode): void {
    for (const watcher of this.#watchers) watcher.offended?.(peer, code);
  }

  /** It lends nothing any more, and stays as a spectator. @returns whether it had lent anything */
  leave(peer: Peer): boolean {
    const entry = this.#entries.get(peer.id);
    if (entry === undefined || !this.#lending.delete(entry)) return false;
    entry.cancelReturn();
    this.#away.delete(peer);
    this.#workers = null;
    peer.moveTo('leaving');
    peer.capability = null;
    peer.stats = null;
    peer.moveTo('connected');
    return true;
  }

  /** The connection has closed. One that was replaced means nothing any more. */
  disconnect(peer: Peer, connection: PeerConnection, reason: string): void {
    const entry = this.#entries.get(peer.id);
    if (entry === undefined || peer.connection !== connection) return;
    peer.connection = NO_CONNECTION;
    if (this.#isClosed) this.#remove(entry, reason);
    else if (peer.isWorker) this.#goAway(entry, reason);
    else if (!peer.isAway) this.#remove(entry, reason);
  }

  get(id: string): Peer | undefined {
    return this.#entries.get(id)?.peer;
  }

  /** In the order of their coming. */
  all(): readonly Peer[] {
    return [...this.#entries.values()].map(({ peer }) => peer);
  }

  /** Those that may be given layers. */
  workers(): readonly Peer[] {
    this.#workers ??= this.all().filter((peer) => peer.isWorker);
    return this.#workers;
  }

  /** Of workers, those that are away included. */
  get count(): number {
    return this.#lending.size;
  }

  /** Those that may return. */
  away(): readonly Peer[] {
    return [...this.#away];
  }

  /** Nobody is expected back any more. */
  close(): void {
    this.#isClosed = true;
    this.#timers.clear();
  }

  /**
   * At MAX_WORKERS an idle worker of the address that has most of them gives way to one of an address that has fewer.
   * @throws OVERLOADED where there is none
   */
  #makeRoom({ address }: Peer): void {
    if (this.#lending.size < MAX_WORKERS) return;
    const idle = new Map<string | null, Entry[]>();
    for (const entry of this.#lending) {
      const { state, address: from } = entry.peer;
      if (state !== 'joined') continue;
      const there = idle.get(from);
      if (there === undefined) idle.set(from, [entry]);
      else there.push(entry);
    }
    const own = idle.get(address)?.length ?? 0;
    const crowded = [...idle.values()].reduce((most, some) => (some.length > most.length ? some : most), []);
    const newest = crowded.at(-1);
    const error = new ShoalError(
      'OVERLOADED',
      `${this.#lending.size} workers have joined, and the server takes ${MAX_WORKERS}; try again when one has left`,
    );
    if (newest === undefined || crowded.length <= own + 1) throw error;
    newest.peer.connection.send({ type: 'error', error: error.toWire(), fatal: true });
    newest.peer.connection.close(TRY_AGAIN_LATER, error.code);
    this.#remove(newest, 'it gave way to a worker from elsewhere');
  }

  #goAway(entry: Entry, reason: string): void {
    const { peer } = entry;
    peer.moveTo('away');
    this.#away.add(peer);
    this.#workers = null;
    this.#options.log.info(
      { peer: peer.id, worker: peer.name },
      `peer away, ${PEER_RETURN_MS / 1_000} s to return: ${reason}`,
    );
    this.#await(entry, PEER_RETURN_MS, () => {
      const isAlone = this.#lending.size === 1 || this.workers().length > 0;
      if (isAlone) this.#notBack(entry, reason);
      else this.#await(entry, ALL_RETURN_MS - PEER_RETURN_MS, () => this.#notBack(entry, reason));
    });
    for (const watcher of this.#watchers) watcher.away?.(peer, reason);
  }

  #await(entry: Entry, ms: number, late: () => void): void {
    entry.cancelReturn = this.#timers.after(ms, late);
  }

  #notBack(entry: Entry, reason: string): void {
    // Came back, and never said what it holds.
    entry.peer.connection.close(CLOSE_NOT_JOINED, 'no join came');
    this.#remove(entry, reason);
  }

  #remove(entry: Entry, reason: string): void {
    const { peer } = entry;
    this.#lending.delete(entry);
    peer.connection = NO_CONNECTION;
    peer.moveTo('gone');
    this.#away.delete(peer);
    this.#workers = null;
    this.#entries.delete(peer.id);
    this.#options.log.info({ peer: peer.id, worker: peer.name }, `peer gone: ${reason}`);
    for (const watcher of this.#watchers) watcher.gone?.(peer, reason);
  }
}
