import type { ShoalError } from '../config/errors.ts';
import type { StepInput } from '../gpu/stage-engine.ts';
import type { WorkerDevice } from '../worker/device.ts';
import { WorkerHost } from '../worker/host.ts';
import { MeshTab, type TabEvent } from '../worker/tab/mesh-tab.ts';
import type { TabWorker } from '../worker/tab/tab-worker.ts';
import type { WorkerEvent } from '../worker/worker-api.ts';
import { ModelDevice } from './model-device.ts';
import type { ComputeRate } from './model-engine.ts';
import type { Host } from './network.ts';
import { SimProcess } from './process.ts';
import type { SeededRandom } from './random.ts';
import type { SimSocket } from './socket.ts';
import type { World } from './world.ts';

export interface TabOptions {
  readonly name: string;
  readonly site: number;
  readonly uplinkBytesPerMs: number;
  readonly downloadBytesPerMs: number;
  readonly memoryBudgetBytes: number;
  readonly rate: ComputeRate;
  readonly claimedMacsPerSecond?: number;
  readonly isFallback?: boolean;
  readonly bits?: number;
  readonly bitsClass?: string;
  /** Default: as every worker. */
  readonly maxKeptBytes?: number;
  readonly loadFault?: () => ShoalError | null;
  readonly stepFault?: (input: StepInput) => ShoalError | null;
}

/** Weights from the browser's cache to the GPU. */
const UPLOAD_BYTES_PER_MS = 1e6;

/**
 * A contributor's tab: the page's `MeshTab` and the Web Worker's `WorkerHost`, both real, with nothing between them; the device, the
 * WebSocket and WebRTC are simulated.
 */
export class SimTab {
  readonly options: TabOptions;
  readonly process: SimProcess;
  readonly host: Host;
  readonly worker: WorkerHost;
  readonly tab: MeshTab;
  /** The newest last. */
  readonly devices: ModelDevice[] = [];
  readonly notices: string[] = [];
  /** The server's id for it. */
  peer: string | null = null;
  #socket: SimSocket | null = null;
  #hasLeft = false;
  readonly #ownMacsPerSecond: number;
  readonly #slowness = new Set<{ readonly factor: number }>();
  readonly #world: World;
  /** What its browser has of the model's files. */
  readonly cache: Set<string>;

  constructor(world: World, options: TabOptions, random: SeededRandom, cache = new Set<string>()) {
    this.#world = world;
    this.options = options;
    this.#ownMacsPerSecond = options.rate.macsPerSecond;
    this.cache = cache;
    this.process = new SimProcess(options.name, world.clock);
    this.host = {
      name: options.name,
      process: this.process,
      site: options.site,
      uplinkBytesPerMs: options.uplinkBytesPerMs,
    };
    const events: WorkerEvent[] = [];
    const deliver = () => {
      for (let event = events.shift(); event !== undefined; event = events.shift()) this.tab.told(event);
    };
    this.worker = new WorkerHost({
      requestDevice: async () => this.#makeDevice(),
      // Another thread hears of it when this one is done.
      emit: (event) => {
        if (events.push(event) === 1) queueMicrotask(deliver);
      },
      timers: this.process,
      userAgent: 'sim',
      ...(options.maxKeptBytes !== undefined && { maxKeptBytes: options.maxKeptBytes }),
    });
    this.tab = new MeshTab({
      serverUrl: 'http://sim',
      name: options.name,
      memoryBudgetBytes: options.memoryBudgetBytes,
      worker: this.#asTabWorker(),
      environment: {
        openSocket: () => {
          this.#socket = world.server.connect(this.host);
          return this.#socket;
        },
        timers: this.process,
        random: () => random.unit(),
        drawKey: () => Buffer.from(Array.from({ length: 32 }, () => random.below(256))).toString('base64url'),
        openPeer: world.peers.opener(this.host),
        warn: (text) => this.notices.push(text),
      },
      on: (event) => this.#told(event),
    });
  }

  get isAlive(): boolean {
    return this.process.state !== 'dead' && !this.#hasLeft;
  }

  async start(): Promise<void> {
    const detected = await this.tab.detect();
    if (detected.ok) this.tab.connect();
    else this.notices.push(detected.error.message);
  }

  /** Says goodbye: the page's `pagehide`. */
  leave(): void {
    if (!this.isAlive) return;
    this.#hasLeft = true;
    this.tab.close('the tab was closed');
    this.worker.stop();
  }

  /** Lets what runs here move first, then leaves. */
  async drain(): Promise<void> {
    await this.tab.drain('the tab wishes to go');
    this.leave();
  }

  /** The renderer is killed: its operating system closes the socket, its links fall silent. */
  kill(): void {
    if (!this.isAlive) return;
    this.process.kill();
    this.#socket?.reset();
    this.#world.peers.cut(this.host);
  }

  /** The machine loses power: nobody is told anything. */
  vanish(): void {
    if (!this.isAlive) return;
    this.process.kill();
    this.#world.peers.cut(this.host);
  }

  /** Its control connection breaks; the tab makes another. */
  loseSocket(): void {
    this.#socket?.break();
  }

  /** Computes `factor` times slower until the returned function is called; of several at once the strongest counts. */
  slow(factor: number): () => void {
    const mine = { factor };
    this.#slowness.add(mine);
    this.#setRate();
    return () => {
      this.#slowness.delete(mine);
      this.#setRate();
    };
  }

  loseDevice(): void {
    this.devices.at(-1)?.lose('the adapter was unplugged');
  }

  #setRate(): void {
    const factors = Array.from(this.#slowness, ({ factor }) => factor);
    this.options.rate.macsPerSecond = this.#ownMacsPerSecond / Math.max(1, ...factors);
  }

  #makeDevice(): WorkerDevice {
    const device = new ModelDevice({
      ...this.options,
      model: this.#world.model,
      timers: this.process,
      uploadBytesPerMs: UPLOAD_BYTES_PER_MS,
      cache: this.cache,
    });
    this.devices.push(device);
    return device;
  }

  #told(event: TabEvent): void {
    if (event.type === 'welcomed') this.peer = event.peer;
    if (event.type === 'notice' || event.type === 'failed' || event.type === 'refused')
      this.notices.push(`${event.type}: ${event.error.message}`);
  }

  #asTabWorker(): TabWorker {
    const { worker } = this;
    return {
      detect: (options) => worker.detect(options),
      command: (command) => worker.command(command),
      report: (id) => worker.report(id),
      server: (isThere) => worker.server(isThere),
      dropLink: (peer) => worker.dropLink(peer),
      tellLink: (peer) => worker.tellLink(peer),
      endSession: () => worker.endSession(),
      accept: (peer, attempt, end) => worker.accept(peer, attempt, end),
      stop: () => worker.stop(),
      terminate: () => worker.stop(),
    };
  }
}
