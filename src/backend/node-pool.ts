/** The nodes that one server routes its requests to: the mesh, the servers of model_backend.yaml, providers that joined. */
import { ShoalError } from '../config/errors.ts';
import type { Backend } from './backend.ts';

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
}

export class NodePool {
  readonly #nodes = new Map<string, PoolNode>();

  /**
   * @returns takes the node out: it gets no new request, those in flight go on, and its backend is closed after the last.
   *   Resolves when that is done.
   * @throws INTERNAL for an id that is in the pool already
   */
  add(node: PoolNode): () => Promise<void> {
    if (this.#nodes.has(node.id)) throw new ShoalError('INTERNAL', `node ${node.id} is in the pool already`);
    this.#nodes.set(node.id, node);
    return async () => {
      if (this.#nodes.delete(node.id)) await node.backend.close();
    };
  }

  statuses(): readonly NodeStatus[] {
    return [...this.#nodes.values()].map(({ id, name, backend, maxConcurrent }) => ({
      id,
      name,
      provider: backend.provider,
      state: 'unknown',
      inFlight: 0,
      maxConcurrent,
      models: [],
      timeToFirstTokenMs: null,
      tokensPerSecond: null,
      lastError: null,
    }));
  }

  /** Ends what is in flight with ABORTED. Idempotent. */
  async close(): Promise<void> {
    await Promise.all([...this.#nodes.values()].map(({ backend }) => backend.close()));
  }
}
