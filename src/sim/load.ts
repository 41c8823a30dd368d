/** How many workers one server process bears: joins, signs of life, statistics, placement, with nothing else on its loop. */
import type { Logger } from 'pino';
import { parseServerMessage, writeMessage } from '../mesh/protocol/codec.ts';
import type { Timers } from '../mesh/timers.ts';
import { ControlConnection } from '../server/mesh/connections/control-connection.ts';
import type { ControlSocket, ControlSocketEvents } from '../server/mesh/connections/control-socket.ts';
import { Lobby } from '../server/mesh/connections/lobby.ts';
import { Mesh } from '../server/mesh/mesh.ts';
import { VirtualClock } from './clock.ts';
import { LoadWorker } from './load-worker.ts';
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
  /** Whether what is held has to compute a token before it counts. Default true. */
  readonly probes?: boolean;
  /** Workers that shall hold each layer. Default: as the server's. With as many as there are, everybody holds some. */
  readonly replicas?: number;
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
  /** That a worker is to keep. */
  readonly links: { readonly mean: number; readonly most: number };
  /** That the server sends a worker in a second, as a mean, all having joined. */
  readonly sentBytesPerSecond: number;
  /** One `GET /api/status`, as text. */
  readonly status: { readonly ms: number; readonly bytes: number };
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
  sentBytes = 0;
  /** Of a core, each. */
  timersMs: number[] = [];

  constructor(timers: Timers) {
    this.#timers = timers;
  }

  now(): number {
    return this.#timers.now();
  }

  after(delayMs: number, run: () => void): () => void {
    return this.#timers.after(delayMs, () => {
      const startedMs = cpuMs();
      run();
      this.timersMs.push(cpuMs() - startedMs);
    });
  }

  reset(): void {
    this.messages = 0;
    this.sentBytes = 0;
    this.timersMs = [];
  }
}

const LATENCY_MS = 20;

/** The server's end of a worker's connection. */
class LoadSocket implements ControlSocket {
  isOpen = true;
  readonly bufferedAmount = 0;
  readonly worker: LoadWorker;
  #events: ControlSocketEvents | null = null;
  readonly #clock: VirtualClock;
  readonly #meter: Meter;
  wasRefused: string | null = null;

  constructor(clock: VirtualClock, meter: Meter, random: SeededRandom, crowd: Map<string, LoadWorker>) {
    this.#clock = clock;
    this.#meter = meter;
    this.worker = new LoadWorker({
      timers: clock,
      random,
      crowd,
      isOpen: () => this.isOpen,
      send: (message) => {
        const text = writeMessage(message);
        this.#meter.messages += 1;
        this.#events?.message(text, text.length);
      },
    });
  }

  listen(events: ControlSocketEvents): void {
    this.#events = events;
  }

  send(text: string): void {
    this.#meter.sentBytes += text.length;
    this.#clock.after(LATENCY_MS, () => {
      if (this.isOpen) this.worker.received(parseServerMessage(text));
    });
  }

  ping(): void {}

  close(code: number, reason: string): void {
    if (this.isOpen) this.wasRefused = `${code} ${reason}`;
    this.terminate();
  }

  terminate(): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    this.worker.ended();
    this.#events?.closed();
  }
}

const MODEL = simModel({ layers: 32, contextLength: 4_096, layerBytes: 218e6, headBytes: 525e6 });

/** What takes less is no placement: a connection's watch, a peer that is given up. */
const DECISION_MS = 0.5;
const WARM_UP_MS = 60_000;
/** Joins come so many a second. */
const JOINS_PER_SECOND = 200;

export async function runLoad({
  workers,
  seconds,
  churnPerSecond,
  seed,
  probes = true,
  replicas,
}: LoadOptions): Promise<LoadResult> {
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
    draw: (below) => random.below(below),
    probes,
    ...(replicas !== undefined && { replicas }),
    timers: meter,
    log,
  });
  const lobby = new Lobby();
  const all: LoadSocket[] = [];
  const crowd = new Map<string, LoadWorker>();
  let missed = 0;
  let left = 0;
  mesh.registry.watch({
    away: () => {
      missed += 1;
    },
  });
  const join = () => {
    const socket = new LoadSocket(clock, meter, random.fork(`worker ${all.length}`), crowd);
    const address = `w${all.length}`;
    all.push(socket);
    new ControlConnection(socket, address, lobby, { mesh, iceServers: [], timers: meter, log });
    socket.worker.hello();
  };
  const startedMs = cpuMs();
  for (let i = 0; i < workers; i++) clock.after((i * 1_000) / JOINS_PER_SECOND, join);
  await clock.run((workers * 1_000) / JOINS_PER_SECOND + 1_000);
  const joinMs = (cpuMs() - startedMs) / workers;
  // All load what they are to hold, and newcomers are probed.
  await clock.run(WARM_UP_MS);
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
  const present = all.filter(({ isOpen }) => isOpen);
  const result: LoadResult = {
    workers,
    holding: present.filter(({ worker }) => worker.holds > 0).length,
    isReady: mesh.readiness().ready,
    coreShare,
    joinMs,
    bytesPerWorker,
    decisionMs: quantiles(decisions.filter((ms) => ms > DECISION_MS)),
    missed: missed - left,
    messagesPerSecond: meter.messages / seconds,
    links: {
      mean: present.reduce((sum, { worker }) => sum + worker.links, 0) / present.length,
      most: present.reduce((most, { worker }) => Math.max(most, worker.links), 0),
    },
    sentBytesPerSecond: meter.sentBytes / seconds / workers,
    status: statusOf(mesh),
  };
  mesh.close();
  return result;
}

function statusOf(mesh: Mesh): LoadResult['status'] {
  const startedMs = performance.now();
  const text = JSON.stringify({ pipeline: mesh.pipeline(), ...mesh.rows() });
  return { ms: performance.now() - startedMs, bytes: text.length };
}

function quantiles(values: readonly number[]): LoadResult['decisionMs'] {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
  return { count: sorted.length, p50: at(0.5), p99: at(0.99), worst: sorted.at(-1) ?? 0 };
}

export function loadText(rows: readonly LoadResult[]): string {
  const head =
    '| workers | messages/s | of a core | a join | heap a worker | in one go p50 / p99 / worst | links mean / most | status | given up though alive | serves |';
  const lines = rows.map((row) => {
    const { p50, p99, worst } = row.decisionMs;
    const cells = [
      row.workers,
      row.messagesPerSecond.toFixed(0),
      `${(row.coreShare * 100).toFixed(0)} %`,
      `${row.joinMs.toFixed(2)} ms`,
      `${(row.bytesPerWorker / 1_024).toFixed(1)} KiB`,
      `${p50.toFixed(0)} / ${p99.toFixed(0)} / ${worst.toFixed(0)} ms`,
      `${row.links.mean.toFixed(0)} / ${row.links.most}`,
      `${(row.status.bytes / 1_024).toFixed(0)} KiB in ${row.status.ms.toFixed(1)} ms`,
      row.missed,
      row.isReady ? `yes, ${row.holding} hold layers` : 'no',
    ];
    return `| ${cells.join(' | ')} |`;
  });
  return [head, `|${'---|'.repeat(10)}`, ...lines, ''].join('\n');
}
