import { ShoalError } from '../config/errors.ts';
import type { LoadPhase } from '../mesh/protocol/control.ts';
import { layersText } from '../model/shard.ts';
import { MeshTab, type TabEvent } from '../worker/tab/mesh-tab.ts';
import type { TabShard } from '../worker/tab/tab-shards.ts';
import { WebWorker } from '../worker/tab/web-worker.ts';
import { browserEnvironment, type ContributorEnvironment } from './contributor-environment.ts';
import {
  type ContributorHandle,
  type ContributorOptions,
  type ContributorPhase,
  type ContributorState,
  checkTransition,
  IDLE,
} from './contributor-state.ts';

/** How long `leave` waits for the worker to free the GPU before it is ended anyway. */
const STOP_MS = 1_000;

const LOADING_PHASE: Record<LoadPhase, ContributorPhase> = {
  download: 'downloading',
  verify: 'verifying',
  compile: 'compiling',
};

/** One contribution: from Join to its end. */
interface Contribution {
  readonly tab: MeshTab;
  readonly worker: WebWorker;
  /** Ends the running `join`: the server answered, or the contribution is over. */
  readonly joined: () => void;
  release: (() => void)[];
}

/** A contribution as a page shows it: what the tab of the mesh (src/worker/tab) does, in phases and sentences for people. */
export class Contributor implements ContributorHandle {
  readonly #options: ContributorOptions;
  readonly #environment: ContributorEnvironment;
  readonly #listeners = new Set<(state: ContributorState) => void>();
  #state: ContributorState = IDLE;
  #shards: readonly TabShard[] = [];
  #current: Contribution | null = null;
  /** There is no device at the moment: the worker says when there is another. */
  #isWithoutDevice = false;

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
    this.#isWithoutDevice = false;
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
    let joined = (): void => {};
    const isOver = new Promise<null>((resolve) => {
      joined = () => resolve(null);
    });
    const current = this.#begin(joined);
    const detected = await Promise.race([current.tab.detect(), isOver]);
    // Leave was pressed, or the worker crashed, while the device was looked for.
    if (this.#current !== current || detected === null || this.#state.phase !== 'detecting') return;
    if (!detected.ok) {
      this.#fail(ShoalError.from(detected.error));
      return;
    }
    current.release = [this.#environment.onPageHide(() => this.close()), this.#environment.holdAwake()];
    this.#set({
      phase: 'connecting',
      detail: 'Connecting to the server.',
      adapter: detected.capability.adapter,
    });
    current.tab.connect();
    await isOver;
  }

  async leave(): Promise<void> {
    const current = this.#current;
    if (this.#state.phase === 'idle') return;
    if (this.#state.phase === 'leaving') {
      // Pressed again: nobody waits for the answers any more.
      void current?.tab.drain('left by the user');
      return;
    }
    this.#set({ phase: 'leaving', detail: 'Leaving.' });
    if (current !== null) {
      current.joined();
      await current.tab.drain('left by the user');
      if (this.#current !== current) return;
      current.tab.close('left by the user');
      const { timers } = this.#environment;
      await Promise.race([
        current.worker.stop(),
        new Promise<void>((resolve) => timers.after(STOP_MS, resolve)),
      ]).catch(() => {});
      if (this.#current !== current) return;
    }
    this.#tearDown('left by the user');
    this.#toIdle();
  }

  close(): void {
    if (this.#state.phase === 'idle') return;
    this.#tearDown('the page was closed');
    this.#set({ phase: 'leaving', detail: 'Leaving.' });
    this.#toIdle();
  }

  #begin(joined: () => void): Contribution {
    const { serverUrl, name, memoryBudgetBytes, joinKey, createWorker } = this.#options;
    const worker = new WebWorker(
      createWorker(),
      (event) => tab.told(event),
      (error) => this.#fail(error),
    );
    const tab = new MeshTab({
      serverUrl,
      name,
      memoryBudgetBytes,
      ...(joinKey !== undefined && { joinKey }),
      worker,
      environment: this.#environment,
      on: (event) => this.#tabSaid(event),
    });
    const current = { tab, worker, joined, release: [] };
    this.#current = current;
    return current;
  }

  #tabSaid(event: TabEvent): void {
    if (event.type === 'draining') {
      if (this.#state.phase === 'leaving') this.#set({ detail: drainText(event.sequences) });
      return;
    }
    if (this.#state.phase === 'leaving') return;
    switch (event.type) {
      case 'connection':
        this.#set({ connected: event.isConnected });
        break;
      case 'welcomed':
        this.#set({ peer: event.peer });
        break;
      case 'shards':
        this.#shards = event.shards;
        this.#set({
          downloadedBytes: event.downloadedBytes,
          ...(this.#shards.some(({ phase }) => phase === 'held') && { error: undefined }),
        });
        break;
      case 'load-failed':
      case 'refused':
        this.#set({ error: event.error });
        return;
      case 'usage': {
        const { tokensPerSecond, tokens, gpuBytes } = event;
        this.#set({ tokensPerSecond, tokens, gpuBytes });
        return;
      }
      case 'device-lost':
        this.#isWithoutDevice = true;
        this.#set({
          phase: 'detecting',
          detail: 'The GPU was lost; looking for it again.',
          error: event.error,
        });
        return;
      case 'device':
        this.#isWithoutDevice = false;
        this.#set({ adapter: event.capability.adapter, error: undefined });
        break;
      case 'notice':
        this.#set({ detail: event.error.message });
        return;
      case 'failed':
        this.#fail(event.error);
        return;
      default:
        event satisfies never;
    }
    this.#showPhase();
    if (event.type === 'welcomed') this.#current?.joined();
  }

  // — state ————————————————————————————————————————————————————————————————————————————————————

  /** Shows what the shards add up to. */
  #showPhase(): void {
    const { phase, connected } = this.#state;
    if (phase === 'idle' || phase === 'failed' || phase === 'leaving' || this.#isWithoutDevice) return;
    const held = this.#shards.filter((shard) => shard.phase === 'held');
    const loading = this.#shards.findLast((shard) => shard.phase !== 'held');
    const shown = held.at(-1) ?? loading;
    this.#set({
      phase: phaseOf(shown) ?? (connected ? 'waiting' : 'connecting'),
      detail: describe(held, loading, connected),
      shard: shown?.layers,
      shards: held.length === 0 ? undefined : held.map(({ layers }) => layers),
      progress: progressOf(loading),
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
    this.#tearDown(error.message);
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

  #tearDown(reason: string): void {
    const current = this.#current;
    this.#current = null;
    this.#shards = [];
    if (current === null) return;
    current.tab.close(reason);
    current.worker.terminate();
    for (const release of current.release) release();
    current.joined();
  }
}

function phaseOf(shard: TabShard | undefined): ContributorPhase | undefined {
  if (shard === undefined) return undefined;
  return shard.phase === 'held' ? 'serving' : LOADING_PHASE[shard.phase];
}

function progressOf(loading: TabShard | undefined): ContributorState['progress'] {
  if (loading === undefined || loading.phase === 'held') return undefined;
  const { phase, bytesDone, bytesTotal } = loading;
  return { phase, bytesDone, bytesTotal };
}

function describe(held: readonly TabShard[], loading: TabShard | undefined, connected: boolean): string {
  const what = held.length > 0 ? held : loading === undefined ? [] : [loading];
  if (what.length === 0) return connected ? 'Waiting for layers.' : 'Connecting to the server.';
  const layers = what.map(({ layers: { start, end } }) => layersText(start, end)).join(', ');
  const lost = connected ? '' : ' The server is not reachable; trying again.';
  return `${held.length > 0 ? 'Serving' : 'Loading'} ${layers} of ${what[0]!.model}.${lost}`;
}

const drainText = (sequences: number): string =>
  sequences === 0 ? 'Leaving.' : `Finishing ${sequences} answer${sequences === 1 ? '' : 's'}…`;
