/** The nodes that one server routes its requests to: the mesh, the servers of model_backend.yaml, providers that joined. */
import { ShoalError } from '../../config/errors.ts';
import { NODE_PROBE_MS } from '../../config/limits.ts';
import { chooseNode } from '../../schedule/backends/choose-node.ts';
import type { Backend, Lender } from '../backend.ts';
import { type Clock, systemClock } from '../clock.ts';
import { Ending } from '../ending.ts';
import { linkedSignal } from '../linked-signal.ts';
import { PooledNode, type RoutedAttempt } from './pooled-node.ts';

export interface PoolNode {
  /** Unique in the pool, such as `proxy-1` or the id of a provider's connection. */
  readonly id: string;
  /** For people: `host:port`, a provider's name; never a whole url. */
  readonly name: string;
  /** Closed by the pool, when the node was taken out and its last request has ended, or with the pool. */
  readonly backend: Backend;
  /** Requests at once. */
  readonly maxConcurrent: number;
  /** It answers whatever name the client gave (an alias is set), so its list of models does not bound it. */
  readonly anyModel: boolean;
  /** For a node that knows without asking (the mesh): `false` sends requests to others as long as there are any. */
  readonly isReady?: () => boolean;
  /** Absent: the server's own. */
  readonly lender?: Lender;
  /** It takes its clients in turn (the mesh): that it had no room for one says nothing of the next. */
  readonly takesTurns?: boolean;
}

/** What people may know of a node; the form of `nodes` in `GET /api/status`. */
export interface NodeStatus {
  readonly id: string;
  readonly name: string;
  readonly provider: Backend['provider'];
  /** `failing`: its circuit breaker is open; `probing`: it is asked, or given one request, to see whether it is back. */
  readonly state: 'ready' | 'busy' | 'failing' | 'probing' | 'unknown';
  readonly inFlight: number;
  readonly maxConcurrent: number;
  readonly models: readonly string[];
  readonly timeToFirstTokenMs: number | null;
  readonly tokensPerSecond: number | null;
  readonly lastError: string | null;
  readonly lender?: Lender;
}

export interface NodePoolOptions {
  readonly clock?: Clock;
  /** Uniform in [0, 1); for back-offs. */
  readonly random?: () => number;
}

export class NodePool {
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #nodes = new Map<string, PooledNode>();
  /** Out of the pool, with requests still in flight. */
  readonly #leaving = new Map<PooledNode, () => void>();
  readonly #closing = new Ending();
  #choices = 0;

  constructor({ clock = systemClock, random = Math.random }: NodePoolOptions = {}) {
    this.#clock = clock;
    this.#random = random;
  }

  /**
   * @returns takes the node out: it gets no new request, those in flight go on, and its backend is closed after the last.
   *   Resolves when that is done.
   * @throws INTERNAL for an id that is in the pool already, or when the pool is closed
   */
  add(node: PoolNode): () => Promise<void> {
    if (this.#closing.aborted) throw new ShoalError('INTERNAL', 'the pool of nodes is closed');
    if (this.#nodes.has(node.id)) throw new ShoalError('INTERNAL', `node ${node.id} is in the pool already`);
    const watch = this.#watcher();
    const pooled = new PooledNode(node, this.#clock, this.#random, () => {
      if (this.#leaving.has(pooled)) {
        if (pooled.inFlight === 0) this.#leaving.get(pooled)!();
      } else if (pooled.needsProbe) void watch(pooled);
    });
    this.#nodes.set(node.id, pooled);
    void watch(pooled);
    let removed: Promise<void> | null = null;
    return () => {
      removed ??= this.#remove(pooled);
      return removed;
    };
  }

  /** In the order in which they came. */
  get nodes(): readonly PooledNode[] {
    return [...this.#nodes.values()];
  }

  has(node: PooledNode): boolean {
    return this.#nodes.get(node.node.id) === node;
  }

  /** The node of `candidates` that a request goes to, with a place on it taken; undefined where none admits one. */
  begin(candidates: readonly PooledNode[]): { node: PooledNode; attempt: RoutedAttempt } | undefined {
    const admitting = candidates.filter((node) => node.admits);
    const open = admitting.length > 0 ? admitting : candidates.filter((node) => node.isLastResort);
    const node =
      open.length === 1
        ? open[0]
        : open[
            chooseNode(
              open.map((candidate) => candidate.candidate()),
              this.#clock.now(),
            )
          ];
    if (node === undefined) return undefined;
    node.lastChosen = ++this.#choices;
    return { node, attempt: node.begin() };
  }

  statuses(): readonly NodeStatus[] {
    return this.nodes.map((node) => node.status());
  }

  /** Ends what is in flight with ABORTED, also on nodes that were taken out. Idempotent. */
  async close(): Promise<void> {
    this.#closing.abort();
    const all = [...this.#nodes.values(), ...this.#leaving.keys()];
    for (const ended of this.#leaving.values()) ended();
    await Promise.all(all.map((node) => closeNode(node)));
  }

  async #remove(node: PooledNode): Promise<void> {
    this.#nodes.delete(node.node.id);
    if (node.inFlight > 0 && !this.#closing.aborted) {
      await new Promise<void>((ended) => this.#leaving.set(node, ended));
      this.#leaving.delete(node);
    }
    await closeNode(node);
  }

  /** Asks a node in the background while it needs it, one loop at a time, and never one that was taken out. */
  #watcher(): (node: PooledNode) => Promise<void> {
    let watching = false;
    const isHere = (node: PooledNode) => this.has(node) && !this.#closing.aborted;
    return async (node) => {
      if (watching) return;
      watching = true;
      const closing = linkedSignal(this.#closing);
      try {
        while (isHere(node) && node.needsProbe) {
          await node.probe();
          if (node.models.value === null && node.readiness.value?.ready) await node.models.refresh();
          if (isHere(node) && node.needsProbe) await this.#clock.sleep(NODE_PROBE_MS, closing.signal);
        }
      } finally {
        closing.unlink();
        watching = false;
      }
    };
  }
}

async function closeNode(node: PooledNode): Promise<void> {
  node.models.close();
  node.readiness.close();
  await node.node.backend.close();
}
