/** The server's side of the mesh: registry, pipelines and generations, driven by what peers send. */
import type { Logger } from 'pino';
import type { Readiness } from '../../backend/backend.ts';
import type { WireDtype } from '../../gpu/stage-engine.ts';
import type { PeerMessage } from '../../mesh/protocol/control.ts';
import type { Status, WorkerStatus } from '../../mesh/protocol/status.ts';
import type { Timers } from '../../mesh/timers.ts';
import type { Quantization } from '../../model/shard.ts';
import type { ModelCosts } from '../../schedule/costs.ts';
import type { MeshMessage } from './control-connection.ts';
import { Coordinator } from './coordinator.ts';
import type { ModelShare } from './model-share.ts';
import { Pipelines } from './pipelines.ts';
import { recoveryOf } from './recovery.ts';
import { type Peer, Registry } from './registry.ts';

export interface MeshOptions {
  readonly model: string;
  readonly costs: ModelCosts;
  /** Told to who wonders whether to join. */
  readonly share?: ModelShare;
  readonly quantization?: Quantization;
  readonly wire: WireDtype;
  readonly pipelineSize?: number;
  readonly expectWorkers?: number;
  readonly timers: Timers;
  readonly log: Logger;
}

export class Mesh {
  readonly registry: Registry;
  readonly pipelines: Pipelines;
  readonly coordinator: Coordinator;
  readonly share: ModelShare | null;
  readonly #log: Logger;

  constructor({ quantization = 'native', ...options }: MeshOptions) {
    this.share = options.share ?? null;
    this.#log = options.log;
    this.registry = new Registry(options);
    this.registry.watch({
      // Until routes know peers that may return, one that is away is gone.
      away: (peer, reason) => this.pipelines.workerGone(peer, reason),
    });
    this.pipelines = new Pipelines({ ...options, quantization, registry: this.registry });
    this.coordinator = new Coordinator({ ...options, pipelines: this.pipelines });
  }

  /** A message of a peer that has said hello. @throws PROTOCOL_INVALID for one that does not fit the peer's state */
  handle(peer: Peer, message: MeshMessage): void {
    switch (message.type) {
      case 'join':
        this.#join(peer, message);
        break;
      case 'leave':
        this.#leave(peer, message.reason);
        break;
      case 'signal':
        this.#relay(peer, message);
        break;
      case 'stats':
        peer.stats = message;
        break;
      case 'load-progress':
        this.pipelines.progress(peer, message);
        break;
      case 'ready':
        this.pipelines.ready(peer, message);
        break;
      case 'load-failed':
        this.pipelines.loadFailed(peer, message);
        break;
      case 'link-down':
        this.pipelines.linkDown(peer, message);
        break;
      case 'opened':
        this.coordinator.opened(peer, message);
        break;
      case 'token':
        this.coordinator.token(peer, message);
        break;
      case 'sequence-failed':
        this.coordinator.sequenceFailed(peer, message);
        break;
      default:
        message satisfies never;
    }
  }

  /** Generations that have no place on a pipeline yet, or not again. */
  get waiting(): number {
    return Math.max(0, this.coordinator.inFlight - this.pipelines.sequences);
  }

  readiness(): Readiness {
    return { ready: this.pipelines.live !== null, detail: this.pipelines.detail };
  }

  workers(): WorkerStatus[] {
    const { live } = this.pipelines;
    return this.registry.workers().map((peer) => {
      const shard = live?.stageOf(peer)?.shard;
      return {
        peer: peer.id,
        name: peer.name,
        state: peer.state,
        layers: shard === undefined ? null : [shard.start, shard.end],
        adapter: peer.capability?.adapter ?? null,
        gemvMacsPerSecond: peer.capability?.gemvMacsPerSecond ?? null,
        tokensPerSecond: peer.stats?.tokensPerSecond ?? 0,
        downloadedBytes: peer.downloadedBytes,
        hop: peer.stats?.hop ?? null,
        problem: peer.problem,
        spare: this.pipelines.spareReason(peer),
      };
    });
  }

  loading(): Status['loading'] {
    const { loading } = this.pipelines;
    return loading && { stages: loading.infos(), ...loading.loaded() };
  }

  recovery(): Status['recovery'] {
    const { losses, live, loading, isPlacing } = this.pipelines;
    const left = this.registry.workers().map(({ name }) => name);
    return recoveryOf({ losses, live, loading, isPlacing, resuming: this.coordinator.resuming, left });
  }

  close(): void {
    this.coordinator.close();
    this.pipelines.close();
    this.registry.close();
  }

  #join(peer: Peer, { capability }: Extract<PeerMessage, { type: 'join' }>): void {
    const { adapter, gemvMacsPerSecond, memoryBudgetBytes } = capability;
    this.#log.info(
      { peer: peer.id, worker: peer.name, adapter, gemvMacsPerSecond, memoryBudgetBytes },
      'worker joined',
    );
    this.pipelines.workerJoined(peer);
  }

  #leave(peer: Peer, reason: string): void {
    // A page that never joined, or says so twice on its way out, has nothing to give back.
    if (!this.registry.leave(peer)) return;
    this.#log.info({ peer: peer.id, worker: peer.name }, `worker left: ${reason}`);
    this.pipelines.workerGone(peer, reason);
  }

  /** Only between peers that share a pipeline: a stranger can make nobody open a connection to it. */
  #relay(peer: Peer, { to, attempt, data }: Extract<PeerMessage, { type: 'signal' }>): void {
    const target = this.registry.get(to);
    // Not an offence: the neighbour may have left while this was on its way.
    if (target === undefined || !this.pipelines.areTogether(peer, target)) {
      this.#log.debug({ peer: peer.id, to }, 'signal not relayed: no such neighbour');
      return;
    }
    target.connection.send({ type: 'signal', from: peer.id, attempt, data });
  }
}
