import { ShoalError } from '../config/errors.ts';
import { MAX_HELD_SHARDS } from '../config/limits.ts';
import type { HeldShard as HeldShardReport, PeerMessage, RunningSequence } from '../mesh/protocol/control.ts';
import type { WorkerDevice } from './device.ts';
import { HeldShard, type HeldShardOptions, type HoldMessage } from './held-shard.ts';
import type { Stage } from './stage.ts';

export interface ShardsOptions extends Pick<HeldShardOptions, 'makeStage' | 'tell' | 'now'> {
  /** An error that nobody foresaw (a WebGPU validation error, say) leaves the device in doubt. */
  readonly onDoubt: () => void;
  /** A shard came or went. */
  readonly onChange: () => void;
}

/** The device that shards are loaded on, and what of its memory they may take together. */
export interface ShardHome {
  readonly device: WorkerDevice;
  readonly serverUrl: string;
  readonly memoryBudgetBytes: number;
}

/** The shards of one worker, by the number that the server gave them. */
export class Shards {
  readonly #options: ShardsOptions;
  readonly #shards = new Map<number, HeldShard>();
  /** Loads run one after another, so that each knows what memory is left. */
  #loads: Promise<void> = Promise.resolve();
  /** Decode rows of stages that are gone. */
  #rowsOfClosed = 0;

  constructor(options: ShardsOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#shards.size;
  }

  get gpuBytes(): number {
    return this.#sum((shard) => shard.gpuBytes);
  }

  get freePositions(): number {
    return this.#sum((shard) => shard.freePositions);
  }

  /** Decode rows since the start. */
  get decodeRows(): number {
    return this.#rowsOfClosed + this.#sum((shard) => shard.stage?.hop.summary().decodeRows ?? 0);
  }

  get stages(): Stage[] {
    return this.#all.flatMap(({ stage }) => stage ?? []);
  }

  /** What is whole on the GPU. */
  get held(): HeldShardReport[] {
    return this.#all.filter(({ state }) => state === 'held').map(({ report }) => report);
  }

  get running(): RunningSequence[] {
    return this.#all.flatMap(({ number, stage }) =>
      (stage?.running ?? []).map((running) => ({ ...running, shard: number })),
    );
  }

  /** The stage of shard `number`, once it is held. */
  stage(number: number): Stage | undefined {
    return this.#shards.get(number)?.stage ?? undefined;
  }

  stageOf(sequence: number): Stage | undefined {
    return this.stages.find((stage) => stage.has(sequence));
  }

  /** Loads a shard, after those before it. Failures are told. @param home null: there is no device */
  hold(message: HoldMessage, home: ShardHome | null): void {
    const { shard } = message;
    const known = this.#shards.get(shard);
    if (known !== undefined) {
      known.tellHeld();
      return;
    }
    try {
      if (home === null) throw new ShoalError('DEVICE_LOST', 'this worker has no device; join again');
      if (this.#shards.size >= MAX_HELD_SHARDS) {
        throw new ShoalError(
          'OVERLOADED',
          `${this.#shards.size} shards are held, the bound is ${MAX_HELD_SHARDS}; drop some first`,
        );
      }
      this.#load(message, home);
    } catch (thrown) {
      this.#tell({ type: 'load-failed', shard, error: ShoalError.from(thrown).toWire() });
    }
  }

  /** Frees the shard. Its sequences fail. */
  drop(number: number): void {
    const shard = this.#shards.get(number);
    if (shard === undefined) return;
    shard.stage?.failAll(
      new ShoalError('SEQUENCE_UNKNOWN', `shard ${number} was dropped; take another route`),
    );
    this.#forget(shard);
    shard.close();
    this.#options.onChange();
  }

  /** Frees all without a word: the device, or the server that wanted them, is gone. */
  dropAll(): void {
    for (const shard of this.#all) {
      this.#forget(shard);
      shard.close();
    }
    this.#options.onChange();
  }

  get #all(): HeldShard[] {
    return [...this.#shards.values()];
  }

  #load(message: HoldMessage, { device, serverUrl, memoryBudgetBytes }: ShardHome): void {
    const held = new HeldShard({
      message,
      serverUrl,
      makeStage: this.#options.makeStage,
      tell: (told) => this.#tell(told),
      onFailed: (shard, error) => {
        this.#forget(shard);
        this.#options.onChange();
        if (error.code === 'INTERNAL') this.#options.onDoubt();
      },
      now: this.#options.now,
    });
    this.#shards.set(held.number, held);
    this.#loads = this.#loads.then(() => held.load(device, memoryBudgetBytes - this.gpuBytes));
    this.#options.onChange();
  }

  #forget(shard: HeldShard): void {
    if (this.#shards.get(shard.number) !== shard) return;
    this.#rowsOfClosed += shard.stage?.hop.summary().decodeRows ?? 0;
    this.#shards.delete(shard.number);
  }

  #tell(message: PeerMessage): void {
    this.#options.tell(message);
  }

  #sum(of: (shard: HeldShard) => number): number {
    return this.#all.reduce((sum, shard) => sum + of(shard), 0);
  }
}
