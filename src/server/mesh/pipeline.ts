import { megabytesOf } from '../../config/bytes-text.ts';
import { ShoalError } from '../../config/errors.ts';
import type { LoadPhase, StageInfo } from '../../mesh/protocol/control.ts';
import type { Shard } from '../../model/shard.ts';
import type { Peer } from './registry.ts';

/** `draining`: replaced by a newer pipeline, finishes its sequences. `ended`: its assignments are taken back. */
export type PipelineState = 'loading' | 'live' | 'draining' | 'ended';

const NEXT: Record<PipelineState, readonly PipelineState[]> = {
  loading: ['live', 'ended'],
  live: ['draining', 'ended'],
  draining: ['ended'],
  ended: [],
};

export interface PipelineStage {
  readonly peer: Peer;
  readonly shard: Shard;
  /** As placement predicted them. */
  readonly seconds: number;
  readonly bytes: number;
}

interface StageLoad {
  /** GPU bytes that the worker says the stage takes; null until it is ready. */
  gpuBytes: number | null;
  phase: LoadPhase;
  bytesDone: number;
  bytesTotal: number;
}

/** Workers in order whose shards cover the model. Its epoch is in every message and frame that concerns it. */
export class Pipeline {
  readonly epoch: number;
  readonly stages: readonly PipelineStage[];
  /** Sequences that run on it. */
  sequences = 0;
  /** Positions of its sequences that have no token yet: they share the stages with each other. */
  queuedPositions = 0;
  /** When one of them had its first token (the server's clock). */
  prefilledAt = Number.NEGATIVE_INFINITY;
  #state: PipelineState = 'loading';
  readonly #loads: ReadonlyMap<string, StageLoad>;

  constructor(epoch: number, stages: readonly PipelineStage[]) {
    this.epoch = epoch;
    this.stages = stages;
    this.#loads = new Map(
      stages.map(({ peer }) => [peer.id, { gpuBytes: null, phase: 'download', bytesDone: 0, bytesTotal: 0 }]),
    );
  }

  get state(): PipelineState {
    return this.#state;
  }

  /** @throws INTERNAL when the transition is not in the table */
  moveTo(state: PipelineState): void {
    if (!NEXT[this.#state].includes(state)) {
      throw new ShoalError(
        'INTERNAL',
        `pipeline ${this.epoch} in state '${this.#state}' cannot go to '${state}'`,
      );
    }
    this.#state = state;
  }

  get first(): Peer {
    return this.stages[0]!.peer;
  }

  get last(): Peer {
    return this.stages.at(-1)!.peer;
  }

  stageOf(peer: Peer): PipelineStage | undefined {
    return this.stages.find((stage) => stage.peer === peer);
  }

  /** Whether there is a link between them: from stage to stage, and from the last to the first. */
  areNeighbours(a: Peer, b: Peer): boolean {
    const [i, j] = [a, b].map((peer) => this.stages.findIndex((stage) => stage.peer === peer)) as [
      number,
      number,
    ];
    if (i < 0 || j < 0 || i === j) return false;
    return Math.abs(i - j) === 1 || Math.abs(i - j) === this.stages.length - 1;
  }

  infos(): StageInfo[] {
    return this.stages.map(({ peer, shard }) => ({ peer: peer.id, name: peer.name, shard }));
  }

  /** @returns whether anything changed since the stage's last report */
  noteProgress(peer: Peer, report: Omit<StageLoad, 'gpuBytes'>): boolean {
    const load = this.#loads.get(peer.id);
    if (load === undefined) return false;
    const { phase, bytesDone, bytesTotal } = report;
    const changed = load.phase !== phase || load.bytesDone !== bytesDone;
    Object.assign(load, { phase, bytesDone, bytesTotal });
    return changed;
  }

  /** @returns false when the stage was ready already */
  noteReady(peer: Peer, gpuBytes: number): boolean {
    const load = this.#loads.get(peer.id);
    if (load === undefined || load.gpuBytes !== null) return false;
    load.gpuBytes = gpuBytes;
    return true;
  }

  get isReady(): boolean {
    return [...this.#loads.values()].every(({ gpuBytes }) => gpuBytes !== null);
  }

  /** Of the worker's memory: what it reported, before that what placement predicted; 0 for others. */
  bytesOn(peer: Peer): number {
    return this.#loads.get(peer.id)?.gpuBytes ?? this.stageOf(peer)?.bytes ?? 0;
  }

  /**
   * The stages that hold the load up. One that waits for its neighbours (`connect`) is not to blame while another
   * still loads.
   */
  laggards(): readonly Peer[] {
    const waiting = this.stages
      .map(({ peer }) => peer)
      .filter((peer) => this.#loads.get(peer.id)!.gpuBytes === null);
    const behind = waiting.filter((peer) => this.#loads.get(peer.id)!.phase !== 'connect');
    return behind.length > 0 ? behind : waiting;
  }

  /** For people: `tab 1 [0, 3), tab 2 [3, 8)`. */
  toString(): string {
    return this.stages.map(({ peer, shard }) => `${peer.name} [${shard.start}, ${shard.end})`).join(', ');
  }

  /** What has been loaded of what the stages have reported so far. */
  loaded(): { readonly ready: number; readonly bytesDone: number; readonly bytesTotal: number } {
    const loads = [...this.#loads.values()];
    const sum = (of: (load: StageLoad) => number) => loads.reduce((total, load) => total + of(load), 0);
    return {
      ready: sum((load) => (load.gpuBytes === null ? 0 : 1)),
      bytesDone: sum((load) => load.bytesDone),
      bytesTotal: sum((load) => load.bytesTotal),
    };
  }

  /** For people: `2 of 3 workers ready, 10.1 of 15.0 MB`. */
  loadText(): string {
    const { ready, bytesDone, bytesTotal } = this.loaded();
    const workers = `${ready} of ${this.stages.length} workers ready`;
    // Nobody has said yet how much there is to load.
    return bytesTotal === 0 ? workers : `${workers}, ${megabytesOf(bytesDone, bytesTotal)}`;
  }
}
