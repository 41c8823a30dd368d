/** The server's side of the mesh: who holds what, which routes there are, and the generations on them, driven by what peers send. */
import type { Logger } from 'pino';
import type { Readiness } from '../../backend/backend.ts';
import type { WireDtype } from '../../gpu/stage-engine.ts';
import type { PeerMessage, ToldToken } from '../../mesh/protocol/control.ts';
import { stageMs } from '../../mesh/protocol/stage-ms.ts';
import type { Status, WorkerStatus } from '../../mesh/protocol/status.ts';
import type { Timers } from '../../mesh/timers.ts';
import type { Quantization } from '../../model/shard.ts';
import type { ModelCosts } from '../../schedule/costs.ts';
import type { MeshMessage } from './connections/control-connection.ts';
import { Coordinator } from './generations/coordinator.ts';
import { Ground } from './ground.ts';
import type { ReceiptKey } from './holdings/receipts.ts';
import type { ModelShare } from './model-share.ts';
import type { Peer } from './peers/peer.ts';
import type { Registry } from './peers/registry.ts';
import type { Shortage } from './placing/placing.ts';
import { classOf } from './routes/class-choice.ts';
import { stageInfosOf } from './routes/mesh-route.ts';
import type { MeshRoutes } from './routes/routes.ts';
import { type MeshFigures, replicasOf } from './told/figures.ts';
import { layerTable } from './told/layer-table.ts';
import { recoveryOf } from './told/recovery.ts';
import { shownHoldings, shownPeers } from './told/shown.ts';

export interface MeshOptions {
  readonly model: string;
  readonly costs: ModelCosts;
  /** Ids of the model: [0, vocab). */
  readonly vocab: number;
  /** Told to who wonders whether to join. */
  readonly share?: ModelShare;
  readonly quantization?: Quantization;
  readonly wire: WireDtype;
  /** Stages at most; all workers up to the layers without it. */
  readonly maxStages?: number;
  /** Stages at least, though fewer would be quicker. */
  readonly minStages?: number;
  /** Whoever holds layers holds all of them. */
  readonly solo?: boolean;
  /** The first placement waits for so many workers, EXPECT_WORKERS_MS at most. */
  readonly expectWorkers?: number;
  /** Workers that hold each layer, where memory allows. Default DEFAULT_REPLICAS. */
  readonly replicas?: number;
  /** As CoordinatorOptions has it. */
  readonly firstSequence?: number;
  /** Whether a route is live only after a token went round it. Default true; tests of what comes after do without. */
  readonly probes?: boolean;
  /** A number in [0, below), which nobody can foretell: for probes. Default: the system's; a simulation has its own. */
  readonly draw?: (below: number) => number;
  /** Default: one of its own, that is gone with it. */
  readonly receiptKey?: ReceiptKey;
  readonly timers: Timers;
  readonly log: Logger;
}

export class Mesh {
  readonly coordinator: Coordinator;
  readonly share: ModelShare | null;
  readonly #ground: Ground;
  readonly #layers: number;
  readonly #log: Logger;
  #replicasOf: readonly unknown[] = [];
  #counted: number[] = [];

  constructor(options: MeshOptions) {
    this.share = options.share ?? null;
    this.#log = options.log;
    this.#layers = options.costs.layers.length;
    this.#ground = new Ground({ ...options, nextSequence: () => this.coordinator.nextId() });
    this.coordinator = new Coordinator({
      ...options,
      routes: this.#ground.routes,
      onExpecting: () => this.#ground.placing.expectReturn(),
    });
  }

  get registry(): Registry {
    return this.#ground.registry;
  }

  get routes(): MeshRoutes {
    return this.#ground.routes;
  }

  /** A message of a peer that has said hello. @throws PROTOCOL_INVALID for one that does not fit the peer's state */
  handle(peer: Peer, message: MeshMessage): void {
    const ground = this.#ground;
    switch (message.type) {
      case 'join':
        this.coordinator.joined(peer);
        ground.join(peer, message);
        break;
      case 'running':
        // A spectator runs nothing; of a worker whose `join` was refused it comes all the same.
        if (peer.isWorker) this.coordinator.runs(peer, message);
        break;
      case 'leave':
        ground.leave(peer, message.reason);
        break;
      case 'drain':
        ground.drain(peer, message.reason);
        break;
      case 'signal':
        this.#relay(peer, message);
        break;
      case 'stats':
        ground.stats(peer, message);
        break;
      case 'load-progress':
        ground.holdings.progress(peer, message);
        break;
      case 'held':
        ground.holdings.held(peer, message);
        break;
      case 'load-failed':
        ground.holdings.loadFailed(peer, message);
        break;
      case 'link':
        if (message.state === 'down') this.coordinator.linkEnded(peer, message.peer);
        ground.link(peer, message);
        break;
      case 'opened':
        if (!ground.probing.opened(peer, message)) this.coordinator.opened(peer, message);
        break;
      case 'token':
        this.#token(peer, message);
        break;
      case 'tokens':
        for (const token of message.tokens) this.#token(peer, token);
        break;
      case 'retold':
        this.coordinator.retold(peer, message);
        break;
      case 'sequence-failed':
        if (!ground.probing.sequenceFailed(peer, message)) this.coordinator.sequenceFailed(peer, message);
        break;
      default:
        message satisfies never;
    }
  }

  /** Generations that have no route yet, or not again. */
  get waiting(): number {
    return Math.max(0, this.coordinator.inFlight - this.coordinator.running);
  }

  get shortage(): Shortage | null {
    return this.#ground.placing.shortage;
  }

  readiness(): Readiness {
    const { ready, detail } = this.#ground.routes.outlook;
    return { ready, detail };
  }

  pipeline(): Status['pipeline'] {
    const { live } = this.#ground.routes;
    return live && { epoch: live.epoch, stages: stageInfosOf(live, this.#layers) };
  }

  /** Who there is and who holds what, as far as it is named; of a large mesh the rest is counted. */
  rows(): Pick<Status, 'workers' | 'workerStates' | 'layers' | 'replicas'> {
    const { routes, holdings, placing } = this.#ground;
    const shown = shownPeers({
      workers: this.registry.workers(),
      first: [
        ...(routes.live?.stops.map(({ peer }) => peer) ?? []),
        ...(placing.loading?.holdings.map(({ peer }) => peer) ?? []),
      ],
    });
    const states: Record<string, number> = {};
    for (const { state } of this.registry.workers()) states[state] = (states[state] ?? 0) + 1;
    return {
      workers: shown.filter(({ isWorker }) => isWorker).map((peer) => this.#statusOf(peer)),
      workerStates: states,
      layers: layerTable(shownHoldings(shown, holdings)),
      replicas: this.#replicas(),
    };
  }

  /** What is told of one worker. */
  rowsOf(id: string): Pick<Status, 'workers' | 'layers'> {
    const peer = this.registry.get(id);
    if (!peer?.isWorker) return { workers: [], layers: [] };
    return { workers: [this.#statusOf(peer)], layers: layerTable(this.#ground.holdings.of(peer)) };
  }

  #statusOf(peer: Peer): WorkerStatus {
    const { routes, holdings, placing } = this.#ground;
    const stop = routes.live?.stops.find((candidate) => candidate.peer === peer);
    const held = stop ?? holdings.of(peer).find(({ isHeld, isRetiring }) => isHeld && !isRetiring)?.layers;
    return {
      peer: peer.id,
      name: peer.name,
      state: peer.state,
      layers: held === undefined || peer.state !== 'serving' ? null : [held.start, held.end],
      adapter: peer.capability?.adapter ?? null,
      class: classOf(peer),
      gemvMacsPerSecond: peer.capability?.gemvMacsPerSecond ?? null,
      tokensPerSecond: peer.stats?.tokensPerSecond ?? 0,
      downloadedBytes: peer.downloadedBytes,
      hop: peer.stats?.hop ?? null,
      prefillRowsPerSecond: peer.stats?.prefillRowsPerSecond ?? null,
      problem: peer.problem,
      spare: placing.spareReason(peer),
    };
  }

  /** Counted anew where somebody came or went, or something is held that was not. */
  #replicas(): number[] {
    const { holdings } = this.#ground;
    const view = [holdings.version, this.registry.workers()];
    if (!view.every((part, index) => part === this.#replicasOf[index])) {
      this.#replicasOf = view;
      this.#counted = replicasOf(holdings.all(), this.#layers);
    }
    return this.#counted;
  }

  /** What the route that serves should give a request alone, and what it has given. */
  forecast(): Pick<Status, 'predicted' | 'measured'> {
    const { live, forecast } = this.routes;
    if (live === null) return { predicted: null, measured: null };
    return { predicted: forecast.predicted(live), measured: forecast.measured };
  }

  routesInUse(): NonNullable<Status['routes']> {
    return this.routes.inUse(this.coordinator.crossed);
  }

  loading(): Status['loading'] {
    const { loading } = this.#ground.placing;
    return loading && { stages: loading.infos(), ...loading.loaded() };
  }

  recovery(): Status['recovery'] {
    const { losses, routes, placing } = this.#ground;
    return recoveryOf({
      losses,
      live: routes.live?.stops.map(({ peer }) => peer.name) ?? null,
      loading: placing.loading?.names ?? null,
      isPlacing: placing.isDue,
      resuming: this.coordinator.resuming,
      left: this.registry.workers().map(({ name }) => name),
    });
  }

  figures(): MeshFigures {
    const { holdings, links } = this.#ground;
    const peers = this.registry.all();
    const stats = peers.flatMap((peer) => (peer.isWorker ? (peer.stats ?? []) : []));
    return {
      replicas: this.#replicas(),
      links: links.counts(),
      spectators: peers.filter(({ state }) => state === 'connected').length,
      away: peers.filter(({ isAway }) => isAway).length,
      stageSeconds: stats.flatMap(({ hop }) => (hop === null ? [] : stageMs(hop) / 1_000)),
      roundTripSeconds: stats.flatMap(({ links: ends }) => ends.map(({ rttMs }) => rttMs / 1_000)),
      predictionErrors: this.routes.forecast.errors,
      ...this.coordinator.counts,
      loadedBytes: holdings.bytes.loaded,
      loadedAgainBytes: holdings.bytes.loadedAgain,
    };
  }

  close(): void {
    this.coordinator.close();
    this.#ground.close();
  }

  #token(peer: Peer, token: ToldToken): void {
    if (!this.#ground.probing.token(peer, token)) this.coordinator.token(peer, token);
  }

  /** Only between peers that are to keep a link: a stranger can make nobody open a connection to it. */
  #relay(peer: Peer, { to, attempt, data }: Extract<PeerMessage, { type: 'signal' }>): void {
    const target = this.registry.get(to);
    // Not an offence: the neighbour may have left while this was on its way.
    if (target === undefined || !this.#ground.links.areWanted(peer, target)) {
      this.#log.debug({ peer: peer.id, to }, 'signal not relayed: no such neighbour');
      return;
    }
    target.connection.send({ type: 'signal', from: peer.id, attempt, data });
  }
}
