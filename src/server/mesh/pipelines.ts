/**
 * Which pipelines exist. Workers come and go; the best placement of those present is loaded as a new epoch while the
 * old one goes on serving, and takes over when all its stages are ready (make before break). A departure ends the
 * pipelines that the worker was part of at once, and the rest is placed anew.
 */
import type { Logger } from 'pino';
import { ShoalError } from '../../config/errors.ts';
import {
  DEPARTURE_DEBOUNCE_MS,
  EXPECT_WORKERS_MS,
  LOAD_STALL_MS,
  PLACEMENT_DEBOUNCE_MS,
  SUSPICION_MS,
} from '../../config/limits.ts';
import type { PeerMessage } from '../../mesh/protocol/control.ts';
import type { Loss, SpareReason } from '../../mesh/protocol/status.ts';
import type { Timers } from '../../mesh/timers.ts';
import type { Quantization } from '../../model/shard.ts';
import type { ModelCosts } from '../../schedule/costs.ts';
import {
  type DoesNotFit,
  isWorthMoving,
  type Placed,
  type Placement,
  place,
  slowestStage,
} from '../../schedule/placement.ts';
import { EarliestTimer } from '../earliest-timer.ts';
import { TimerGroup } from '../timer-group.ts';
import { assignStages } from './assign-stages.ts';
import { Losses } from './losses.ts';
import { Pipeline } from './pipeline.ts';
import { placementWorkers } from './placement-workers.ts';
import type { Peer, Registry } from './registry.ts';
import { Judgements, whySpare } from './why-spare.ts';

export interface PipelinesOptions {
  readonly model: string;
  readonly costs: ModelCosts;
  readonly quantization: Quantization;
  readonly registry: Registry;
  readonly timers: Timers;
  readonly log: Logger;
  /** Stages at most; all workers up to the layers without it. */
  readonly pipelineSize?: number;
  /** The first placement waits for so many workers, EXPECT_WORKERS_MS at most. */
  readonly expectWorkers?: number;
}

export type Shortage = Pick<DoesNotFit, 'workers' | 'detail'>;

type Message<T extends PeerMessage['type']> = Extract<PeerMessage, { type: T }>;

export class Pipelines {
  readonly #options: PipelinesOptions;
  readonly #timers: TimerGroup;
  readonly #placing: EarliestTimer;
  readonly #liveListeners: ((pipeline: Pipeline) => void)[] = [];
  readonly #endListeners: ((pipeline: Pipeline, loss: Loss | null) => void)[] = [];
  readonly #losses = new Losses();
  readonly #judged = new Judgements();
  #live: Pipeline | null = null;
  #loading: Pipeline | null = null;
  /** At most one: while it drains nothing new is loaded. */
  #draining: Pipeline | null = null;
  #epoch = 0;
  #expecting: boolean;
  #cancelStall: () => void = () => {};
  #lastOrder: readonly string[] = [];
  /** Why there is no pipeline, when none is live or loading. */
  #lack = 'no worker has joined; open the page and press Join';
  #shortage: DoesNotFit | null = null;
  #closed = false;
  /** A better placement has no memory beside the live pipeline. */
  #waitsForIdle = false;

  constructor(options: PipelinesOptions) {
    this.#options = options;
    this.#timers = new TimerGroup(options.timers);
    this.#placing = new EarliestTimer(this.#timers, () => this.#place());
    this.#expecting = (options.expectWorkers ?? 0) > 1;
    if (this.#expecting) {
      this.#timers.after(EXPECT_WORKERS_MS, () => {
        this.#expecting = false;
        this.#placing.within(0);
      });
    }
  }

  get live(): Pipeline | null {
    return this.#live;
  }

  get loading(): Pipeline | null {
    return this.#loading;
  }

  /** Sequences on all pipelines. */
  get sequences(): number {
    return this.#all().reduce((sum, pipeline) => sum + pipeline.sequences, 0);
  }

  /** Whether a pipeline may be expected without anyone joining: it loads, or is about to be placed. */
  get isComing(): boolean {
    return this.#loading !== null || this.isPlacing;
  }

  /** A placement is due. */
  get isPlacing(): boolean {
    return this.#placing.isDue;
  }

  /** Whom the pipeline that served last has lost, and those after it that did not come to serve. */
  get losses(): Losses['told'] {
    return this.#losses.told;
  }

  /** Why a worker holds nothing; null for one that does, or loads. */
  spareReason(peer: Peer): SpareReason | null {
    if (this.#all().some((pipeline) => pipeline.stageOf(peer) !== undefined)) return null;
    const expected = this.#options.expectWorkers ?? 0;
    return whySpare(peer, {
      nowMs: this.#timers.now(),
      expecting: this.#expecting ? { joined: this.#options.registry.workers().length, expected } : null,
      isPlacing: this.isPlacing,
      judged: this.#judged.of(peer.id),
      hasLive: this.#live !== null,
      hasLoading: this.#loading !== null,
      missingBytes: this.#shortage === null ? 0 : this.#shortage.neededBytes - this.#shortage.availableBytes,
    });
  }

  onLive(listener: (pipeline: Pipeline) => void): void {
    this.#liveListeners.push(listener);
  }

  /** A pipeline ended with sequences on it or before it was ready: departure, failure, shutdown. */
  onBroken(listener: (pipeline: Pipeline, loss: Loss | null) => void): void {
    this.#endListeners.push(listener);
  }

  /** Set while the model does not fit into the workers that are there, and would not if those left out for a while were asked again. */
  get shortage(): Shortage | null {
    return this.#shortage;
  }

  /** One sentence for people: what is served, or what is missing. */
  get detail(): string {
    const { model } = this.#options;
    const names = (pipeline: Pipeline) => pipeline.stages.map(({ peer }) => peer.name).join(', ');
    if (this.#live !== null) return `${model} is served by ${names(this.#live)}`;
    if (this.#loading !== null)
      return `${model} loads on ${names(this.#loading)}: ${this.#loading.loadText()}`;
    return `${model} is not served: ${this.#lack}`;
  }

  /** Whether both hold stages of one pipeline. */
  areTogether(a: Peer, b: Peer): boolean {
    return this.#all().some((pipeline) => pipeline.stageOf(a) && pipeline.stageOf(b));
  }

  workerJoined(peer: Peer): void {
    this.#judged.forget(peer.id);
    this.#endAllWith(peer, `${peer.name} offered its device anew`, 'left');
    this.#placing.within(PLACEMENT_DEBOUNCE_MS);
  }

  /** After the registry knows that the peer is no worker any more. */
  workerGone(peer: Peer, reason: string): void {
    this.#judged.forget(peer.id);
    this.#endAllWith(peer, `${peer.name} left (${reason})`, 'left');
    this.#placing.within(DEPARTURE_DEBOUNCE_MS);
  }

  progress(peer: Peer, message: Message<'load-progress'>): void {
    if (this.#loading?.epoch !== message.epoch) return;
    if (this.#loading.noteProgress(peer, message)) this.#watchStall(this.#loading);
  }

  ready(peer: Peer, message: Message<'ready'>): void {
    const pipeline = this.#loading;
    if (pipeline?.epoch !== message.epoch || !pipeline.noteReady(peer, message.gpuBytes)) return;
    peer.downloadedBytes += message.downloadedBytes;
    peer.loaded();
    const { epoch, downloadedBytes, gpuBytes, loadMs } = message;
    this.#options.log.info({ worker: peer.name, epoch, downloadedBytes, gpuBytes, loadMs }, 'worker ready');
    this.#watchStall(pipeline);
    if (pipeline.isReady) this.#takeOver(pipeline);
  }

  loadFailed(peer: Peer, message: Message<'load-failed'>): void {
    const pipeline = this.#find(message.epoch);
    if (pipeline?.stageOf(peer) === undefined) return;
    const error = ShoalError.from(message.error);
    const other = message.peer === undefined ? undefined : this.#options.registry.get(message.peer);
    if (other === undefined || !pipeline.areNeighbours(peer, other)) {
      this.membersFailed(pipeline, [peer], error);
      return;
    }
    this.membersFailed(pipeline, [suspectOf(peer, other)], error, SUSPICION_MS);
  }

  linkDown(reporter: Peer, message: Message<'link-down'>): void {
    const pipeline = this.#find(message.epoch);
    const peer = this.#options.registry.get(message.peer);
    if (pipeline === undefined || peer === undefined || !pipeline.areNeighbours(reporter, peer)) return;
    // The first of two neighbours to notice wins: the other's report finds the pipeline ended. Excluding both would
    // leave nobody where two workers have lost only each other.
    this.membersFailed(pipeline, [suspectOf(reporter, peer)], ShoalError.from(message.error));
  }

  /**
   * No token comes and no stage says why. The stage that was suspected most often is left out until the rest has shown
   * whether it works; of equals the last, whose tokens they are.
   */
  stalled(pipeline: Pipeline, error: ShoalError): void {
    const peers = pipeline.stages.map(({ peer }) => peer);
    const suspect = peers.reduce((most, peer) => (peer.suspicions >= most.suspicions ? peer : most));
    suspect.suspicions++;
    this.membersFailed(pipeline, [suspect], error, SUSPICION_MS);
  }

  /**
   * Keeps layers away from the members that failed for a while. A pipeline that only loads ends alone: one that its
   * members serve at the same time is as good as before. A failure of one that serves ends all that they are part of.
   *
   * @param suspicionMs for failures that another may be to blame for: after the first while they get layers again, but
   *   until this only where the others cannot serve without them
   */
  membersFailed(pipeline: Pipeline, peers: readonly Peer[], error: ShoalError, suspicionMs = 0): void {
    if (pipeline.state === 'ended') return;
    const wasLoading = pipeline.state === 'loading';
    for (const peer of peers) {
      const problem = `${peer.name} failed: ${error.toString()}`;
      const backoffMs = peer.exclude(this.#timers.now(), problem, wasLoading);
      this.#options.log.warn({ worker: peer.name, epoch: pipeline.epoch, backoffMs }, problem);
      this.#timers.after(backoffMs, () => this.#placing.within(0));
      if (suspicionMs > 0) {
        peer.suspectedUntil = this.#timers.now() + suspicionMs;
        this.#timers.after(suspicionMs, () => this.#placing.within(0));
      }
      if (!wasLoading) this.#endAllWith(peer, problem, 'failed');
    }
    if (wasLoading) {
      const first = peers[0];
      const loss = first === undefined ? null : ({ worker: first.name, how: 'failed' } as const);
      this.#break(pipeline, new ShoalError('PIPELINE_LOST', first?.problem ?? error.message), loss);
    }
    this.#placing.within(DEPARTURE_DEBOUNCE_MS);
  }

  /** A sequence left the pipeline; the last one lets a draining pipeline go. */
  release(pipeline: Pipeline): void {
    pipeline.sequences--;
    if (pipeline.state === 'draining' && pipeline.sequences === 0) {
      this.#end(pipeline);
      this.#placing.within(0);
    }
    if (this.#waitsForIdle && pipeline === this.#live && pipeline.sequences === 0) this.#placing.within(0);
  }

  close(): void {
    this.#closed = true;
    this.#placing.stop();
    this.#timers.clear();
    this.#lack = 'the server is shutting down';
    const reason = new ShoalError('PIPELINE_LOST', 'the server is shutting down');
    for (const pipeline of this.#all()) this.#break(pipeline, reason, null);
  }

  #all(): Pipeline[] {
    return [this.#live, this.#loading, this.#draining].filter((pipeline) => pipeline !== null);
  }

  #find(epoch: number): Pipeline | undefined {
    return this.#all().find((pipeline) => pipeline.epoch === epoch);
  }

  #place(): void {
    // What loads is let finish: abandoning it for every newcomer might never serve at all.
    if (this.#loading !== null) return;
    if (this.#live !== null && this.#draining !== null) return;
    const { registry, costs, log } = this.#options;
    const now = this.#timers.now();
    const workers = registry.workers().filter((peer) => peer.excludedUntil <= now);
    const trusted = workers.filter((peer) => peer.suspectedUntil <= now);
    if (this.#expecting && workers.length < (this.#options.expectWorkers ?? 0)) {
      this.#lack = `${workers.length} of ${this.#options.expectWorkers} expected workers have joined`;
      return;
    }
    if (this.#live !== null) {
      this.#improve(this.#live, trusted);
      return;
    }
    const placed = (among: readonly Peer[]) =>
      place(costs, placementWorkers(among, this.#lastOrder, this.#all()), this.#options);
    const safe = placed(trusted);
    const placement = safe.kind === 'placed' ? safe : placed(workers);
    this.#shortage = null;
    if (placement.kind === 'placed') {
      this.#expecting = false;
      this.#load(placement);
      return;
    }
    if (workers.length > 0 && workers.length === registry.workers().length) this.#shortage = placement;
    const problems = registry.workers().flatMap(({ problem }) => (problem === null ? [] : [problem]));
    this.#lack = [placement.detail, ...problems].join('; ');
    this.#judged.clear();
    if (workers.length > 0) log.warn({ workers: workers.length }, this.detail);
  }

  /**
   * Loads a better placement beside the pipeline that serves. Where the workers' memory does not hold both, the old one
   * has to end first, and does when nobody uses it.
   */
  #improve(live: Pipeline, workers: readonly Peer[]): void {
    const { costs } = this.#options;
    this.#waitsForIdle = false;
    const placed = (holding: readonly Pipeline[]) =>
      place(costs, placementWorkers(workers, this.#lastOrder, holding), this.#options);
    const better = (placement: Placement) =>
      placement.kind === 'placed' && isWorthMoving(slowestStage(live.stages), placement) ? placement : null;
    const beside = better(placed(this.#all()));
    const alone = placed([]);
    const instead = beside ?? better(alone);
    this.#judged.note(alone, 'no-gain');
    if (instead === null) return;
    if (beside === null) {
      if (live.sequences > 0) {
        this.#waitsForIdle = true;
        this.#judged.note(alone, 'answers-first');
        return;
      }
      this.#options.log.info({ epoch: live.epoch }, 'pipeline ends: its memory is needed for a better one');
      this.#end(live);
    }
    this.#load(instead);
  }

  #load(placement: Placed): void {
    const { registry, model, quantization, log } = this.#options;
    const pipeline = new Pipeline(
      ++this.#epoch,
      placement.stages.map(({ worker, ...stage }) => ({ ...stage, peer: registry.get(worker)! })),
    );
    this.#loading = pipeline;
    this.#judged.note(placement, 'no-gain');
    log.info({ epoch: pipeline.epoch, spares: placement.spares.length }, `pipeline loads: ${pipeline}`);
    assignStages(pipeline, model, quantization);
    this.#watchStall(pipeline);
    this.#syncStates();
  }

  #takeOver(pipeline: Pipeline): void {
    const old = this.#live;
    this.#cancelStall();
    this.#loading = null;
    this.#live = pipeline;
    this.#lastOrder = pipeline.stages.map(({ peer }) => peer.id);
    pipeline.moveTo('live');
    if (old !== null) {
      if (old.sequences > 0) {
        old.moveTo('draining');
        this.#draining = old;
      } else this.#end(old);
    }
    this.#syncStates();
    this.#options.log.info({ epoch: pipeline.epoch }, 'pipeline live');
    for (const listener of this.#liveListeners) listener(pipeline);
    this.#placing.within(PLACEMENT_DEBOUNCE_MS);
  }

  #watchStall(pipeline: Pipeline): void {
    this.#cancelStall();
    this.#cancelStall = this.#timers.after(LOAD_STALL_MS, () => {
      const seconds = LOAD_STALL_MS / 1_000;
      const error = new ShoalError(
        'DEADLINE_EXCEEDED',
        `no progress loading its layers for ${seconds} s; it is left out for a while`,
      );
      this.membersFailed(pipeline, pipeline.laggards(), error);
    });
  }

  #endAllWith(peer: Peer, why: string, how: 'left' | 'failed'): void {
    for (const pipeline of this.#all()) {
      if (pipeline.stageOf(peer) === undefined) continue;
      this.#break(pipeline, new ShoalError('PIPELINE_LOST', why), { worker: peer.name, how });
    }
  }

  #break(pipeline: Pipeline, reason: ShoalError, loss: Loss | null): void {
    this.#options.log[this.#closed ? 'debug' : 'warn'](
      { epoch: pipeline.epoch, sequences: pipeline.sequences },
      `pipeline lost: ${reason.message}`,
    );
    this.#lack = reason.message;
    const wasServing = pipeline === this.#live;
    // What was judged of the others was judged beside this one.
    if (this.#live === null || wasServing) this.#judged.clear();
    if (loss !== null && (this.#live === null || wasServing)) this.#losses.add(loss, wasServing);
    this.#end(pipeline);
    for (const listener of this.#endListeners) listener(pipeline, loss);
  }

  #end(pipeline: Pipeline): void {
    pipeline.moveTo('ended');
    if (this.#live === pipeline) this.#live = null;
    if (this.#draining === pipeline) this.#draining = null;
    if (this.#loading === pipeline) {
      this.#loading = null;
      this.#cancelStall();
    }
    for (const { peer } of pipeline.stages) {
      if (peer.state !== 'gone') peer.connection.send({ type: 'unassign', epoch: pipeline.epoch });
    }
    this.#syncStates();
  }

  #syncStates(): void {
    const holds = (pipeline: Pipeline | null, peer: Peer) => pipeline?.stageOf(peer) !== undefined;
    for (const peer of this.#options.registry.workers()) {
      if (holds(this.#live, peer) || holds(this.#draining, peer)) peer.moveTo('serving');
      else peer.moveTo(holds(this.#loading, peer) ? 'loading' : 'joined');
    }
  }
}

/** The end of a failed link that more failures speak against; of equals the one that did not report it. */
function suspectOf(reporter: Peer, other: Peer): Peer {
  reporter.suspicions++;
  other.suspicions++;
  return reporter.suspicions > other.suspicions ? reporter : other;
}
