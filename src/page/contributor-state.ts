import { ShoalError, type WireError } from '../config/errors.ts';
import type { Capability, LoadPhase } from '../mesh/protocol/control.ts';
import type { Shard } from '../model/shard.ts';

/** Where a contributor stands. `serving`: it holds at least one shard, even while another loads. */
export type ContributorPhase =
  | 'idle'
  | 'detecting'
  | 'connecting'
  | 'waiting'
  | 'downloading'
  | 'verifying'
  | 'compiling'
  | 'serving'
  | 'leaving'
  | 'failed';

/** Everything the page shows about this tab's contribution. A new object at every change; fields are absent when unknown. */
export interface ContributorState {
  readonly phase: ContributorPhase;
  /** One sentence for people. */
  readonly detail: string;
  /** The control WebSocket is open. Links to other tabs outlive it. */
  readonly connected: boolean;
  /** The id by which the server knows this tab, the same on every connection of a contribution. */
  readonly peer?: string;
  readonly adapter?: Capability['adapter'];
  /** Of the shard that loads, if one does. */
  readonly progress?: {
    readonly phase: LoadPhase;
    readonly bytesDone: number;
    readonly bytesTotal: number;
  };
  /** The newest that is held; while none is, the one that loads. */
  readonly shard?: Shard;
  /** All that are held. */
  readonly shards?: readonly Shard[];
  /** Over the last seconds, rows computed for decode steps; 0 when idle. */
  readonly tokensPerSecond: number;
  /** Decode rows computed since join. */
  readonly tokens: number;
  /** From the network, not from the cache, since join. */
  readonly downloadedBytes: number;
  readonly gpuBytes: number;
  /** Set in phase `failed`, and where a load failed while the tab goes on. */
  readonly error?: WireError;
}

export const IDLE: ContributorState = {
  phase: 'idle',
  detail: 'Not contributing.',
  connected: false,
  tokensPerSecond: 0,
  tokens: 0,
  downloadedBytes: 0,
  gpuBytes: 0,
};

/** What the page's interface is built on; `Contributor` in contributor.ts implements it. */
export interface ContributorHandle {
  readonly state: ContributorState;
  /** Calls `listener` after every change. @returns the unsubscribe function */
  subscribe(listener: (state: ContributorState) => void): () => void;
  /**
   * Finds the device, connects, offers it. Resolves once the server knows this worker; a failure resolves too, as
   * phase `failed` with `error`. Allowed in `idle` and `failed`; elsewhere it does nothing.
   */
  join(): Promise<void>;
  /**
   * Lets the answers that run here move to other workers, which may take WORKER_DRAIN_MS; then says goodbye to the server,
   * frees the GPU, and ends in `idle`. Allowed at any time; a second call ends the wait.
   */
  leave(): Promise<void>;
  /** Like leave, without waiting: for `pagehide` and unmounting. */
  close(): void;
}

export interface ContributorOptions {
  /** Origin of the server, e.g. `http://localhost:8080`; the WebSocket path is appended. */
  readonly serverUrl: string;
  /** Shown to people, e.g. "tab 2". */
  readonly name: string;
  /** Weights, KV cache and scratch together. */
  readonly memoryBudgetBytes: number;
  /** Where the server asks workers for one; read at each `join`. */
  readonly joinKey?: string | undefined;
  /** E.g. `() => new Worker(new URL('../worker/worker.ts', import.meta.url), { type: 'module' })`. */
  readonly createWorker: () => Worker;
}

const LOADING = ['downloading', 'verifying', 'compiling'] as const;

/** Legal next phases. A load may go back (a new shard, a lost device), so the loading phases reach each other. */
const NEXT: Record<ContributorPhase, readonly ContributorPhase[]> = {
  idle: ['detecting'],
  detecting: ['connecting', 'waiting', 'leaving', 'failed'],
  connecting: ['detecting', 'waiting', 'leaving', 'failed'],
  waiting: [...LOADING, 'serving', 'detecting', 'connecting', 'leaving', 'failed'],
  downloading: [...LOADING, 'serving', 'waiting', 'detecting', 'connecting', 'leaving', 'failed'],
  verifying: [...LOADING, 'serving', 'waiting', 'detecting', 'connecting', 'leaving', 'failed'],
  compiling: [...LOADING, 'serving', 'waiting', 'detecting', 'connecting', 'leaving', 'failed'],
  serving: [...LOADING, 'waiting', 'detecting', 'connecting', 'leaving', 'failed'],
  leaving: ['idle', 'failed'],
  failed: ['detecting', 'leaving', 'idle'],
};

/** @throws INTERNAL with both names when the transition is not in the table; staying is always allowed. */
export function checkTransition(from: ContributorPhase, to: ContributorPhase): void {
  if (from !== to && !NEXT[from].includes(to)) {
    throw new ShoalError('INTERNAL', `a contributor in phase '${from}' cannot go to '${to}'`);
  }
}
