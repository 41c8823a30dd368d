import { ShoalError } from '../config/errors.ts';
import { ALIVE_IDLE_MS, ALIVE_MS, ALIVE_RUNNING_MS, SERVER_AWAY_MS } from '../config/limits.ts';
import type { StageEngine } from '../gpu/stage-engine.ts';
import type { Capability, PeerMessage } from '../mesh/protocol/control.ts';
import type { Timers } from '../mesh/timers.ts';
import type { Transport } from '../mesh/transport.ts';
import type { RequestDevice, WorkerDevice } from './device.ts';
import { FrameRouter } from './frame-router.ts';
import type { HeldShard } from './held-shard.ts';
import { HopStats } from './hop-stats.ts';
import { KeptBudget } from './kept-rows.ts';
import { Shards } from './shards.ts';
import { Stage } from './stage.ts';
import type { SequenceId } from './stage-types.ts';
import { retoldMessages, tokenMessages } from './token-messages.ts';
import type { Detected, DetectOptions, WorkerApi, WorkerCommand, WorkerEvent } from './worker-api.ts';
import { WorkerLinks } from './worker-links.ts';
import { WorkerStats } from './worker-stats.ts';

export interface WorkerHostOptions {
  readonly requestDevice: RequestDevice;
  readonly emit: (event: WorkerEvent) => void;
  readonly timers: Timers;
  readonly userAgent: string;
  /** Rows that may be kept after they were sent, of all sequences; MAX_KEPT_BYTES unless a test wants less. */
  readonly maxKeptBytes?: number;
}

type OpenCommand = Extract<WorkerCommand, { type: 'open' }>;

/**
 * What runs in the Web Worker, without the Web Worker: one device, the shards on it, the links to other peers.
 * Frames find their stage by sequence. Runs under Node too, with memory transports.
 */
export class WorkerHost implements WorkerApi {
  readonly #options: WorkerHostOptions;
  readonly #links: WorkerLinks;
  readonly #shards: Shards;
  readonly #router: FrameRouter;
  readonly #stats: WorkerStats;
  readonly #kept: KeptBudget;
  #detectOptions: DetectOptions | null = null;
  #device: WorkerDevice | null = null;
  #lifetime = new AbortController();
  #cancelAlive: (() => void) | null = null;
  #aliveMs = 0;
  #cancelAway: (() => void) | null = null;

  constructor(options: WorkerHostOptions) {
    const { timers, emit } = options;
    this.#options = options;
    this.#kept = new KeptBudget(options.maxKeptBytes);
    this.#shards = new Shards({
      makeStage: (engine, shard) => this.#makeStage(engine, shard),
      tell: (message) => this.#tell(message),
      onDoubt: () => this.#device?.destroy(),
      onChange: () => this.#shardsChanged(),
      now: () => timers.now(),
    });
    this.#router = new FrameRouter({
      stageOf: (sequence) => this.#shards.stageOf(sequence),
      unknown: (id, error, peer) => this.#sequenceFailed(id, error, peer),
    });
    this.#links = new WorkerLinks({
      timers,
      onFrame: (peer, frame, unpackMs) => this.#router.route(peer, frame, unpackMs),
      onOpen: (peer) => {
        for (const stage of this.#shards.stages) stage.linkOpened(peer);
      },
      onDown: (peer, attempt) => {
        for (const stage of this.#shards.stages) stage.linkLost(peer);
        emit({ type: 'link-lost', peer, attempt });
      },
      tell: (message) => this.#tell(message),
    });
    this.#stats = new WorkerStats({ timers, shards: this.#shards, links: this.#links, emit });
  }

  /** Finds the device and measures it. Nothing touches the GPU before this. */
  async detect(detectOptions: DetectOptions): Promise<Detected> {
    this.#lifetime = new AbortController();
    this.#detectOptions = detectOptions;
    try {
      const capability = await this.#takeDevice();
      this.#beAlive();
      return { ok: true, capability };
    } catch (thrown) {
      return { ok: false, error: ShoalError.from(thrown, 'NO_ADAPTER').toWire() };
    }
  }

  command(command: WorkerCommand): void {
    switch (command.type) {
      case 'hold': {
        const [device, options] = [this.#device, this.#detectOptions];
        this.#shards.hold(command, device === null || options === null ? null : { device, ...options });
        return;
      }
      case 'drop':
        this.#shards.drop(command.shard);
        return;
      case 'open':
        this.#open(command);
        return;
      case 'resume':
        this.#stageOf(command)?.resume(command);
        return;
      case 'prompt':
        this.#stageOf(command)?.prompt(command);
        return;
      case 'retell':
        this.#stageOf(command)?.retell(command);
        return;
      case 'close':
        this.#router.over(command.sequence);
        this.#shards.stageOf(command.sequence)?.close(command.sequence);
        this.#watchNeighbours();
        return;
      default:
        command satisfies never;
    }
  }

  report(id: number): void {
    const { held, running, stages } = this.#shards;
    const links = this.#links.heard;
    this.#options.emit({ type: 'report', id, held, links, running });
    // A server that was away has not heard that frames were lost; that the link is there again does not bring them back.
    const error = new ShoalError('LINK_FAILED', 'the link broke while the server was away').toWire();
    for (const peer of new Set(stages.flatMap((stage) => stage.lostPeers))) {
      this.#tell({ type: 'link', peer, state: 'down', error });
      this.#links.tell(peer);
    }
  }

  server(isThere: boolean): void {
    if (isThere) {
      this.#cancelAway?.();
      this.#cancelAway = null;
    } else {
      this.#cancelAway ??= this.#options.timers.after(SERVER_AWAY_MS, () => this.#closeAll());
    }
  }

  /** Takes a channel over; call it synchronously in the handler of the message that brought it. */
  accept(peer: string, attempt: number, end: RTCDataChannel | MessagePort): void {
    this.#links.accept(peer, attempt, end);
  }

  /** `accept` for a transport of any kind. */
  attach(peer: string, attempt: number, transport: Transport): void {
    this.#links.attach(peer, attempt, transport);
  }

  dropLink(peer: string): void {
    this.#links.drop(peer);
    for (const stage of this.#shards.stages) stage.linkLost(peer);
  }

  tellLink(peer: string): void {
    this.#links.tell(peer);
  }

  endSession(): void {
    this.#closeAll();
    this.#shards.dropAll();
    this.#links.close();
  }

  stop(): void {
    this.#lifetime.abort(new ShoalError('ABORTED', 'the worker was stopped'));
    this.endSession();
    this.#cancelAlive?.();
    this.#cancelAlive = null;
    this.#cancelAway?.();
    this.#cancelAway = null;
    const device = this.#device;
    this.#device = null;
    device?.destroy();
  }

  // — device ———————————————————————————————————————————————————————————————————————————————————

  async #takeDevice(): Promise<Capability> {
    const { signal } = this.#lifetime;
    const device = await this.#options.requestDevice(signal);
    if (signal.aborted) {
      device.destroy();
      throw new ShoalError('ABORTED', 'the worker was stopped while it looked for a device');
    }
    this.#device?.destroy();
    this.#device = device;
    void device.lost.then((error) => this.#deviceLost(device, error));
    return {
      ...device.capability,
      memoryBudgetBytes: this.#detectOptions?.memoryBudgetBytes ?? 0,
      userAgent: this.#options.userAgent,
    };
  }

  async #deviceLost(device: WorkerDevice, error: ShoalError): Promise<void> {
    if (this.#device !== device) return;
    this.#device = null;
    for (const { sequence } of this.#shards.running) this.#router.over(sequence);
    this.#shards.dropAll();
    const { emit } = this.#options;
    emit({ type: 'device-lost', error: error.toWire() });
    try {
      emit({ type: 'device-found', capability: await this.#takeDevice() });
    } catch (thrown) {
      const failure = ShoalError.from(thrown, 'NO_ADAPTER');
      if (failure.code !== 'ABORTED') emit({ type: 'device-failed', error: failure.toWire() });
    }
  }

  /** Tells that this thread runs, and goes on telling. */
  #beAlive(): void {
    this.#cancelAlive?.();
    this.#aliveMs = this.#shards.size === 0 ? ALIVE_IDLE_MS : this.#isRunning ? ALIVE_RUNNING_MS : ALIVE_MS;
    this.#cancelAlive = this.#options.timers.after(this.#aliveMs, () => {
      this.#tell({ type: 'alive' });
      this.#beAlive();
    });
  }

  get #isRunning(): boolean {
    return this.#shards.stages.some(({ sequences }) => sequences > 0);
  }

  #shardsChanged(): void {
    this.#stats.update();
    this.#watchNeighbours();
    if (this.#cancelAlive !== null) this.#beAlive();
  }

  // — sequences ————————————————————————————————————————————————————————————————————————————————

  #makeStage(engine: StageEngine, shard: HeldShard): Stage {
    const hop = new HopStats();
    return new Stage({
      engine,
      hop,
      kept: this.#kept,
      isLinked: (peer) => this.#links.isOpen(peer),
      send: (peer, frame) => this.#links.send(peer, frame, hop),
      events: {
        opened: (id, position, keptFrom) => {
          this.#watchNeighbours();
          this.#tell({ type: 'opened', ...id, position, keptFrom });
        },
        tokens: (picks) => {
          if (picks.some(({ token }) => token.finish !== null)) this.#watchNeighbours();
          for (const message of tokenMessages(picks)) this.#tell(message);
        },
        retold: (id, position, tokens) => {
          for (const message of retoldMessages(id, position, tokens)) this.#tell(message);
        },
        sequenceFailed: (id, error, peer) => this.#sequenceFailed(id, error, peer),
        // Dropped. Late frames of an older route are no error of anyone's; the rest is worth a line to whoever looks for a bug.
        refused: (error, peer) => {
          if (error.code !== 'EPOCH_STALE') console.warn(`refused from ${peer ?? 'the server'}: ${error}`);
        },
        // A lost device is handled where all shards are; anything else ends this one.
        stageFailed: (error) => {
          if (error.code !== 'DEVICE_LOST') shard.fail(error);
        },
      },
    });
  }

  #open(command: OpenCommand): void {
    const { sequence, shard, route, index } = command;
    const stage = this.#shards.stage(shard);
    const before = this.#shards.stageOf(sequence);
    // Another shard of this worker is another place on the route: what the sequence has there is of no use.
    if (before !== stage) before?.close(sequence);
    if (stage === undefined) {
      this.#refuse(command, `this worker holds no shard ${shard}; say hold first`);
      return;
    }
    const self = route[index]?.peer;
    if (self !== undefined) this.#links.addSelf(self);
    this.#router.opened(sequence);
    stage.open(command);
  }

  /** The stage of a sequence that the server names; one that was never open here is refused, a late word for one that was is not. */
  #stageOf(id: SequenceId): Stage | undefined {
    const stage = this.#shards.stageOf(id.sequence);
    if (stage === undefined && !this.#router.wasOver(id.sequence)) {
      this.#refuse(id, `sequence ${id.sequence} is not open here; open it first`);
    }
    return stage;
  }

  #refuse(id: SequenceId, why: string): void {
    this.#sequenceFailed(id, new ShoalError('SEQUENCE_UNKNOWN', why));
  }

  #sequenceFailed({ sequence, epoch }: SequenceId, error: ShoalError, peer?: string): void {
    this.#router.over(sequence);
    this.#watchNeighbours();
    const told = { type: 'sequence-failed', sequence, epoch, error: error.toWire() } as const;
    this.#tell(peer === undefined ? told : { ...told, peer });
  }

  #closeAll(): void {
    for (const stage of this.#shards.stages) {
      for (const { sequence } of stage.running) this.#router.over(sequence);
      stage.closeAll();
    }
    this.#watchNeighbours();
  }

  /** A peer that a sequence waits for is missed sooner than others. */
  #watchNeighbours(): void {
    if (this.#isRunning && this.#aliveMs > ALIVE_RUNNING_MS && this.#cancelAlive !== null) this.#beAlive();
    this.#links.setBusy(new Set(this.#shards.stages.flatMap((stage) => [...stage.neighbours])));
  }

  #tell(message: PeerMessage): void {
    this.#options.emit({ type: 'send', message });
  }
}
