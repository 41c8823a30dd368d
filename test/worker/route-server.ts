import type { WireDtype } from '../../src/gpu/stage-engine.ts';
import type { MemoryTransport } from '../../src/mesh/memory-transport.ts';
import type { PeerMessage, ServerMessage, ToldToken } from '../../src/mesh/protocol/control.ts';
import { GREEDY, hasPenalties, type SamplingParams } from '../../src/model/sampling.ts';
import type { Shard } from '../../src/model/shard.ts';
import { resumePoints, type StageHolds } from '../../src/schedule/replay.ts';
import type { WorkerCommand } from '../../src/worker/worker-api.ts';
import { FAKE_SPEC, type FakeEngine } from './fake-engine.ts';
import { deal, turns } from './pipeline.ts';
import { hold, link, TestWorker } from './test-worker.ts';

export interface Stop {
  readonly name: string;
  readonly shard: number;
  /** Other layers than the whole shard's. */
  readonly layers?: readonly [number, number];
}

export interface RunOptions {
  readonly prompt: readonly number[];
  readonly maxTokens: number;
  readonly sampling?: SamplingParams;
  readonly wire?: WireDtype;
}

interface Run {
  readonly options: RunOptions;
  readonly tokens: number[];
  epoch: number;
  wire: WireDtype;
  stops: readonly Stop[];
  known: number;
  opened: Map<string, StageHolds>;
  isOver: boolean;
}

export interface RouteServerOptions {
  readonly maxKeptBytes?: number;
  /** Rounds of the event loop that a frame takes; order on one link is kept. */
  readonly frameDelay?: () => number;
  /** The same for a control message, whose order is kept for one worker alone. */
  readonly controlDelay?: () => number;
  /** Before each step; one round where nothing is said. */
  readonly onStep?: () => Promise<void>;
}

/** What a server does with sequences and routes, and no more: it chooses nothing, the test says who computes. */
export class RouteServer {
  readonly workers = new Map<string, TestWorker>();
  readonly failures: Extract<PeerMessage, { type: 'sequence-failed' }>[] = [];
  readonly #options: RouteServerOptions;
  readonly #layers = new Map<string, Shard>();
  readonly #runs = new Map<number, Run>();
  readonly #links = new Map<string, MemoryTransport>();
  readonly #dead = new Set<string>();
  readonly #control = new Map<string, Promise<void>>();
  /** While it is away it hears nothing. */
  isAway = false;

  constructor(options: RouteServerOptions = {}) {
    this.#options = options;
  }

  /** A worker that holds these shards, linked to all others. */
  async add(name: string, ...shards: readonly Shard[]): Promise<TestWorker> {
    const { maxKeptBytes = 1e9, onStep = () => turns(1) } = this.#options;
    const worker = new TestWorker(name, { maxKeptBytes });
    worker.found = (device) => {
      device.engineOptions = { onStep };
    };
    worker.heard = (event) => {
      if (event.type === 'send' && !this.#dead.has(name) && !this.isAway) this.#heard(name, event.message);
    };
    await worker.detect();
    for (const [number, layers] of shards.entries()) {
      this.#layers.set(`${name} ${number}`, layers);
      worker.host.command({ ...hold(number), layers });
    }
    await turns(2 + 2 * shards.length);
    const others = [...this.workers.keys()];
    this.workers.set(name, worker);
    for (const other of others) this.connect(other, name);
    return worker;
  }

  /** Workers named `prefix0`, `prefix1` …, each with one of `k` even shards. */
  async addAll(prefix: string, k: number): Promise<Stop[]> {
    const stops: Stop[] = [];
    for (const [index, shard] of deal(FAKE_SPEC.layers, k).entries()) {
      await this.add(`${prefix}${index}`, shard);
      stops.push({ name: `${prefix}${index}`, shard: 0 });
    }
    return stops;
  }

  connect(a: string, b: string, attempt = 1): void {
    const { frameDelay } = this.#options;
    const [left, right] = [this.#worker(a), this.#worker(b)];
    const schedule = (deliver: () => void) => void turns(frameDelay?.() ?? 0).then(deliver);
    const transport = link(left, right, attempt, frameDelay === undefined ? {} : { schedule });
    this.#links.set([a, b].sort().join(' '), transport);
  }

  /** One end of the link between two workers. */
  link(a: string, b: string): MemoryTransport {
    return this.#links.get([a, b].sort().join(' '))!;
  }

  engine(name: string, shard = 0): FakeEngine {
    return this.#worker(name).device.engines[shard]!;
  }

  /** Gone without a word: nothing that it sends or is sent arrives. */
  kill(name: string): void {
    this.#dead.add(name);
    for (const [pair, transport] of this.#links) if (pair.split(' ').includes(name)) transport.vanish();
  }

  start(sequence: number, stops: readonly Stop[], options: RunOptions): void {
    this.#runs.set(sequence, {
      options,
      tokens: [],
      epoch: 0,
      wire: options.wire ?? 'f16',
      stops: [],
      known: 0,
      opened: new Map(),
      isOver: false,
    });
    this.reroute(sequence, stops);
  }

  /** Another route for the sequence, or the same one in another epoch. */
  reroute(sequence: number, stops: readonly Stop[], wire?: WireDtype): void {
    const run = this.#run(sequence);
    const names = new Set(stops.map(({ name }) => name));
    for (const { name } of run.stops) if (!names.has(name)) this.#tell(name, { type: 'close', sequence });
    const isNew = run.epoch === 0;
    run.epoch += 1;
    run.stops = stops;
    run.wire = wire ?? run.wire;
    run.opened = new Map();
    const ids = this.#ids(run);
    run.known = ids.length;
    const route = stops.map((stop) => {
      const { start, end } = this.#layers.get(`${stop.name} ${stop.shard}`)!;
      const [from, to] = stop.layers ?? [start, end];
      return { peer: stop.name, name: stop.name, start: from, end: to };
    });
    for (const [index, { name, shard }] of stops.entries()) {
      this.#tell(name, {
        type: 'open',
        sequence,
        epoch: run.epoch,
        shard,
        index,
        route,
        wire: run.wire,
        maxPositions: run.options.prompt.length + run.options.maxTokens,
        eosTokenIds: [],
        sampling: run.options.sampling ?? GREEDY,
        promptTokens: run.options.prompt.length,
        known: run.known,
        awaitsResume: !isNew,
      });
    }
  }

  retell(sequence: number): void {
    const run = this.#run(sequence);
    const position = this.#ids(run).length;
    this.#tell(run.stops.at(-1)!.name, { type: 'retell', sequence, epoch: run.epoch, position });
  }

  /** Where each stage of the newest route stood when it opened, in order. */
  held(sequence: number): StageHolds[] {
    const { stops, opened } = this.#run(sequence);
    return stops.map(({ name }) => opened.get(name)!);
  }

  tokens(sequence: number): readonly number[] {
    return this.#run(sequence).tokens;
  }

  isOver(sequence: number): boolean {
    return this.#run(sequence).isOver;
  }

  /** Rounds of the event loop until `when`; throws after many. */
  async until(when: () => boolean, rounds = 3_000): Promise<void> {
    for (let round = 0; round < rounds; round++) {
      if (when()) return;
      await turns(1);
    }
    throw new Error(
      `nothing came of it: ${JSON.stringify([...this.#runs].map(([id, run]) => [id, run.epoch, run.tokens.length]))} ${JSON.stringify(this.failures)}`,
    );
  }

  /** All tokens of a sequence, once it is over and closed everywhere. */
  async finished(sequence: number): Promise<readonly number[]> {
    await this.until(() => this.isOver(sequence));
    for (const { name } of this.#run(sequence).stops) this.#tell(name, { type: 'close', sequence });
    await turns(20);
    return this.tokens(sequence);
  }

  // ————————————————————————————————————————————————————————————————————————————————————————————

  #heard(name: string, message: PeerMessage): void {
    if (message.type === 'sequence-failed') {
      this.failures.push(message);
    } else if (message.type === 'opened') {
      const run = this.#run(message.sequence);
      if (run.epoch !== message.epoch) return;
      run.opened.set(name, message);
      if (run.opened.size === run.stops.length) this.#go(message.sequence, run);
    } else if (message.type === 'token') this.#token(message);
    else if (message.type === 'tokens') for (const token of message.tokens) this.#token(token);
    else if (message.type === 'retold') {
      const { sequence, epoch, position, tokens } = message;
      for (const [index, token] of tokens.entries()) {
        this.#token({ ...token, sequence, epoch, position: position + index });
      }
    }
  }

  #token({ sequence, epoch, position, token, finish }: ToldToken): void {
    const run = this.#run(sequence);
    if (run.epoch !== epoch) return;
    const at = position - run.options.prompt.length;
    if (at < run.tokens.length && run.tokens[at] === token) return;
    if (at !== run.tokens.length) throw new Error(`token ${at} came, ${run.tokens.length} are known`);
    run.tokens.push(token);
    run.isOver = finish !== null;
  }

  /** All stages have opened. */
  #go(sequence: number, run: Run): void {
    const { epoch, stops, known } = run;
    const points = resumePoints(stops.map(({ name }) => run.opened.get(name)!));
    if (epoch > 1) {
      for (const [index, { name }] of stops.entries()) {
        this.#tell(name, { type: 'resume', sequence, epoch, ...points[index]! });
      }
    }
    const ids = this.#ids(run).slice(0, known);
    const send = (name: string, from: number) => {
      for (let position = from; position < known; position += 50) {
        const part = ids.slice(position, position + 50);
        const last = position + part.length === known;
        this.#tell(name, { type: 'prompt', sequence, epoch, position, ids: part, last });
      }
    };
    const notes = run.options.sampling !== undefined && hasPenalties(run.options.sampling);
    if (notes && stops.length > 1) send(stops.at(-1)!.name, 0);
    send(stops[0]!.name, points[0]!.position);
  }

  #ids({ options, tokens }: Run): number[] {
    return [...options.prompt, ...tokens];
  }

  #tell(name: string, message: ServerMessage & WorkerCommand): void {
    const before = this.#control.get(name) ?? Promise.resolve();
    const delay = this.#options.controlDelay;
    const deliver = () => {
      if (!this.#dead.has(name)) this.#worker(name).host.command(message);
    };
    if (delay === undefined) deliver();
    else this.#control.set(name, before.then(() => turns(delay())).then(deliver));
  }

  #worker(name: string): TestWorker {
    return this.workers.get(name)!;
  }

  #run(sequence: number): Run {
    return this.#runs.get(sequence)!;
  }
}
