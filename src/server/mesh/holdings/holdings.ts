/** Which worker holds or loads which layers: shards come with `hold` and go with `drop`, whatever becomes of routes. */
import type { Logger } from 'pino';
import { ShoalError } from '../../../config/errors.ts';
import {
  KIB,
  LEAST_LOAD_BYTES_PER_SECOND,
  LOAD_STALL_MS,
  MAX_HELD_SHARDS,
  MAX_LOGGED_WORDS,
  UNRECEIPTED_CLAIM_MS,
} from '../../../config/limits.ts';
import { oneLine } from '../../../config/one-line.ts';
import type { HeldShard, PeerMessage } from '../../../mesh/protocol/control.ts';
import type { Timers } from '../../../mesh/timers.ts';
import type { Quantization, Shard } from '../../../model/shard.ts';
import type { ModelCosts } from '../../../schedule/costs.ts';
import { LoadWatch } from '../../../schedule/load-watch.ts';
import { manifestPath, modelPath } from '../../files/model-paths.ts';
import { TimerGroup } from '../../timer-group.ts';
import type { Peer } from '../peers/peer.ts';
import { Holding } from './holding.ts';
import { loadFailure } from './load-failure.ts';
import { type ReceiptKey, Receipts } from './receipts.ts';
import { shardCost } from './shard-cost.ts';

type Message<T extends PeerMessage['type']> = Extract<PeerMessage, { type: T }>;

export interface HoldingsOptions {
  readonly model: string;
  readonly costs: ModelCosts;
  readonly quantization: Quantization;
  readonly receiptKey: ReceiptKey;
  readonly timers: Timers;
  readonly log: Logger;
}

/** Each is told after the holdings have changed. */
export interface HoldingsWatcher {
  held(holding: Holding): void;
  /** It loads so slowly that who can load the same should. */
  lagging(): void;
  /** The worker does not hold, or will not hold it; `error`: it is to blame. */
  lost(holding: Holding, error: ShoalError | null): void;
}

interface Worker {
  /** In the order of their coming. */
  readonly holdings: Map<number, Holding>;
  /** Layers that it holds, or has held. */
  readonly hasHeld: Set<number>;
  lastShard: number;
}

/** What has come onto GPUs since the start, for metrics. */
export interface LoadedBytes {
  loaded: number;
  /** Of them, those of layers that the worker had held before. */
  loadedAgain: number;
}

export class Holdings {
  readonly bytes: LoadedBytes = { loaded: 0, loadedAgain: 0 };
  readonly #options: HoldingsOptions;
  readonly #timers: TimerGroup;
  readonly #receipts: Receipts;
  readonly #believesUntilMs: number;
  readonly #workers = new Map<Peer, Worker>();
  #all: readonly Holding[] | null = null;
  #version = 0;
  readonly #watcher: HoldingsWatcher;
  /** Of those that load. */
  readonly #watches = new Map<Holding, LoadWatch>();
  readonly #cancelWatches = new Map<Holding, () => void>();

  constructor(options: HoldingsOptions, watcher: HoldingsWatcher) {
    this.#options = options;
    this.#timers = new TimerGroup(options.timers);
    this.#watcher = watcher;
    const { bytes, isKept } = options.receiptKey;
    this.#receipts = new Receipts(bytes);
    this.#believesUntilMs = isKept ? Number.NEGATIVE_INFINITY : this.#timers.now() + UNRECEIPTED_CLAIM_MS;
  }

  /** Asked for at every change of the mesh: made anew only where it is another. */
  all(): readonly Holding[] {
    this.#all ??= [...this.#workers.values()].flatMap(({ holdings }) => [...holdings.values()]);
    return this.#all;
  }

  /** Rises when something is held, or loads, that did not, and when it does no more. */
  get version(): number {
    return this.#version;
  }

  of(peer: Peer): Holding[] {
    const { holdings } = this.#workers.get(peer) ?? { holdings: null };
    // Of most in a large mesh.
    if (holdings === null || holdings.size === 0) return [];
    return [...holdings.values()];
  }

  find(peer: Peer, shard: number): Holding | undefined {
    return this.#workers.get(peer)?.holdings.get(shard);
  }

  bytesOn(peer: Peer): number {
    return this.of(peer).reduce((sum, holding) => sum + holding.bytes, 0);
  }

  /** Whether the worker may be given one more. */
  hasPlace(peer: Peer): boolean {
    return (this.#workers.get(peer)?.holdings.size ?? 0) < MAX_HELD_SHARDS;
  }

  /** Layers that the worker holds or loads already are not loaded again. */
  load(peer: Peer, layers: Shard): Holding {
    const known = this.of(peer).find((holding) => holding.isSameAs(peer, layers));
    if (known !== undefined) return known;
    const worker = this.#workerOf(peer);
    const shard = ++worker.lastShard;
    const holding = new Holding(peer, shard, layers, this.#costOn(peer, layers));
    worker.holdings.set(shard, holding);
    this.#changed();
    this.#send(holding);
    this.#watches.set(holding, new LoadWatch(holding.bytes, this.#timers.now()));
    this.#watchLoad(holding);
    return holding;
  }

  isLagging(holding: Holding): boolean {
    return this.#watches.get(holding)?.state(this.#timers.now()) === 'lagging';
  }

  drop(holding: Holding): void {
    if (!this.#remove(holding)) return;
    if (!holding.peer.isAway) holding.peer.connection.send({ type: 'drop', shard: holding.shard });
  }

  progress(peer: Peer, { shard, ...report }: Message<'load-progress'>): void {
    const holding = this.find(peer, shard);
    if (holding === undefined || holding.isHeld) return;
    const { phase, bytesDone, bytesTotal } = report;
    this.#watches.get(holding)?.progress(bytesDone, holding.load.phase !== phase, this.#timers.now());
    holding.load = { phase, bytesDone, bytesTotal };
  }

  held(peer: Peer, { shard, downloadedBytes, gpuBytes, kvPositions, loadMs }: Message<'held'>): void {
    const holding = this.find(peer, shard);
    if (holding === undefined || holding.isHeld) return;
    this.#endDeadlines(holding);
    holding.held(gpuBytes, kvPositions);
    this.#changed();
    peer.downloadedBytes += downloadedBytes;
    this.#count(holding, gpuBytes);
    this.#options.log.info({ worker: peer.name, shard, downloadedBytes, gpuBytes, loadMs }, 'shard held');
    this.#watcher.held(holding);
  }

  /** Of one that loads, or one that was held. */
  loadFailed(peer: Peer, message: Message<'load-failed'>): void {
    const { shard, error } = message;
    const holding = this.find(peer, shard);
    if (holding === undefined || !this.#remove(holding)) return;
    const says = oneLine(error.message, MAX_LOGGED_WORDS);
    this.#options.log.warn({ worker: peer.name, shard, code: error.code, says }, 'a worker could not load');
    this.#watcher.lost(holding, loadFailure(error.code));
  }

  /**
   * What the worker says that it holds: what fits this model and was asked for here is kept, the rest it is told to drop. A server
   * that has just started, and cannot know what the one before it asked for, believes what fits the worker's memory.
   * What it should hold and does not name is lost, and what it should load it is told again.
   * @returns whether it holds what nobody here had asked for
   */
  reconcile(peer: Peer, told: readonly HeldShard[]): boolean {
    const worker = this.#workerOf(peer);
    const named = new Map(told.map((held) => [held.shard, held]));
    for (const holding of [...worker.holdings.values()]) {
      const held = named.get(holding.shard);
      const isIt = held !== undefined && this.#isUsable(held) && holding.isSameAs(peer, held.layers);
      if (isIt) {
        named.delete(holding.shard);
        if (holding.isHeld) continue;
        this.#endDeadlines(holding);
        holding.held(held.gpuBytes, held.kvPositions ?? null);
        this.#changed();
        this.#watcher.held(holding);
      } else if (holding.isHeld || held !== undefined) {
        this.#remove(holding);
        this.#watcher.lost(holding, null);
      } else this.#send(holding);
    }
    return [...named.values()].map((held) => this.#adopt(peer, worker, held)).includes(true);
  }

  /** The peer lends nothing any more. @returns what it held or loaded */
  forget(peer: Peer): Holding[] {
    const holdings = this.of(peer);
    for (const holding of holdings) this.#remove(holding);
    this.#workers.delete(peer);
    return holdings;
  }

  close(): void {
    this.#timers.clear();
  }

  #adopt(peer: Peer, worker: Worker, held: HeldShard): boolean {
    const { shard, layers, gpuBytes } = held;
    const refusal = this.#whyNotAdopted(peer, worker, held);
    if (refusal !== null) {
      this.#options.log.info({ worker: peer.name, shard, model: held.model }, `shard dropped: ${refusal}`);
      peer.connection.send({ type: 'drop', shard });
      return false;
    }
    const holding = new Holding(peer, shard, layers, this.#costOn(peer, layers));
    holding.held(gpuBytes, held.kvPositions ?? null);
    for (const layer of layersOf(holding)) worker.hasHeld.add(layer);
    worker.holdings.set(shard, holding);
    this.#changed();
    worker.lastShard = Math.max(worker.lastShard, shard);
    this.#options.log.info({ worker: peer.name, shard, layers }, 'shard held since before');
    this.#watcher.held(holding);
    return true;
  }

  #whyNotAdopted(peer: Peer, worker: Worker, held: HeldShard): string | null {
    const { layers } = held;
    const isTwice = this.of(peer).some((holding) => holding.isSameAs(peer, layers));
    if (isTwice || worker.holdings.has(held.shard)) return 'it is held twice';
    if (!this.#isUsable(held)) return 'not of this model';
    if (this.#receipts.isOurs(peer.id, held)) return null;
    if (this.#timers.now() > this.#believesUntilMs) return 'nobody here asked for it';
    const bytes = this.bytesOn(peer) + this.#costOn(peer, layers).bytes;
    return bytes > peer.capability!.memoryBudgetBytes ? 'more than fits its memory' : null;
  }

  #costOn(peer: Peer, layers: Shard): ReturnType<typeof shardCost> {
    return shardCost(this.#options.costs, peer.capability!, layers);
  }

  #count(holding: Holding, gpuBytes: number): void {
    const { hasHeld } = this.#workerOf(holding.peer);
    const layers = layersOf(holding);
    const known = layers.filter((layer) => hasHeld.has(layer)).length;
    this.bytes.loaded += gpuBytes;
    this.bytes.loadedAgain += (gpuBytes * known) / layers.length;
    for (const layer of layers) hasHeld.add(layer);
  }

  #isUsable({ model, quantization, layers }: HeldShard): boolean {
    const { costs } = this.#options;
    const { start, end, embedding, head } = layers;
    return (
      model === this.#options.model &&
      quantization === this.#options.quantization &&
      end <= costs.layers.length &&
      embedding === (start === 0) &&
      head === (end === costs.layers.length)
    );
  }

  #send({ peer, shard, layers }: Holding): void {
    const { model, quantization } = this.#options;
    peer.connection.send({
      type: 'hold',
      shard,
      model,
      manifestPath: manifestPath(model, layers),
      filesPath: modelPath(model),
      quantization,
      layers,
      receipt: this.#receipts.give(peer.id, { shard, model, quantization, layers }),
    });
  }

  /** Progress only puts off when it is looked at. */
  #watchLoad(holding: Holding): void {
    const watch = this.#watches.get(holding);
    if (watch === undefined) return;
    const now = this.#timers.now();
    if (watch.state(now) === 'failed') {
      const least = `${LEAST_LOAD_BYTES_PER_SECOND / KIB} KiB a second`;
      this.#late(
        holding,
        watch.isOverdue(now)
          ? `loading its layers takes longer than with ${least}`
          : `no progress loading its layers for ${LOAD_STALL_MS / 1_000} s, or less than ${least}`,
      );
      return;
    }
    this.#cancelWatches.set(
      holding,
      this.#timers.after(watch.nextChangeMs(now) - now, () => this.#watchLoad(holding)),
    );
    if (watch.state(now) === 'lagging') this.#watcher.lagging();
  }

  #late(holding: Holding, what: string): void {
    this.drop(holding);
    this.#watcher.lost(holding, new ShoalError('DEADLINE_EXCEEDED', `${what}; it is left out for a while`));
  }

  #endDeadlines(holding: Holding): void {
    this.#cancelWatches.get(holding)?.();
    this.#cancelWatches.delete(holding);
    this.#watches.delete(holding);
  }

  #remove(holding: Holding): boolean {
    this.#endDeadlines(holding);
    this.#changed();
    return this.#workers.get(holding.peer)?.holdings.delete(holding.shard) ?? false;
  }

  #changed(): void {
    this.#all = null;
    this.#version++;
  }

  #workerOf(peer: Peer): Worker {
    const worker = this.#workers.get(peer) ?? {
      holdings: new Map<number, Holding>(),
      hasHeld: new Set<number>(),
      lastShard: 0,
    };
    this.#workers.set(peer, worker);
    return worker;
  }
}

function layersOf({ layers: { start, end } }: Holding): number[] {
  return Array.from({ length: end - start }, (_, i) => start + i);
}
