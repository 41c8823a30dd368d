import type { ShoalError, WireError } from '../../config/errors.ts';
import type { Capability } from '../../mesh/protocol/control.ts';
import type { WorkerEvent } from '../worker-api.ts';
import type { TabEnvironment } from './tab-environment.ts';
import type { TabShard } from './tab-shards.ts';
import type { TabWorker } from './tab-worker.ts';

/** What whoever shows the tab to people is told. */
export type TabEvent =
  /** The server is there, or away. Links, shards and answers outlive it. */
  | { readonly type: 'connection'; readonly isConnected: boolean }
  /** The server knows this tab by this id; said anew after each loss of it. */
  | { readonly type: 'welcomed'; readonly peer: string }
  | { readonly type: 'shards'; readonly shards: readonly TabShard[]; readonly downloadedBytes: number }
  /** A shard could not be loaded. */
  | { readonly type: 'load-failed'; readonly error: WireError }
  /** While it drains: sequences that have not moved yet. */
  | { readonly type: 'draining'; readonly sequences: number }
  | Extract<WorkerEvent, { type: 'usage' }>
  /** The device is lost (null), another was found. */
  | { readonly type: 'device'; readonly capability: Capability }
  | { readonly type: 'device-lost'; readonly error: WireError }
  /** Something is in the way; the tab goes on. */
  | { readonly type: 'notice'; readonly error: ShoalError }
  /** The server closes the connection for it, which is then made anew. */
  | { readonly type: 'refused'; readonly error: WireError }
  /** It is over: close the tab. */
  | { readonly type: 'failed'; readonly error: ShoalError };

export interface MeshTabOptions {
  /** Origin of the server; the WebSocket path is appended. */
  readonly serverUrl: string;
  /** Shown to people. */
  readonly name: string;
  /** Weights, KV cache and scratch together. */
  readonly memoryBudgetBytes: number;
  /** Where the server asks workers for one. */
  readonly joinKey?: string;
  readonly worker: TabWorker;
  readonly environment: TabEnvironment;
  readonly on: (event: TabEvent) => void;
}
