import { ShoalError } from '../config/errors.ts';
import { KV_PAGE_POSITIONS, PROGRESS_INTERVAL_MS } from '../config/limits.ts';
import type { StageEngine } from '../gpu/stage-engine.ts';
import type {
  HeldShard as HeldShardReport,
  LoadPhase,
  PeerMessage,
  ServerMessage,
} from '../mesh/protocol/control.ts';
import { kvBytes } from '../model/gpu-bytes.ts';
import type { WorkerDevice } from './device.ts';
import type { Stage } from './stage.ts';

export type HoldMessage = Extract<ServerMessage, { type: 'hold' }>;
type HeldShardState = 'loading' | 'held' | 'closed';

const NEXT: Record<HeldShardState, readonly HeldShardState[]> = {
  loading: ['held', 'closed'],
  held: ['closed'],
  closed: [],
};

export interface HeldShardOptions {
  readonly message: HoldMessage;
  readonly serverUrl: string;
  readonly makeStage: (engine: StageEngine, shard: HeldShard) => Stage;
  readonly tell: (message: PeerMessage) => void;
  /** It closed itself: its load failed, or its engine did. */
  readonly onFailed: (shard: HeldShard, error: ShoalError) => void;
  readonly now: () => number;
}

/** One shard from `hold` until it is dropped: loaded once, it then serves as a stage of every route that leads here. */
export class HeldShard {
  readonly number: number;
  readonly #options: HeldShardOptions;
  readonly #abort = new AbortController();
  readonly #startedMs: number;
  #state: HeldShardState = 'loading';
  #engine: StageEngine | null = null;
  #stage: Stage | null = null;
  #downloadedBytes = 0;
  #loadMs = 0;
  #progress: { phase: LoadPhase; atMs: number } | null = null;

  constructor(options: HeldShardOptions) {
    this.number = options.message.shard;
    this.#options = options;
    this.#startedMs = options.now();
  }

  get state(): HeldShardState {
    return this.#state;
  }

  /** Once it is held. */
  get stage(): Stage | null {
    return this.#stage;
  }

  get gpuBytes(): number {
    if (this.#engine === null) return 0;
    const { weights, kv, scratch } = this.#engine.bytes;
    return weights + kv + scratch;
  }

  /** Positions of all sequences together that the KV cache has room for. */
  get kvPositions(): number {
    if (this.#engine === null) return 0;
    const { bytes, spec, shard } = this.#engine;
    const pageBytes = kvBytes(spec, shard.end - shard.start, KV_PAGE_POSITIONS);
    return Math.floor(bytes.kv / pageBytes) * KV_PAGE_POSITIONS;
  }

  /** Of them, those that no open sequence has reserved: pages are given out whole. */
  get freePositions(): number {
    const reserved = this.#stage?.reservedPositions ?? [];
    const pages = reserved.reduce((sum, positions) => sum + Math.ceil(positions / KV_PAGE_POSITIONS), 0);
    return Math.max(0, this.kvPositions - pages * KV_PAGE_POSITIONS);
  }

  /** For a server that may not know it. */
  get report(): HeldShardReport {
    const { shard, model, quantization, layers, receipt } = this.#options.message;
    const { gpuBytes, kvPositions } = this;
    return {
      shard,
      model,
      quantization,
      layers,
      gpuBytes,
      kvPositions,
      ...(receipt !== undefined && { receipt }),
    };
  }

  /** Loads the shard within `budgetBytes`. Never rejects: a failure is told to the server and closes it. */
  async load(device: WorkerDevice, budgetBytes: number): Promise<void> {
    if (this.#state !== 'loading') return;
    const { message, serverUrl, makeStage } = this.#options;
    try {
      const { engine, downloadedBytes } = await device.load(
        {
          manifestUrl: new URL(message.manifestPath, serverUrl).href,
          filesUrl: new URL(message.filesPath, serverUrl).href,
          shard: message.layers,
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
      this.#loadMs = this.#options.now() - this.#startedMs;
      this.#engine = engine;
      this.#stage = makeStage(engine, this);
      this.#moveTo('held');
      this.tellHeld();
    } catch (thrown) {
      this.fail(ShoalError.from(thrown));
    }
  }

  /** Tells the server that the shard is held, if it is: also one that asks again. */
  tellHeld(): void {
    if (this.#state !== 'held') return;
    this.#options.tell({
      type: 'held',
      shard: this.number,
      downloadedBytes: this.#downloadedBytes,
      gpuBytes: this.gpuBytes,
      loadMs: this.#loadMs,
      kvPositions: this.kvPositions,
    });
  }

  /** Tells the server why, and closes. */
  fail(error: ShoalError): void {
    if (this.#state === 'closed') return;
    this.close();
    this.#options.tell({ type: 'load-failed', shard: this.number, error: error.toWire() });
    this.#options.onFailed(this, error);
  }

  /** Stops loading, frees the GPU. Idempotent, silent. */
  close(): void {
    if (this.#state === 'closed') return;
    this.#moveTo('closed');
    this.#abort.abort(new ShoalError('ABORTED', `shard ${this.number} was dropped`));
    this.#stage?.destroy();
    this.#stage = null;
    this.#engine = null;
  }

  #progressed(phase: LoadPhase, bytesDone: number, bytesTotal: number): void {
    if (this.#state === 'closed') return;
    const atMs = this.#options.now();
    const last = this.#progress;
    const isOver = bytesDone === bytesTotal;
    if (last?.phase === phase && !isOver && atMs - last.atMs < PROGRESS_INTERVAL_MS) return;
    this.#progress = { phase, atMs };
    this.#options.tell({ type: 'load-progress', shard: this.number, phase, bytesDone, bytesTotal });
  }

  /** @throws INTERNAL with both names when the transition is not in the table */
  #moveTo(state: HeldShardState): void {
    if (!NEXT[this.#state].includes(state)) {
      throw new ShoalError('INTERNAL', `a shard in state '${this.#state}' cannot go to '${state}'`);
    }
    this.#state = state;
  }
}
