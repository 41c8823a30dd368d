import { ShoalError } from '../../config/errors.ts';
import {
  IDLE_DRAIN_MS,
  RECONNECT_MAX_MS,
  RECONNECT_RUNNING_MAX_MS,
  WORKER_DRAIN_MS,
} from '../../config/limits.ts';
import { PeerConnector } from '../../mesh/peer-connector.ts';
import type { Capability, PeerMessage, ServerMessage } from '../../mesh/protocol/control.ts';
import { SignalingClient, type Welcome } from '../../mesh/signaling-client.ts';
import type { Detected, WorkerEvent, WorkerReport } from '../worker-api.ts';
import { Drain } from './drain.ts';
import { runningMessages } from './running-messages.ts';
import type { MeshTabOptions, TabEvent } from './tab-event.ts';
import { TabShards } from './tab-shards.ts';
import { WantedLinks } from './wanted-links.ts';

export type { TabEvent } from './tab-event.ts';

/**
 * The main thread's part of a worker: joins the control connection, the making of links, and the Web Worker. It computes nothing,
 * no frame passes through it, and it decides nothing: what the server wants goes to the worker in order, what the worker says to
 * the server.
 *
 * A connection may go at any time; the peer stays. After every `welcome` the worker reports what it has, and that is what the
 * server is told first: what the worker said before is in the report, or is asked for again.
 */
export class MeshTab {
  readonly #options: MeshTabOptions;
  readonly #signaling: SignalingClient;
  readonly #shards = new TabShards();
  /** Open on this worker, as far as was heard. */
  readonly #running = new Set<number>();
  #capability: Capability | null = null;
  #peer: string | null = null;
  #connector: PeerConnector | null = null;
  #links: WantedLinks | null = null;
  /** The report that is awaited before the server is told anything else; null: it has been told, or is away. */
  #awaited: number | null = null;
  #reports = 0;
  #isConnected = false;
  #isJoined = false;
  /** The first `join` was sent, and nothing has followed: an error of the server is its answer. */
  #isFirstJoinOpen = true;
  #drain: Drain | null = null;
  #isClosed = false;

  constructor(options: MeshTabOptions) {
    this.#options = options;
    const { environment, serverUrl, name, joinKey } = options;
    const url = new URL('/signal', serverUrl);
    url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
    this.#signaling = new SignalingClient({
      url: url.href,
      name,
      key: environment.drawKey(),
      ...(joinKey !== undefined && { joinKey }),
      openSocket: environment.openSocket,
      timers: environment.timers,
      random: environment.random,
      maxBackoffMs: () => (this.#running.size > 0 ? RECONNECT_RUNNING_MAX_MS : RECONNECT_MAX_MS),
      onState: (state) => this.#connectionChanged(state === 'ready'),
      onWelcome: (welcome) => this.#welcomed(welcome),
      onMessage: (message) => this.#serverSaid(message),
      onError: (error) => this.#tell(this.#isRefused ? { type: 'failed', error } : { type: 'notice', error }),
    });
  }

  /** Finds the device. Nothing is connected before `connect`. */
  async detect(): Promise<Detected> {
    const { worker, memoryBudgetBytes, serverUrl } = this.#options;
    const detected = await worker.detect({ memoryBudgetBytes, serverUrl });
    if (detected.ok) this.#capability = detected.capability;
    return detected;
  }

  /** Offers the device to the server, and goes on until `close`. */
  connect(): void {
    this.#signaling.connect();
  }

  /**
   * Lets what runs here move to others, and the server see to it that others hold what this one does. Resolves when it has, after
   * WORKER_DRAIN_MS (IDLE_DRAIN_MS where nothing runs), or at once where there is nothing to move; then `close`. A second call
   * ends the wait.
   */
  async drain(reason: string): Promise<void> {
    if (this.#drain !== null) {
      this.#drain.end();
      return;
    }
    const runs = this.#running.size > 0;
    if (this.#isClosed || !(runs || (this.#isJoined && this.#shards.all.length > 0))) return;
    const withinMs = runs ? WORKER_DRAIN_MS : IDLE_DRAIN_MS;
    this.#drain = new Drain(reason, withinMs, this.#options.environment.timers);
    this.#sayDrain();
    await this.#drain.ended;
  }

  /** Says goodbye, where there is a server, and ends everything but the worker, which is whoever made it's to end. */
  close(reason: string): void {
    if (this.#isClosed) return;
    this.#sayLeave(reason);
    this.#isClosed = true;
    this.#drain?.end();
    this.#links?.close();
    this.#connector?.close();
    this.#signaling.close();
  }

  // — server ———————————————————————————————————————————————————————————————————————————————————

  get #isRefused(): boolean {
    return this.#signaling.state === 'refused';
  }

  #connectionChanged(isConnected: boolean): void {
    if (this.#isClosed || isConnected === this.#isConnected) return;
    this.#isConnected = isConnected;
    if (!isConnected) {
      this.#isJoined = false;
      this.#awaited = null;
      this.#links?.paused();
    }
    this.#options.worker.server(isConnected);
    this.#tell({ type: 'connection', isConnected });
  }

  #welcomed({ peer, iceServers }: Welcome): void {
    if (this.#peer !== null && this.#peer !== peer) this.#startAnew();
    this.#peer = peer;
    if (this.#connector === null) this.#makeLinks(peer);
    this.#useIceServers(iceServers);
    this.#askReport();
    this.#tell({ type: 'welcomed', peer });
  }

  /** A server to which the same key is another peer: nothing of the old one can be used. */
  #startAnew(): void {
    this.#links?.close();
    this.#connector?.close();
    this.#connector = null;
    this.#options.worker.endSession();
    this.#forgetAll();
  }

  #makeLinks(self: string): void {
    const { worker, environment } = this.#options;
    const { timers, openPeer } = environment;
    const connector = new PeerConnector({
      self,
      iceServers: [],
      sendSignal: (to, attempt, data) => {
        if (this.#links?.isServed) this.#send({ type: 'signal', to, attempt, data });
      },
      deliver: (peer, attempt, end) => worker.accept(peer, attempt, end),
      onFailed: (peer, reason) => this.#links?.failed(peer, reason),
      onEnded: (peer, attempt) => this.#links?.fell(peer, attempt),
      timers,
      ...(openPeer === undefined ? {} : { open: openPeer }),
    });
    this.#connector = connector;
    this.#links = new WantedLinks({
      connector,
      timers,
      dropLink: (peer) => worker.dropLink(peer),
      onKept: (peer) => worker.tellLink(peer),
      onDown: (peer, reason) => this.#send({ type: 'link', peer, state: 'down', error: reason.toWire() }),
    });
  }

  #useIceServers(iceServers: Welcome['iceServers']): void {
    // The schema's optional keys may be undefined, lib.dom's may not.
    if (this.#connector !== null) this.#connector.iceServers = JSON.parse(JSON.stringify(iceServers));
  }

  #serverSaid(message: Exclude<ServerMessage, Welcome>): void {
    switch (message.type) {
      case 'hold':
      case 'drop':
      case 'open':
      case 'resume':
      case 'prompt':
      case 'retell':
      case 'close':
        this.#isFirstJoinOpen = false;
        if (message.type === 'open') this.#running.add(message.sequence);
        if (message.type === 'close') this.#ended(message.sequence);
        this.#options.worker.command(message);
        if (this.#shards.asked(message)) this.#showShards();
        return;
      case 'ice':
        this.#isFirstJoinOpen = false;
        this.#useIceServers(message.iceServers);
        return;
      case 'links':
        this.#isFirstJoinOpen = false;
        this.#links?.want(message.peers.map(({ peer }) => peer).filter((peer) => peer !== this.#peer));
        return;
      case 'signal':
        try {
          this.#connector?.signal(message.from, message.attempt, message.data);
        } catch (thrown) {
          this.#options.environment.warn(`a signal of ${message.from} was refused: ${thrown}`);
        }
        return;
      case 'released':
        this.#drain?.end();
        return;
      case 'error':
        this.#wasRefused(message);
        return;
      default:
        message satisfies never;
    }
  }

  #wasRefused({ error, fatal }: Extract<ServerMessage, { type: 'error' }>): void {
    if (this.#isJoined && this.#isFirstJoinOpen) {
      this.#tell({ type: 'failed', error: ShoalError.from(error) });
    } else if (fatal) this.#tell({ type: 'refused', error });
    else this.#options.environment.warn(`the server: ${error.code}: ${error.message}`);
  }

  // — worker ———————————————————————————————————————————————————————————————————————————————————

  /** Events of the worker, in order. */
  told(event: WorkerEvent): void {
    if (this.#isClosed) return;
    switch (event.type) {
      case 'send':
        this.#workerSaid(event.message);
        return;
      case 'report':
        if (event.id === this.#awaited) this.#join(event);
        return;
      case 'usage':
        this.#tell(event);
        return;
      case 'link-lost':
        this.#links?.fell(event.peer, event.attempt);
        return;
      case 'device-lost':
        this.#capability = null;
        this.#sayLeave(event.error.message);
        this.#isJoined = false;
        this.#awaited = null;
        this.#tell(event);
        this.#forgetAll();
        return;
      case 'device-found':
        this.#capability = event.capability;
        this.#askReport();
        this.#tell({ type: 'device', capability: event.capability });
        return;
      case 'device-failed':
        this.#tell({ type: 'failed', error: ShoalError.from(event.error) });
        return;
      default:
        event satisfies never;
    }
  }

  #workerSaid(message: PeerMessage): void {
    if (message.type === 'load-failed') this.#tell({ type: 'load-failed', error: message.error });
    if (message.type === 'sequence-failed') this.#ended(message.sequence);
    if (this.#shards.told(message)) this.#showShards();
    if (this.#isJoined) this.#send(message);
  }

  #askReport(): void {
    if (this.#capability === null || this.#signaling.state !== 'ready') return;
    this.#isJoined = false;
    this.#awaited = ++this.#reports;
    this.#options.worker.report(this.#awaited);
  }

  #join({ held, links, running }: WorkerReport): void {
    if (this.#capability === null) return;
    this.#awaited = null;
    this.#isJoined = true;
    this.#send({ type: 'join', capability: this.#capability, held: [...held], links: [...links] });
    for (const message of runningMessages(running)) this.#send(message);
    this.#running.clear();
    for (const { sequence } of running) this.#running.add(sequence);
    if (this.#shards.reported(held)) this.#showShards();
    if (this.#drain !== null) this.#sayDrain();
  }

  #sayDrain(): void {
    if (this.#drain === null) return;
    if (this.#isJoined) this.#send({ type: 'drain', reason: this.#drain.reason });
    this.#tell({ type: 'draining', sequences: this.#running.size });
  }

  #ended(sequence: number): void {
    if (!this.#running.delete(sequence) || this.#drain === null) return;
    this.#tell({ type: 'draining', sequences: this.#running.size });
  }

  #forgetAll(): void {
    this.#running.clear();
    this.#shards.clear();
    this.#drain?.end();
    this.#showShards();
  }

  #showShards(): void {
    const { all, downloadedBytes } = this.#shards;
    this.#tell({ type: 'shards', shards: all, downloadedBytes });
  }

  #sayLeave(reason: string): void {
    if (this.#signaling.state === 'ready') this.#send({ type: 'leave', reason: reason.slice(0, 200) });
  }

  #send(message: PeerMessage): void {
    try {
      this.#signaling.send(message);
    } catch (thrown) {
      this.#tell({ type: 'notice', error: ShoalError.from(thrown) });
    }
  }

  #tell(event: TabEvent): void {
    if (!this.#isClosed) this.#options.on(event);
  }
}
