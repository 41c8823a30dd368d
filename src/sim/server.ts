import type { Logger } from 'pino';
import { ControlConnection } from '../server/mesh/connections/control-connection.ts';
import type { ControlSocket } from '../server/mesh/connections/control-socket.ts';
import { Lobby } from '../server/mesh/connections/lobby.ts';
import type { ReceiptKey } from '../server/mesh/holdings/receipts.ts';
import { Mesh, type MeshOptions } from '../server/mesh/mesh.ts';
import type { Host, Network } from './network.ts';
import { SimProcess } from './process.ts';
import { SimSocket } from './socket.ts';
import type { World } from './world.ts';

/** The server: its real mesh and control connections. It may be killed and started anew, and then knows nothing of before. */
export class SimServer {
  readonly #world: World;
  readonly #network: Network;
  #host: Host;
  #mesh: Mesh | null = null;
  #lobby = new Lobby();
  #starts = 0;
  /** Of the one that runs. */
  #sockets = new Set<SimSocket>();

  readonly #watchers = new Map<object, (isUp: boolean) => void>();

  constructor(world: World, network: Network) {
    this.#world = world;
    this.#network = network;
    this.#host = this.#makeHost();
  }

  get host(): Host {
    return this.#host;
  }

  get process(): SimProcess {
    return this.#host.process;
  }

  /** Null while it is down. */
  get mesh(): Mesh | null {
    return this.#mesh;
  }

  start(options: Partial<MeshOptions> = {}): void {
    this.#host = this.#makeHost();
    this.#lobby = new Lobby();
    const draws = this.#world.random.fork(`probes ${this.#starts + 1}`);
    this.#mesh = new Mesh({
      model: 'sim',
      costs: this.#world.model.costs,
      vocab: this.#world.model.spec.vocab,
      wire: 'f16',
      firstSequence: this.#world.random.fork(`server ${++this.#starts}`).u32(),
      draw: (below) => draws.below(below),
      receiptKey: this.#drawReceiptKey(),
      timers: this.process,
      log: this.#world.log as unknown as Logger,
      ...this.#world.options.mesh,
      ...options,
    });
    this.#tell(true);
  }

  /** Its process is gone; the operating system says so to whoever is connected. */
  kill(): void {
    this.process.kill();
    this.#mesh = null;
    for (const socket of this.#sockets) socket.refuse();
    this.#sockets = new Set();
    this.#tell(false);
  }

  /** Tells of starts and ends, until `offChange`. */
  onChange(who: object, changed: (isUp: boolean) => void): void {
    this.#watchers.set(who, changed);
  }

  offChange(who: object): void {
    this.#watchers.delete(who);
  }

  connect(tab: Host): SimSocket {
    const socket: SimSocket = new SimSocket(this.#network, tab, this.#host, () => {
      const mesh = this.#mesh;
      if (mesh === null) return null;
      this.#sockets.add(socket);
      socket.onEnded = () => this.#sockets.delete(socket);
      return { host: this.#host, accept: (end) => this.#accept(mesh, tab.name, end) };
    });
    socket.onText = (to, text) => this.#world.log.message(tab.name, to, text);
    return socket;
  }

  /** One seed's server keeps its key over its starts, as with `--state`, and another's does not. */
  #drawReceiptKey(): ReceiptKey {
    const isKept = this.#world.random.fork('keeps receipts').chance(0.5);
    const drawn = this.#world.random.fork(isKept ? 'receipts' : `receipts ${this.#starts}`);
    return { bytes: Buffer.from(Array.from({ length: 32 }, () => drawn.below(256))), isKept };
  }

  #accept(mesh: Mesh, address: string, end: ControlSocket): void {
    new ControlConnection(end, address, this.#lobby, {
      mesh,
      iceServers: [],
      timers: this.process,
      log: this.#world.log as unknown as Logger,
    });
  }

  #tell(isUp: boolean): void {
    for (const changed of [...this.#watchers.values()]) changed(isUp);
  }

  #makeHost(): Host {
    return {
      name: 'server',
      process: new SimProcess('server', this.#world.clock),
      site: 0,
      uplinkBytesPerMs: 125_000,
    };
  }
}
