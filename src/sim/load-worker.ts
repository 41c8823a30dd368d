/** A worker as the server sees it: what it says on its control connection, and nothing behind it. */
import { ALIVE_IDLE_MS, ALIVE_MS, STATS_INTERVAL_MS } from '../config/limits.ts';
import {
  type Capability,
  CONTROL_VERSION,
  type HopTimings,
  type PeerMessage,
  type ServerMessage,
} from '../mesh/protocol/control.ts';
import type { Timers } from '../mesh/timers.ts';
import type { SeededRandom } from './random.ts';

const HOP: HopTimings = {
  uploadMs: 0.1,
  computeMs: 8,
  readbackMs: 0.4,
  packMs: 0.1,
  unpackMs: 0.1,
  wireRttMs: 20,
  bytesPerToken: 4_096,
};
/** From `links` until one of them is up. */
const LINK_MS = 200;
const LOAD_MS = [2_000, 20_000] as const;
/** A token once round its route. */
const LAP_MS = 50;

type Open = Extract<ServerMessage, { type: 'open' }>;

export interface LoadWorkerOptions {
  readonly timers: Timers;
  readonly random: SeededRandom;
  /** Workers of this run by their ids: the first stage of a route has the last one tell the tokens. */
  readonly crowd: Map<string, LoadWorker>;
  readonly send: (message: PeerMessage) => void;
  /** Whether it still has its connection. */
  readonly isOpen: () => boolean;
}

export class LoadWorker {
  readonly #options: LoadWorkerOptions;
  readonly #held = new Set<number>();
  /** By sequence. */
  readonly #runs = new Map<number, Open>();
  #links: ReadonlySet<string> = new Set();
  #peer: string | null = null;

  constructor(options: LoadWorkerOptions) {
    this.#options = options;
  }

  get links(): number {
    return this.#links.size;
  }

  get holds(): number {
    return this.#held.size;
  }

  hello(): void {
    const { random } = this.#options;
    const key = Buffer.from(Array.from({ length: 32 }, () => random.below(256))).toString('base64url');
    this.#say({ type: 'hello', version: CONTROL_VERSION, name: 'tab', key });
  }

  /** Its connection is gone. */
  ended(): void {
    if (this.#peer !== null) this.#options.crowd.delete(this.#peer);
  }

  received(message: ServerMessage): void {
    const { timers, random, crowd } = this.#options;
    switch (message.type) {
      case 'welcome':
        this.#peer = message.peer;
        crowd.set(message.peer, this);
        this.#say({ type: 'join', capability: capabilityOf(random), held: [], links: [] });
        this.#say({ type: 'running', sequences: [], last: true });
        this.#again(
          () => (this.#held.size > 0 ? ALIVE_MS : ALIVE_IDLE_MS),
          () => this.#say({ type: 'alive' }),
        );
        this.#again(
          () => STATS_INTERVAL_MS,
          () => this.#tellStats(),
        );
        return;
      case 'hold':
        timers.after(random.between(...LOAD_MS), () => {
          this.#held.add(message.shard);
          const held = { downloadedBytes: 1e6, gpuBytes: 1e6, loadMs: 1_000, kvPositions: 8_192 };
          this.#say({ type: 'held', shard: message.shard, ...held });
        });
        return;
      case 'drop':
        this.#held.delete(message.shard);
        return;
      case 'links':
        this.#link(message.peers.map(({ peer }) => peer));
        return;
      case 'open': {
        const { sequence, epoch } = message;
        this.#runs.set(sequence, message);
        this.#say({ type: 'opened', sequence, epoch, position: 0, keptFrom: 0 });
        return;
      }
      case 'prompt':
        if (message.last) this.#compute(message.sequence);
        return;
      case 'close':
        this.#runs.delete(message.sequence);
        return;
      default:
        return;
    }
  }

  #compute(sequence: number): void {
    const last = this.#runs.get(sequence)?.route.at(-1)?.peer;
    const worker = last === undefined ? undefined : this.#options.crowd.get(last);
    if (worker !== undefined) worker.#tell(sequence);
  }

  /** The same token every time: what probes ask must have one answer. */
  #tell(sequence: number): void {
    const run = this.#runs.get(sequence);
    if (run === undefined) return;
    const { epoch, maxPositions } = run;
    const next = (position: number) =>
      this.#options.timers.after(LAP_MS, () => {
        if (this.#runs.get(sequence) !== run) return;
        const finish = position + 1 >= maxPositions ? ('length' as const) : null;
        this.#say({ type: 'token', sequence, epoch, position, token: 1, finish });
        if (finish === null) next(position + 1);
      });
    next(run.known);
  }

  #link(peers: readonly string[]): void {
    const before = this.#links;
    this.#links = new Set(peers);
    for (const peer of peers) {
      if (before.has(peer)) continue;
      this.#options.timers.after(LINK_MS, () => {
        if (this.#links.has(peer)) this.#say({ type: 'link', peer, state: 'up' });
      });
    }
  }

  #tellStats(): void {
    if (this.#held.size === 0) return;
    this.#say({
      type: 'stats',
      tokensPerSecond: 10,
      sequences: this.#runs.size,
      bytesSent: 1e6,
      bytesReceived: 1e6,
      hop: HOP,
      prefillRowsPerSecond: 400,
      freePositions: 4_096,
      links: [...this.#links].map((peer) => ({ peer, rttMs: 40 })),
    });
  }

  #say(message: PeerMessage): void {
    if (this.#options.isOpen()) this.#options.send(message);
  }

  #again(everyMs: () => number, run: () => void): void {
    const { timers, random, isOpen } = this.#options;
    timers.after(everyMs() * random.between(0.9, 1.1), () => {
      if (!isOpen()) return;
      run();
      this.#again(everyMs, run);
    });
  }
}

function capabilityOf(random: SeededRandom): Capability {
  return {
    adapter: { vendor: 'sim', architecture: 'hash', description: 'simulated adapter', isFallback: false },
    maxBufferBytes: 2 ** 31,
    maxStorageBindingBytes: 2 ** 31,
    memoryBudgetBytes: Math.round(random.between(1.5e9, 8e9)),
    gemvMacsPerSecond: 2e10 * 20 ** random.unit(),
    userAgent: 'sim',
  };
}
