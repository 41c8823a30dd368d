/** What a server serves now, and how that changes without dropping an answer. */
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Backend } from '../backend/backend.ts';
import { NodePool } from '../backend/pool/node-pool.ts';
import { createRoutedBackend } from '../backend/pool/routed.ts';
import { ShoalError } from '../config/errors.ts';
import { RETIRED_NODE_MS } from '../config/limits.ts';
import type { Status } from '../mesh/protocol/status.ts';
import type { ServedFiles } from './files/model-routes.ts';
import type { Mesh } from './mesh/mesh.ts';
import { type NodeContext, type OpenNode, openNode, type ServedNode } from './node.ts';

interface Served extends OpenNode {
  readonly routed: Backend;
  /** Takes its nodes out of the pool; resolves when their last answers have ended and their backends are closed. */
  readonly leavePool: () => Promise<unknown>;
}

type LivePipeline = NonNullable<Status['pipeline']>;

export interface Replaced {
  /** Resolves when what was served before has given its last answer and is closed. */
  readonly retired: Promise<void>;
}

export class Serving {
  /** One for the server's life. The mesh or the configured servers are in it, and the providers that joined. */
  readonly pool = new NodePool();
  /** One for the server's life; every call goes to what is served at that moment. */
  readonly backend: Backend;
  readonly #context: NodeContext;
  readonly #liveListeners = new Set<(pipeline: LivePipeline) => void>();
  /** Replaced nodes whose last answers are on their way. */
  readonly #retired = new Map<Served, Promise<void>>();
  #current: Served;
  #replacing: Promise<void> = Promise.resolve();
  #closed: Promise<void> | null = null;

  /** @throws what `openNode` throws */
  static async open(node: ServedNode, context: NodeContext): Promise<Serving> {
    return new Serving(await openNode(node, context), context);
  }

  private constructor(first: OpenNode, context: NodeContext) {
    this.#context = context;
    this.#current = this.#enter(first);
    const now = () => this.#current.routed;
    this.backend = {
      get provider() {
        return now().provider;
      },
      models: (signal) => now().models(signal),
      readiness: (signal) => now().readiness(signal),
      chatCompletions: (...request) => now().chatCompletions(...request),
      completions: (...request) => now().completions(...request),
      close: () => this.close(),
    };
  }

  /** Null while a proxy is served. */
  get mesh(): Mesh | null {
    return this.#current.native?.mesh ?? null;
  }

  /** Of the served model; null while a proxy is served. */
  get served(): ServedFiles | null {
    return this.#current.native?.files ?? null;
  }

  /** A replaced model's too, while its workers may still load a shard for the last answers. */
  files(model: string): ServedFiles | null {
    const nodes = [this.#current, ...this.#retired.keys()];
    return nodes.find(({ native }) => native?.files.model === model)?.native?.files ?? null;
  }

  onPipelineLive(listener: (pipeline: LivePipeline) => void): void {
    this.#liveListeners.add(listener);
  }

  /** A tab's control WebSocket. @returns false where no mesh is served */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): boolean {
    const { native } = this.#current;
    native?.signaling.upgrade(request, socket, head);
    return native !== null;
  }

  /**
   * Serves `next` from now on. What was served before finishes the requests that it has, RETIRED_NODE_MS at most, and is
   * closed in the background; tabs of an old mesh then connect again and join the new one. Calls are taken in turn.
   * @throws what is wrong with `next`, which leaves everything as it was; SHUTTING_DOWN after `close`
   */
  replace(next: ServedNode): Promise<Replaced> {
    const replaced = this.#replacing.then(async () => {
      this.#checkOpen();
      const opened = await openNode(next, this.#context);
      if (this.#closed !== null) {
        await Promise.all(opened.nodes.map(({ backend }) => backend.close()));
        await opened.close();
        this.#checkOpen();
      }
      const old = this.#current;
      // In one turn of the event loop: no request sees the pool between the two.
      const left = old.leavePool();
      this.#current = this.#enter(opened);
      const retired = this.#retire(old, left);
      this.#retired.set(old, retired);
      return { retired };
    });
    this.#replacing = replaced.then(
      () => {},
      () => {},
    );
    return replaced;
  }

  /** Ends what is in flight and tells the tabs; resolves when nothing is left. Idempotent. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    await this.#replacing;
    await this.pool.close();
    await Promise.all([this.#current.close(), ...this.#retired.values()]);
  }

  #checkOpen(): void {
    if (this.#closed === null) return;
    throw new ShoalError('SHUTTING_DOWN', 'the server is shutting down; its configuration stays');
  }

  #enter(node: OpenNode): Served {
    const removals = node.nodes.map((pooled) => this.pool.add(pooled));
    const served: Served = {
      ...node,
      routed: createRoutedBackend({ pool: this.pool, provider: node.provider }),
      leavePool: () => Promise.all(removals.map((remove) => remove())),
    };
    const mesh = node.native?.mesh;
    mesh?.routes.onLive(() => {
      const pipeline = mesh.pipeline();
      if (served !== this.#current || pipeline === null) return;
      for (const listener of this.#liveListeners) listener(pipeline);
    });
    return served;
  }

  async #retire(old: Served, left: Promise<unknown>): Promise<void> {
    const { timers, log } = this.#context;
    const cancel = timers.after(RETIRED_NODE_MS, () => {
      log.warn(`what was served before still answers after ${RETIRED_NODE_MS / 60_000} minutes; ending that`);
      for (const { backend } of old.nodes) void backend.close();
    });
    try {
      await left;
      await old.close();
      log.info('what was served before has given its last answer and is closed');
    } catch (error) {
      log.warn({ err: error }, 'what was served before did not close');
    } finally {
      cancel();
      this.#retired.delete(old);
    }
  }
}
