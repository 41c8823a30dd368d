import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pino } from 'pino';
import type { GenerateEvent, GenerateRequest, ServingLoss } from '../../../src/backend/fxn/generator.ts';
import { GREEDY, type TokenLogprobs } from '../../../src/model/sampling.ts';
import type { ModelCosts } from '../../../src/schedule/costs.ts';
import { createHostGuard } from '../../../src/server/http/host-guard.ts';
import { SIGNAL_PATH, Signaling } from '../../../src/server/mesh/connections/signaling.ts';
import { Mesh, type MeshOptions } from '../../../src/server/mesh/mesh.ts';
import { TestTimers, until } from '../socket-timers.ts';
import { FAKE_VOCAB, FakeWorker } from './fake-worker.ts';

export const COSTS: ModelCosts = {
  layers: Array.from({ length: 8 }, () => ({ bytes: 1_000, macs: 1_000 })),
  embedding: { bytes: 500, macs: 0 },
  head: { bytes: 500, macs: 500 },
  tiedBytes: 500,
  scratchBytes: 100,
  largestBufferBytes: 1_000,
};

/** Mesh and signaling behind a real HTTP server; no backend, no files. */
export class Harness {
  readonly timers = new TestTimers();
  /** Pings and the hello deadline have their own, so that a test's long waits do not end the connections. */
  readonly signalTimers = new TestTimers();
  readonly mesh: Mesh;
  readonly signaling: Signaling;
  readonly #server: Server;
  workers: FakeWorker[] = [];
  /** Names of those that say nothing, not even that they live. */
  readonly frozen = new Set<string>();
  #marks = 0;

  private constructor(options: Partial<MeshOptions>) {
    const log = pino({ level: 'silent' });
    const fixed = {
      model: 'fake',
      costs: COSTS,
      vocab: FAKE_VOCAB,
      wire: 'f16',
      timers: this.timers,
      log,
    } as const;
    // Split over all that there are; copies of layers, and probes, only where a test is about them.
    const few = { minStages: COSTS.layers.length, replicas: 1, probes: false };
    this.mesh = new Mesh({ ...fixed, ...few, ...options });
    // Workers say all the while that they live.
    this.timers.onAdvance = () => {
      const { registry } = this.mesh;
      for (const peer of registry.workers()) if (!this.frozen.has(peer.name)) registry.heard(peer);
    };
    const guard = createHostGuard({ boundHost: '127.0.0.1', allowedOrigins: ['https://friend.example'] });
    const iceServers = [{ urls: 'stun:192.0.2.1:3478' }];
    this.signaling = new Signaling({ mesh: this.mesh, guard, iceServers, timers: this.signalTimers, log });
    this.#server = createServer();
    this.#server.on('upgrade', (...upgrade) => this.signaling.upgrade(...upgrade));
  }

  static async start(options: Partial<MeshOptions> = {}): Promise<Harness> {
    const harness = new Harness(options);
    await new Promise<void>((resolve) => harness.#server.listen(0, '127.0.0.1', resolve));
    return harness;
  }

  get url(): string {
    return `ws://127.0.0.1:${(this.#server.address() as AddressInfo).port}${SIGNAL_PATH}`;
  }

  async join(name: string, options: Parameters<typeof FakeWorker.join>[2] = {}): Promise<FakeWorker> {
    const worker = await FakeWorker.join(this.url, name, options);
    this.workers.push(worker);
    return worker;
  }

  /** Joins workers, and waits until a route of `stages` of them is live. */
  async joinAll(names: readonly string[], stages = names.length): Promise<FakeWorker[]> {
    const workers: FakeWorker[] = [];
    for (const name of names) workers.push(await this.join(name));
    await this.untilLive(stages);
    return workers;
  }

  async untilLive(stages: number): Promise<void> {
    await until(() => this.mesh.routes.live?.stops.length === stages, `a live route of ${stages}`);
  }

  /** Names of the live route's workers, in order. */
  get live(): string[] {
    return this.mesh.routes.live?.stops.map(({ peer }) => peer.name) ?? [];
  }

  byName(name: string): FakeWorker {
    const worker = this.workers.find((candidate) => candidate.name === name);
    if (worker === undefined) throw new Error(`no worker ${name}`);
    return worker;
  }

  /** Waits until the server has handled everything that the worker has sent. */
  async heard(worker: FakeWorker): Promise<void> {
    const tokensPerSecond = ++this.#marks;
    worker.send({
      type: 'stats',
      tokensPerSecond,
      sequences: 0,
      bytesSent: 0,
      bytesReceived: 0,
      hop: null,
      prefillRowsPerSecond: null,
      freePositions: 0,
      links: [],
    });
    await until(() => this.mesh.registry.get(worker.id)?.stats?.tokensPerSecond === tokensPerSecond);
  }

  async stop(): Promise<void> {
    this.mesh.close();
    await this.signaling.close();
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
  }
}

export const PROMPT = [11, 22, 33, 44, 55];

export function request(over: Partial<GenerateRequest> = {}): GenerateRequest {
  return { prompt: PROMPT, maxTokens: 20, eosTokenIds: [], sampling: GREEDY, ...over };
}

export interface Collected {
  readonly ids: number[];
  /** Of the tokens that came with them. */
  readonly logprobs: TokenLogprobs[];
  /** Of every `pipeline` event. */
  readonly restarts: number[];
  readonly served: string[][];
  /** What each `pipeline` event says that the answer was started again for. */
  readonly losses: (readonly ServingLoss[])[];
  finish: string | null;
}

/** Reads a generation to its end; `onToken` runs after each token. */
export async function collect(
  events: AsyncIterable<GenerateEvent>,
  onToken: (count: number) => void | Promise<void> = () => {},
): Promise<Collected> {
  const collected: Collected = { ids: [], logprobs: [], restarts: [], served: [], losses: [], finish: null };
  for await (const event of events) {
    if (event.type === 'pipeline') {
      collected.restarts.push(event.restarts);
      collected.served.push(event.stages.map(({ name }) => name));
      collected.losses.push(event.losses ?? []);
    } else if (event.type === 'token') {
      collected.ids.push(event.id);
      if (event.logprobs !== undefined) collected.logprobs.push(event.logprobs);
      await onToken(collected.ids.length);
    } else collected.finish = event.reason;
  }
  return collected;
}

export const never = (): AbortSignal => new AbortController().signal;
