import { Gauge, type Registry } from 'prom-client';
import type { NodeStatus } from '../../backend/pool/node-pool.ts';
import type { Status } from '../../mesh/protocol/status.ts';

/** What stands at the moment of a scrape. */
export interface Snapshot {
  readonly status: Pick<Status, 'ready' | 'pipeline' | 'workers' | 'workerStates'>;
  readonly nodes: readonly Pick<NodeStatus, 'provider' | 'state' | 'inFlight'>[];
  readonly isDraining: boolean;
  /** Requests by model label. */
  readonly running: ReadonlyMap<string, number>;
  readonly waiting: ReadonlyMap<string, number>;
}

const HOP_PARTS = {
  upload: 'uploadMs',
  compute: 'computeMs',
  readback: 'readbackMs',
  pack: 'packMs',
  unpack: 'unpackMs',
  wire_round_trip: 'wireRttMs',
} as const;

/** Gauges of the server, the mesh and the pool of nodes. Workers and nodes are counted, not named: names are free text. */
export class ServerGauges {
  readonly #all: readonly Gauge[];
  readonly #running: Gauge<'model_name'>;
  readonly #waiting: Gauge<'model_name'>;
  readonly #ready: Gauge;
  readonly #draining: Gauge;
  readonly #workers: Gauge<'state'>;
  readonly #stages: Gauge;
  readonly #hop: Gauge<'stage' | 'part'>;
  readonly #hopBytes: Gauge<'stage'>;
  readonly #nodes: Gauge<'provider' | 'state'>;
  readonly #nodeRequests: Gauge<'provider'>;

  constructor(registry: Registry) {
    const all: Gauge[] = [];
    const gauge = <L extends string>(name: string, help: string, labelNames: L[] = []) => {
      const made = new Gauge({ name, help, labelNames, registers: [registry] });
      all.push(made);
      return made;
    };
    this.#running = gauge('vllm:num_requests_running', 'Requests that are being answered.', ['model_name']);
    this.#waiting = gauge('vllm:num_requests_waiting', 'Requests that wait for room.', ['model_name']);
    this.#ready = gauge('shoal_ready', 'Whether a request would be answered now.');
    this.#draining = gauge('shoal_draining', 'Whether the server ends and takes no new requests.');
    this.#workers = gauge('shoal_workers', 'Workers of the mesh by state.', ['state']);
    this.#stages = gauge('shoal_pipeline_stages', 'Stages of the live route; 0: there is none.');
    this.#hop = gauge(
      'shoal_hop_seconds',
      'Parts of the latest hops of a stage of the live route, as its worker reports them.',
      ['stage', 'part'],
    );
    this.#hopBytes = gauge('shoal_hop_token_bytes', 'Bytes on the wire for one token, by stage.', ['stage']);
    this.#nodes = gauge('shoal_nodes', 'Nodes that requests are routed to, by provider and state.', [
      'provider',
      'state',
    ]);
    this.#nodeRequests = gauge('shoal_node_requests', 'Requests on the nodes of a provider.', ['provider']);
    this.#all = all;
  }

  set({ status, nodes, isDraining, running, waiting }: Snapshot): void {
    // What is gone must not stay at its last value.
    for (const gauge of this.#all) gauge.reset();
    for (const [model, count] of running) this.#running.set({ model_name: model }, count);
    for (const [model, count] of waiting) this.#waiting.set({ model_name: model }, count);
    this.#ready.set(status.ready ? 1 : 0);
    this.#draining.set(isDraining ? 1 : 0);
    this.#stages.set(status.pipeline?.stages.length ?? 0);
    if (!status.workerStates) for (const { state } of status.workers) this.#workers.inc({ state });
    for (const [state, count] of Object.entries(status.workerStates ?? {}))
      this.#workers.set({ state }, count);
    status.pipeline?.stages.forEach((stage, index) => {
      const hop = status.workers.find(({ peer }) => peer === stage.peer)?.hop;
      if (hop === null || hop === undefined) return;
      for (const [part, key] of Object.entries(HOP_PARTS)) {
        this.#hop.set({ stage: String(index), part }, hop[key] / 1_000);
      }
      this.#hopBytes.set({ stage: String(index) }, hop.bytesPerToken);
    });
    for (const { provider, state, inFlight } of nodes) {
      this.#nodes.inc({ provider, state });
      this.#nodeRequests.inc({ provider }, inFlight);
    }
  }
}
