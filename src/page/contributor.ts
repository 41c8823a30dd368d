import { ShoalError } from '../config/errors.ts';
import { LINK_LINGER_MS } from '../config/limits.ts';
import { PeerConnector } from '../mesh/peer-connector.ts';
import type { Capability, PeerMessage, ServerMessage } from '../mesh/protocol/control.ts';
import type { ConnectionState } from '../mesh/server-connection.ts';
import { SignalingClient, type Welcome } from '../mesh/signaling-client.ts';
import { layersText } from '../model/shard.ts';
import { neighboursOf } from '../worker/neighbours.ts';
import type { WorkerEvent } from '../worker/worker-api.ts';
import { browserEnvironment, type ContributorEnvironment } from './contributor-environment.ts';
import {
  type ContributorHandle,
  type ContributorOptions,
  type ContributorPhase,
  type ContributorState,
  checkTransition,
  IDLE,
} from './contributor-state.ts';
import { WorkerHandle } from './worker-handle.ts';

type AssignMessage = Extract<ServerMessage, { type: 'assign' }>;
type LoadProgress = Extract<PeerMessage, { type: 'load-progress' }>;

/** How long `leave` waits for the worker to free the GPU before it is ended anyway. */
const STOP_MS = 1_000;

const LOADING_PHASE: Record<LoadProgress['phase'], ContributorPhase> = {
  download: 'downloading',
  verify: 'verifying',
  compile: 'compiling',
  connect: 'linking',
};

interface Held {
  readonly message: AssignMessage;
  readonly neighbours: ReadonlySet<string>;
  phase: ContributorPhase;
  progress: ContributorState['progress'];
}

/**
 * The main thread's part of a contribution: joins the control WebSocket, the WebRTC set-up and the Web Worker, and
 * tells the page where things stand. It computes nothing and no frame passes through it.
 */
export class Contributor implements ContributorHandle {
  readonly #options: ContributorOptions;
  readonly #environment: ContributorEnvironment;
  readonly #listeners = new Set<(state: ContributorState) => void>();
  readonly #held = new Map<number, Held>();
  #state: ContributorState = IDLE;
  #worker: WorkerHandle | null = null;
  #signaling: SignalingClient | null = null;
  #connector: PeerConnector | null = null;
  #capability: Capability | null = null;
  /** A `join` was sent and no assignment has followed: an error of the server is its answer. */
  #joinUnanswered = false;
  /** Ends the running `join`: the server answered, or the contribution is over. */
  #joined: (() => void) | null = null;
  #release: (() => void)[] = [];

  constructor(options: ContributorOptions, environment: ContributorEnvironment = browserEnvironment()) {
    this.#options = options;
    this.#environment = environment;
  }

  get state(): ContributorState {
    return this.#state;
  }

  subscribe(listener: (state: ContributorState) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async join(): Promise<void> {
    if (this.#state.phase !== 'idle' && this.#state.phase !== 'failed') return;
    this.#state = IDLE;
    this.#set({ phase: 'detecting', detail: 'Looking for a GPU.' });
    if (!this.#environment.isSecureContext) {
      this.#fail(
        new ShoalError(
          'NO_SECURE_CONTEXT',
          'browsers offer WebGPU only on https pages and on localhost; open this page over https, or start the server with --tls-self-signed',
        ),
      );
      return;
    }
    const worker = new WorkerHandle(
      this.#options.createWorker(),
      (event) => this.#workerTold(event),
      (error) => this.#fail(error),
    );
    this.#worker = worker;
    const joined = new Promise<null>((resolve) => {
      this.#joined = () => resolve(null);
    });
    const { memoryBudgetBytes, serverUrl } = this.#options;
    const detected = await Promise.race([worker.api.detect({ memoryBudgetBytes, serverUrl }), joined]);
    // Leave was pressed, or the worker crashed, while the device was looked for.
    if (this.#worker !== worker || detected === null || this.#state.phase !== 'detecting') return;
    if (!detected.ok) {
      this.#fail(ShoalError.from(detected.error));
      return;
    }
    this.#capability = detected.capability;
    this.#release = [this.#environment.onPageHide(() => this.close()), this.#environment.holdAwake()];
    this.#set({
      phase: 'connecting',
      detail: 'Connecting to the server.',
      adapter: detected.capability.adapter,
    });
    this.#connect();
    await joined;
  }

  async leave(): Promise<void> {
    if (this.#state.phase === 'idle' || this.#state.phase === 'leaving') return;
    this.#set({ phase: 'leaving', detail: 'Leaving.' });
    this.#joined?.();
    this.#sayLeave('left by the user');
    const worker = this.#worker;
    if (worker !== null) {
      const { timers } = this.#environment;
      await Promise.race([
        worker.api.stop(),
        new Promise<void>((resolve) => timers.after(STOP_MS, resolve)),
      ]).catch(() => {});
    }
    this.#tearDown();
    this.#toIdle();
  }

  close(): void {
    if (this.#state.phase === 'idle') return;
    this.#sayLeave('the page was closed');
    this.#tearDown();
    this.#set({ phase: 'leaving', detail: 'Leaving.' });
    this.#toIdle();
  }

  // — server ———————————————————————————————————————————————————————————————————————————————————

  #connect(): void {
    const url = new URL('/signal', this.#options.serverUrl);
    url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
    this.#signaling = new SignalingClient({
      url: url.href,
      name: this.#options.name,
      openSocket: this.#environment.openSocket,
      timers: this.#environment.timers,
      random: this.#environment.random,
      onState: (state) => this.#signalingChanged(state),
      onWelcome: (welcome) => this.#welcomed(welcome),
      onMessage: (message) => this.#serverSaid(message),
      onError: (error) => {
        if (this.#signaling?.state === 'refused') this.#fail(error);
        else this.#set({ detail: error.message });
      },
    });
    this.#signaling.connect();
  }

  #signalingChanged(state: ConnectionState): void {
    const connected = state === 'ready';
    if (connected === this.#state.connected) return;
    this.#set({ connected });
    this.#showPhase();
  }

  #welcomed(welcome: Welcome): void {
    const isNewSession = this.#connector !== null;
    if (isNewSession) {
      this.#connector?.close();
      this.#held.clear();
      void this.#worker?.api.endSession();
    }
    this.#connector = this.#makeConnector(welcome);
    this.#set({ peer: welcome.peer });
    if (this.#capability !== null) this.#offer(this.#capability);
    this.#showPhase();
    this.#joined?.();
    this.#joined = null;
  }

  #offer(capability: Capability): void {
    this.#joinUnanswered = true;
    this.#send({ type: 'join', capability });
  }

  #makeConnector(welcome: Welcome): PeerConnector {
    const { openPeer } = this.#environment;
    return new PeerConnector({
      self: welcome.peer,
      // The schema's optional keys may be undefined, lib.dom's may not.
      iceServers: JSON.parse(JSON.stringify(welcome.iceServers)) as RTCIceServer[],
      sendSignal: (to, attempt, data) => this.#send({ type: 'signal', to, attempt, data }),
      deliver: (peer, attempt, end) => this.#worker?.accept(peer, attempt, end),
      onFailed: (peer, reason) => void this.#worker?.api.linkFailed(peer, reason.toWire()),
      timers: this.#environment.timers,
      ...(openPeer === undefined ? {} : { open: openPeer }),
    });
  }

  #serverSaid(message: Exclude<ServerMessage, Welcome>): void {
    switch (message.type) {
      case 'assign':
        this.#assigned(message);
        return;
      case 'unassign':
        void this.#worker?.api.command(message);
        this.#forget(message.epoch);
        return;
      case 'open':
      case 'prompt':
      case 'close':
        void this.#worker?.api.command(message);
        return;
      case 'signal':
        try {
          this.#connector?.signal(message.from, message.attempt, message.data);
        } catch (thrown) {
          console.warn(`a signal of ${message.from} was refused: ${thrown}`);
        }
        return;
      case 'error':
        if (this.#joinUnanswered) this.#fail(ShoalError.from(message.error));
        else if (message.fatal) this.#set({ error: message.error });
        else console.warn(`the server: ${message.error.code}: ${message.error.message}`);
        return;
      default:
        message satisfies never;
    }
  }

  #assigned(message: AssignMessage): void {
    this.#joinUnanswered = false;
    const peers = message.stages.map((stage) => stage.peer);
    const neighbours = neighboursOf(peers, message.index);
    this.#held.set(message.epoch, { message, neighbours, phase: 'downloading', progress: undefined });
    void this.#worker?.api.command(message);
    for (const peer of neighbours) if (peer !== peers[message.index]) this.#connector?.connect(peer);
    this.#showPhase();
  }

  /** Links that nothing needs any more go a while later: the next assignment often names the same peers. */
  #forget(epoch: number): void {
    const held = this.#held.get(epoch);
    if (held === undefined) return;
    this.#held.delete(epoch);
    const connector = this.#connector;
    this.#environment.timers.after(LINK_LINGER_MS, () => {
      for (const peer of held.neighbours) if (!this.#needs(peer)) connector?.drop(peer);
    });
    this.#showPhase();
  }

  #needs(peer: string): boolean {
    for (const held of this.#held.values()) if (held.neighbours.has(peer)) return true;
    return false;
  }

  // — worker ———————————————————————————————————————————————————————————————————————————————————

  #workerTold(event: WorkerEvent): void {
    if (this.#state.phase === 'leaving') return;
    switch (event.type) {
      case 'send':
        this.#follow(event.message);
        this.#send(event.message);
        return;
      case 'usage': {
        const { tokensPerSecond, tokens, gpuBytes } = event;
        this.#set({ tokensPerSecond, tokens, gpuBytes });
        return;
      }
      case 'link-lost':
        this.#connector?.drop(event.peer, event.attempt);
        if (this.#needs(event.peer)) this.#connector?.connect(event.peer);
        return;
      case 'device-lost':
        this.#held.clear();
        this.#capability = null;
        this.#sayLeave(event.error.message.slice(0, 200));
        this.#set({
          phase: 'detecting',
          detail: 'The GPU was lost; looking for it again.',
          error: event.error,
        });
        return;
      case 'device-found':
        this.#capability = event.capability;
        this.#set({ adapter: event.capability.adapter, error: undefined });
        if (this.#signaling?.state === 'ready') this.#offer(event.capability);
        this.#showPhase();
        return;
      case 'device-failed':
        this.#fail(ShoalError.from(event.error));
        return;
      default:
        event satisfies never;
    }
  }

  /** What the worker tells the server tells the page, too. */
  #follow(message: PeerMessage): void {
    if (!('epoch' in message)) return;
    const held = this.#held.get(message.epoch);
    if (held === undefined) return;
    switch (message.type) {
      case 'load-progress': {
        const { phase, bytesDone, bytesTotal } = message;
        held.phase = LOADING_PHASE[phase];
        held.progress = { phase, bytesDone, bytesTotal };
        break;
      }
      case 'ready':
        held.phase = 'serving';
        held.progress = undefined;
        this.#set({
          downloadedBytes: this.#state.downloadedBytes + message.downloadedBytes,
          gpuBytes: message.gpuBytes,
          error: undefined,
        });
        break;
      case 'load-failed':
        this.#set({ error: message.error });
        this.#forget(message.epoch);
        break;
      default:
        return;
    }
    this.#showPhase();
  }

  #send(message: PeerMessage): void {
    try {
      this.#signaling?.send(message);
    } catch (thrown) {
      this.#set({ error: ShoalError.from(thrown).toWire() });
    }
  }

  // — state ————————————————————————————————————————————————————————————————————————————————————

  /** Shows what the assignments add up to. */
  #showPhase(): void {
    const { phase, connected } = this.#state;
    if (phase === 'idle' || phase === 'failed' || phase === 'leaving') return;
    // A lost device: the worker says when there is another.
    if (this.#capability === null) return;
    const all = [...this.#held.values()];
    const shown = all.findLast((held) => held.phase === 'serving') ?? all.at(-1);
    const loading = all.findLast((held) => held.phase !== 'serving');
    this.#set({
      phase: shown?.phase ?? (connected ? 'waiting' : 'connecting'),
      detail: describe(shown, connected),
      shard: shown?.message.stages[shown.message.index]?.shard,
      stages: shown?.message.stages,
      progress: loading?.progress,
      ...(shown === undefined ? { gpuBytes: 0, tokensPerSecond: 0 } : {}),
    });
  }

  #set(change: { [Key in keyof ContributorState]?: ContributorState[Key] | undefined }): void {
    if (change.phase !== undefined) checkTransition(this.#state.phase, change.phase);
    const entries = Object.entries({ ...this.#state, ...change }).filter(([, value]) => value !== undefined);
    this.#replace(Object.fromEntries(entries) as unknown as ContributorState);
  }

  #fail(error: ShoalError): void {
    if (this.#state.phase === 'failed' || this.#state.phase === 'idle') return;
    this.#sayLeave(error.message.slice(0, 200));
    this.#tearDown();
    checkTransition(this.#state.phase, 'failed');
    this.#replace({ ...this.#ended(), phase: 'failed', detail: error.message, error: error.toWire() });
  }

  #toIdle(): void {
    checkTransition(this.#state.phase, 'idle');
    this.#replace(this.#ended());
  }

  /** What stays true when a contribution is over. */
  #ended(): ContributorState {
    const { adapter, tokens, downloadedBytes } = this.#state;
    return { ...IDLE, tokens, downloadedBytes, ...(adapter === undefined ? {} : { adapter }) };
  }

  #replace(state: ContributorState): void {
    this.#state = state;
    for (const listener of [...this.#listeners]) listener(state);
  }

  #sayLeave(reason: string): void {
    if (this.#signaling?.state === 'ready') this.#send({ type: 'leave', reason });
  }

  #tearDown(): void {
    this.#held.clear();
    this.#joinUnanswered = false;
    this.#capability = null;
    this.#connector?.close();
    this.#connector = null;
    const signaling = this.#signaling;
    this.#signaling = null;
    signaling?.close();
    this.#worker?.terminate();
    this.#worker = null;
    for (const release of this.#release) release();
    this.#release = [];
    this.#joined?.();
    this.#joined = null;
  }
}

function describe(held: Held | undefined, connected: boolean): string {
  if (held === undefined) return connected ? 'Waiting for layers.' : 'Connecting to the server.';
  const { start, end } = held.message.stages[held.message.index]!.shard;
  const layers = `${layersText(start, end)} of ${held.message.model}`;
  const lost = connected ? '' : ' The server is not reachable; trying again.';
  if (held.phase === 'serving') return `Serving ${layers}.${lost}`;
  return `Loading ${layers}.${lost}`;
}
