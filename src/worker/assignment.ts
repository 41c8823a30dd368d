import { ShoalError } from '../config/errors.ts';
import { PROGRESS_INTERVAL_MS } from '../config/limits.ts';
import type { Frame } from '../mesh/frame.ts';
import type { LoadPhase, PeerMessage, ServerMessage } from '../mesh/protocol/control.ts';
import type { WorkerDevice } from './device.ts';
import { HopStats } from './hop-stats.ts';
import { neighboursOf } from './neighbours.ts';
import { Stage } from './stage.ts';

export type AssignMessage = Extract<ServerMessage, { type: 'assign' }>;
type AssignmentState = 'loading' | 'linking' | 'ready' | 'closed';

const NEXT: Record<AssignmentState, readonly AssignmentState[]> = {
  loading: ['linking', 'closed'],
  linking: ['ready', 'closed'],
  ready: ['closed'],
  closed: [],
};

export interface AssignmentOptions {
  readonly message: AssignMessage;
  readonly serverUrl: string;
  readonly isLinked: (peer: string) => boolean;
  readonly send: (peer: string, frame: Frame, hop: HopStats) => Promise<void>;
  readonly tell: (message: PeerMessage) => void;
  /** The assignment closed itself: its load failed, or its engine did. */
  readonly onFailed: (assignment: Assignment, error: ShoalError) => void;
  readonly now: () => number;
}

/** One shard for one epoch, from `assign` until it is dropped: loads, waits for its links, then runs its stage. */
export class Assignment {
  readonly epoch: number;
  /** This worker's own id in the pipeline. */
  readonly self: string;
  /** Peers this stage sends to or hears from, itself included where the pipeline is one stage. */
  readonly neighbours: ReadonlySet<string>;
  readonly hop = new HopStats();
  readonly #options: AssignmentOptions;
  readonly #abort = new AbortController();
  readonly #startedMs: number;
  #state: AssignmentState = 'loading';
  #stage: Stage | null = null;
  #engineBytes: (() => number) | null = null;
  #downloadedBytes = 0;
  #progress: { phase: LoadPhase; atMs: number } | null = null;

  constructor(options: AssignmentOptions) {
    const { epoch, index, stages } = options.message;
    const peers = stages.map((stage) => stage.peer);
    const self = peers[index];
    if (self === undefined) {
      throw new ShoalError(
        'PROTOCOL_INVALID',
        `stage ${index} of ${stages.length} was assigned; stages count from 0`,
      );
    }
    this.epoch = epoch;
    this.self = self;
    this.neighbours = neighboursOf(peers, index);
    this.#options = options;
    this.#startedMs = options.now();
  }

  get state(): AssignmentState {
    return this.#state;
  }

  get sequences(): number {
    return this.#stage?.sequences ?? 0;
  }

  get gpuBytes(): number {
    return this.#engineBytes?.() ?? 0;
  }

  /** Loads the shard within `budgetBytes`. Never rejects: a failure is told to the server and closes the assignment. */
  async load(device: WorkerDevice, budgetBytes: number): Promise<void> {
    if (this.#state !== 'loading') return;
    const { message, serverUrl } = this.#options;
    try {
      const { engine, downloadedBytes } = await device.load(
        {
          manifestUrl: new URL(message.manifestPath, serverUrl).href,
          filesUrl: new URL(message.filesPath, serverUrl).href,
          shard: message.stages[message.index]!.shard,
          quantization: message.quantization,
          budgetBytes,
          onProgress: (phase, bytesDone, bytesTotal) => this.#progressed(phase, bytesDone, bytesTotal),
        },
        this.#abort.signal,
      );
      if (this.#abort.signal.aborted) {
        engine.destroy();
        return;
      }
      this.#downloadedBytes = downloadedBytes;
      this.#engineBytes = () => engine.bytes.weights + engine.bytes.kv + engine.bytes.scratch;
      this.#stage = this.#makeStage(engine);
      this.#moveTo('linking');
      this.#progressed('connect', 0, 0);
      this.linkOpened();
    } catch (thrown) {
      this.fail(ShoalError.from(thrown));
    }
  }

  /** A link opened: perhaps it was the last one missing. */
  linkOpened(): void {
    if (this.#state !== 'linking') return;
    for (const peer of this.neighbours) if (!this.#options.isLinked(peer)) return;
    this.#moveTo('ready');
    this.#options.tell({
      type: 'ready',
      epoch: this.epoch,
      downloadedBytes: this.#downloadedBytes,
      gpuBytes: this.gpuBytes,
      loadMs: this.#options.now() - this.#startedMs,
    });
  }

  /** A link that was open is gone. Its sequences cannot go on here; whether the pipeline does is the server's to say. */
  linkLost(peer: string, error: ShoalError): void {
    if (this.#state !== 'ready' || !this.neighbours.has(peer)) return;
    this.#options.tell({ type: 'link-down', peer, epoch: this.epoch, error: error.toWire() });
    this.#stage?.failAll(error);
  }

  /** No link to `peer` will come. */
  linkFailed(peer: string, error: ShoalError): void {
    if (!this.neighbours.has(peer)) return;
    if (this.#state === 'loading' || this.#state === 'linking') this.fail(error, peer);
  }

  /** The stage, once it may be given sequences and frames. */
  get stage(): Stage | null {
    return this.#state === 'ready' ? this.#stage : null;
  }

  /** Tells the server why, and closes. @param peer the neighbour that cannot be reached, where that is why */
  fail(error: ShoalError, peer?: string): void {
    if (this.#state === 'closed') return;
    this.close();
    this.#options.tell({
      type: 'load-failed',
      epoch: this.epoch,
      error: error.toWire(),
      ...(peer !== undefined && { peer }),
    });
    this.#options.onFailed(this, error);
  }

  /** Stops loading, frees the GPU. Idempotent, silent. */
  close(): void {
    if (this.#state === 'closed') return;
    this.#moveTo('closed');
    this.#abort.abort(new ShoalError('ABORTED', `epoch ${this.epoch} was dropped`));
    this.#stage?.destroy();
    this.#stage = null;
    this.#engineBytes = null;
  }

  #makeStage(engine: ConstructorParameters<typeof Stage>[0]['engine']): Stage {
    const { message, send, tell } = this.#options;
    const { epoch, hop } = this;
    return new Stage({
      epoch,
      index: message.index,
      peers: message.stages.map((stage) => stage.peer),
      engine,
      hop,
      send: (peer, frame) => send(peer, frame, hop),
      events: {
        opened: (sequence) => tell({ type: 'opened', epoch, sequence }),
        token: (sequence, position, token, finish, logprobs) =>
          tell({
            type: 'token',
            epoch,
            sequence,
            position,
            token,
            finish,
            ...(logprobs !== undefined && { logprobs }),
          }),
        sequenceFailed: (sequence, error) =>
          tell({ type: 'sequence-failed', epoch, sequence, error: error.toWire() }),
        // A frame that no sequence of ours answers for: dropped, and worth a line to whoever looks for a bug.
        refused: (peer, error) => console.warn(`frame from ${peer} refused: ${error}`),
        // A lost device is handled where all assignments are (host.ts); anything else ends this one.
        stageFailed: (error) => {
          if (error.code !== 'DEVICE_LOST') this.fail(error);
        },
      },
    });
  }

  #progressed(phase: LoadPhase, bytesDone: number, bytesTotal: number): void {
    if (this.#state === 'closed') return;
    const atMs = this.#options.now();
    const last = this.#progress;
    const isOver = bytesDone === bytesTotal;
    if (last?.phase === phase && !isOver && atMs - last.atMs < PROGRESS_INTERVAL_MS) return;
    this.#progress = { phase, atMs };
    this.#options.tell({ type: 'load-progress', epoch: this.epoch, phase, bytesDone, bytesTotal });
  }

  /** @throws INTERNAL with both names when the transition is not in the table */
  #moveTo(state: AssignmentState): void {
    if (!NEXT[this.#state].includes(state)) {
      throw new ShoalError('INTERNAL', `an assignment in state '${this.#state}' cannot go to '${state}'`);
    }
    this.#state = state;
  }
}
