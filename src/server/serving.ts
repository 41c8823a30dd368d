/** What a server serves now, and how that changes without dropping an answer. */
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Backend } from '../backend/backend.ts';
import { ShoalError } from '../config/errors.ts';
import { RETIRED_NODE_MS } from '../config/limits.ts';
import type { Mesh } from './mesh.ts';
import type { ServedFiles } from './model-routes.ts';
import { type NodeContext, type OpenNode, openNode, type ServedNode } from './node.ts';
import type { Pipeline } from './pipeline.ts';
import type { Batch, RequestsInFlight } from './requests-in-flight.ts';

export interface ServingOptions extends NodeContext {
  readonly requests: RequestsInFlight;
}

export class Serving {
  /** One for the server's life; every call goes to what is served at that moment. */
  readonly backend: Backend;
  readonly #options: ServingOptions;
  readonly #liveListeners = new Set<(pipeline: Pipeline) => void>();
  /** Replaced nodes whose last answers are on their way. */
  readonly #retired = new Map<OpenNode, Promise<void>>();
  readonly #closing = new AbortController();
  #current: OpenNode;
  #replacing: Promise<void> = Promise.resolve();
  #closed: Promise<void> | null = null;

  /** @throws what `openNode` throws */
  static async open(node: ServedNode, options: ServingOptions): Promise<Serving> {
    return new Serving(await openNode(node, options), options);
  }

  private constructor(current: OpenNode, options: ServingOptions) {
    this.#options = options;
    this.#current = this.#watched(current);
    const now = () => this.#current.backend;
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

  onPipelineLive(listener: (pipeline: Pipeline) => void): void {
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
  replace(next: ServedNode): Promise<void> {
    const replaced = this.#replacing.then(async () => {
      const opened = await openNode(next, this.#options);
      if (this.#closing.signal.aborted) {
        await opened.close();
        throw new ShoalError('SHUTTING_DOWN', 'the server is shutting down; its configuration stays');
      }
      const old = this.#current;
      this.#current = this.#watched(opened);
      this.#retired.set(old, this.#retire(old, this.#options.requests.now()));
    });
    this.#replacing = replaced.catch(() => {});
    return replaced;
  }

  /** Ends what is in flight and tells the tabs; resolves when nothing is left. Idempotent. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    this.#closing.abort();
    await this.#replacing;
    await Promise.all([this.#current.close(), ...this.#retired.values()]);
  }

  async #retire(node: OpenNode, batch: Batch): Promise<void> {
    const { timers, log } = this.#options;
    if (batch.count > 0) log.info({ requests: batch.count }, 'what was served before finishes its requests');
    const minutes = RETIRED_NODE_MS / 60_000;
    const cancel = timers.after(RETIRED_NODE_MS, () => {
      batch.abort(
        new ShoalError(
          'SHUTTING_DOWN',
          `the server changed what it serves, and this answer took more than ${minutes} minutes longer; send the request again`,
        ),
      );
    });
    const closing = new Promise<void>((resolve) => {
      this.#closing.signal.addEventListener('abort', () => resolve(), { once: true });
    });
    await Promise.race([batch.ended, closing]);
    cancel();
    await node.close().catch((error) => log.warn({ err: error }, 'what was served before did not close'));
    this.#retired.delete(node);
    log.info('what was served before is closed');
  }

  #watched(node: OpenNode): OpenNode {
    node.native?.mesh.pipelines.onLive((pipeline) => {
      if (node === this.#current) for (const listener of this.#liveListeners) listener(pipeline);
    });
    return node;
  }
}
