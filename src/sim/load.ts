/** How many workers one server process bears: joins, signs of life, statistics, placement, with nothing else on its loop. */
import type { Logger } from 'pino';
import { ALIVE_MS, STATS_INTERVAL_MS } from '../config/limits.ts';
import { parseServerMessage, writeMessage } from '../mesh/protocol/codec.ts';
import {
  type Capability,
  CONTROL_VERSION,
  type HopTimings,
  type PeerMessage,
} from '../mesh/protocol/control.ts';
import type { Timers } from '../mesh/timers.ts';
import { ControlConnection } from '../server/mesh/control-connection.ts';
import type { ControlSocket, ControlSocketEvents } from '../server/mesh/control-socket.ts';
import { Lobby } from '../server/mesh/lobby.ts';
import { Mesh } from '../server/mesh/mesh.ts';
import { VirtualClock } from './clock.ts';
import { SimLog } from './log.ts';
import { simModel } from './model.ts';
import { SeededRandom } from './random.ts';

export interface LoadOptions {
  readonly workers: number;
  /** Virtual time after all have joined. */
  readonly seconds: number;
  /** Who leaves, and who comes for it, a second. */
  readonly churnPerSecond: number;
  readonly seed: number;
}

export interface LoadResult {
  readonly workers: number;
  /** Workers that hold layers in the end. */
  readonly holding: number;
  readonly isReady: boolean;
  /** Work of a core for each second that passes, all workers joined; what the simulated workers do is in it. */
  readonly coreShare: number;
  /** Work of a core for one join, with its share of placement and of the simulated worker. */
  readonly joinMs: number;
  /** Of the heap, the simulated worker's too. */
  readonly bytesPerWorker: number;
  /** What the server does in one go and nothing else meanwhile, from a timer: placement is the longest of it. */
  readonly decisionMs: {
    readonly count: number;
    readonly p50: number;
    readonly p99: number;
    readonly worst: number;
  };
  /** Workers that the server gave up though they spoke. */
  readonly missed: number;
  readonly messagesPerSecond: number;
}

/** Of this process, its threads together: what others do on the machine is not counted. */
function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
}

/** Work on the server's loop: what runs for it is timed. */
class Meter implements Timers {
  readonly #timers: Timers;
  messages = 0;
  /** Each; of a quiet machine, for what others do meanwhile is in it. */
  timersMs: number[] = [];

  constructor(timers: Timers) {
    this.#timers = timers;
  }

  now(): number {
    return this.#timers.now();
  }

  after(delayMs: number, run: () => void): () => void {
    return this.#timers.after(delayMs, () => {
      const startedMs = performance.now();
      run();
      this.timersMs.push(performance.now() - startedMs);
    });
  }

  reset(): void {
    this.messages = 0;
    this.timersMs = [];
  }
}

const HOP: HopTimings = {
  uploadMs: 0.1,
  computeMs: 8,
  readbackMs: 0.4,
  packMs: 0.1,
  unpackMs: 0.1,
  wireRttMs: 20,
  bytesPerToken: 4_096,
};
const LATENCY_MS = 20;
const LOAD_MS = [2_000, 20_000] as const;

/** A worker as the server sees it: what it sends, and nothing behind it. */
class LoadWorker implements ControlSocket {
  isOpen = true;
  readonly bufferedAmount = 0;
  #events: ControlSocketEvents | null = null;
  readonly #clock: VirtualClock;
  readonly #meter: Meter;
  readonly #random: SeededRandom;
  readonly #held = new Set<number>();
  readonly #links = new Set<string>();
  wasRefused: string | null = null;

  constructor(clock: VirtualClock, meter: Meter, random: SeededRandom) {
    this.#clock = clock;
    this.#meter = meter;
    this.#random = random;
  }

  get holds(): number {
    return this.#held.size;
  }

  listen(events: ControlSocketEvents): void {
    this.#events = events;
  }

  send(text: string): void {
    this.#clock.after(LATENCY_MS, () => this.#received(text));
  }

  ping(): void {}

  close(code: number, reason: string): void {
    if (this.isOpen) this.wasRefused = `${code} ${reason}`;
    this.terminate();
  }

  terminate(): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    this.#events?.closed();
  }

  hello(): void {
    const key = Buffer.from(Array.from({ length: 32 }, () => this.#random.below(256))).toString('base64url');
    this.#say({ type: 'hello', version: CONTROL_VERSION, name: 'tab', key });
  }

  #say(message: PeerMessage): void {
    if (!this.isOpen) return;
    const text = writeMessage(message);
    this.#meter.messages += 1;
    this.#events?.message(text, text.length);
  }

  #received(text: string): void {
    if (!this.isOpen) return;
    const message = parseServerMessage(text);
    switch (message.type) {
      case 'welcome':
        this.#say({ type: 'join', capability: capabilityOf(this.#random), held: [], links: [] });
        this.#say({ type: 'running', sequences: [], last: true });
        this.#every(ALIVE_MS, () => this.#say({ type: 'alive' }));
        this.#every(STATS_INTERVAL_MS, () => this.#tellStats());
        return;
      case 'hold':
        this.#clock.after(this.#random.between(...LOAD_MS), () => {
          this.#held.add(message.shard);
          const held = { downloadedBytes: 1e6, gpuBytes: 1e6, loadMs: 1_000, kvPositions: 8_192 };
          this.#say({ type: 'held', shard: message.shard, ...held });
        });
        return;
      case 'drop':
        this.#held.delete(message.shard);
        return;
      case 'links':
        for (const { peer } of message.peers) {
          if (this.#links.has(peer)) continue;
          this.#links.add(peer);
          this.#clock.after(10 * LATENCY_MS, () => this.#say({ type: 'link', peer, state: 'up' }));
        }
        return;
      default:
        return;
    }
  }

  #tellStats(): void {
    if (this.#held.size === 0) return;
    this.#say({
      type: 'stats',
      tokensPerSecond: 10,
      sequences: 1,
      bytesSent: 1e6,
      bytesReceived: 1e6,
      hop: HOP,
      prefillRowsPerSecond: 400,
      freePositions: 4_096,
      links: [...this.#links].slice(0, 8).map((peer) => ({ peer, rttMs: 40 })),
    });
  }

  #every(ms: number, run: () => void): void {
    this.#clock.after(ms * this.#random.between(0.9, 1.1), () => {
      if (!this.isOpen) return;
      run();
      this.#every(ms, run);
    });
  }
}

const MODEL = simModel({ layers: 32, contextLength: 4_096, layerBytes: 218e6, headBytes: 525e6 });

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

/** What takes less is no placement: a connection's watch, a peer that is given up. */
const DECISION_MS = 0.5;
/** Joins come so many a second. */
const JOINS_PER_SECOND = 200;

export async function runLoad({ workers, seconds, churnPerSecond, seed }: LoadOptions): Promise<LoadResult> {
  const clock = new VirtualClock();
  const meter = new Meter(clock);
  const random = new SeededRandom(seed);
  const log = new SimLog(clock) as unknown as Logger;
  globalThis.gc?.();
  const before = process.memoryUsage().heapUsed;
  const mesh = new Mesh({
    model: 'sim',
    costs: MODEL.costs,
    vocab: MODEL.spec.vocab,
    wire: 'f16',
    firstSequence: 1,
    // Nothing is behind these workers that could compute a token.
    probes: false,
    timers: meter,
    log,
  });
  const lobby = new Lobby();
  const all: LoadWorker[] = [];
  let missed = 0;
  let left = 0;
  mesh.registry.watch({
    away: () => {
      missed += 1;
    },
  });
  const join = () => {
    const worker = new LoadWorker(clock, meter, random.fork(`worker ${all.length}`));
    const address = `w${all.length}`;
    all.push(worker);
    new ControlConnection(worker, address, lobby, { mesh, iceServers: [], timers: meter, log });
    worker.hello();
  };
  const startedMs = cpuMs();
  for (let i = 0; i < workers; i++) clock.after((i * 1_000) / JOINS_PER_SECOND, join);
  await clock.run((workers * 1_000) / JOINS_PER_SECOND + 1_000);
  const joinMs = (cpuMs() - startedMs) / workers;
  const decisions = [...meter.timersMs];
  globalThis.gc?.();
  const bytesPerWorker = (process.memoryUsage().heapUsed - before) / workers;
  meter.reset();
  for (let i = 0; i < churnPerSecond * seconds; i++) {
    clock.after((i * 1_000) / churnPerSecond, () => {
      const open = all.filter(({ isOpen }) => isOpen);
      left += 1;
      random.pick(open).terminate();
      join();
    });
  }
  const settledMs = cpuMs();
  await clock.run(seconds * 1_000);
  const coreShare = (cpuMs() - settledMs) / (seconds * 1_000);
  decisions.push(...meter.timersMs);
  const refused = all.find(({ wasRefused }) => wasRefused !== null)?.wasRefused ?? null;
  if (refused !== null) throw new Error(`a worker was refused: ${refused}`);
  const result: LoadResult = {
    workers,
    holding: all.filter(({ isOpen, holds }) => isOpen && holds > 0).length,
    isReady: mesh.readiness().ready,
    coreShare,
    joinMs,
    bytesPerWorker,
    decisionMs: quantiles(decisions.filter((ms) => ms > DECISION_MS)),
    missed: missed - left,
    messagesPerSecond: meter.messages / seconds,
  };
  mesh.close();
  return result;
}

function quantiles(values: readonly number[]): LoadResult['decisionMs'] {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
  return { count: sorted.length, p50: at(0.5), p99: at(0.99), worst: sorted.at(-1) ?? 0 };
}

export function loadText(rows: readonly LoadResult[]): string {
  const head =
    '| workers | messages/s | of a core | a join | heap a worker | placement p50 / p99 / worst | given up though alive | serves |';
  const lines = rows.map((row) => {
    const { p50, p99, worst } = row.decisionMs;
    const cells = [
      row.workers,
      row.messagesPerSecond.toFixed(0),
      `${(row.coreShare * 100).toFixed(0)} %`,
      `${row.joinMs.toFixed(2)} ms`,
      `${(row.bytesPerWorker / 1_024).toFixed(1)} KiB`,
      `${p50.toFixed(0)} / ${p99.toFixed(0)} / ${worst.toFixed(0)} ms`,
      row.missed,
      row.isReady ? `yes, ${row.holding} hold layers` : 'no',
    ];
    return `| ${cells.join(' | ')} |`;
  });
  return [head, `|${'---|'.repeat(8)}`, ...lines, ''].join('\n');
}
