import type { Timers } from '../mesh/timers.ts';
import type { SimProcess } from './process.ts';
import type { SeededRandom } from './random.ts';

/** Where a process runs, as the network sees it. */
export interface Host {
  /** Paths are blocked by it: a process that is started again on the same host keeps it. */
  readonly name: string;
  readonly process: SimProcess;
  /** Index into the topology's sites. */
  readonly site: number;
  /** Bytes that leave it in a millisecond, all its connections together. */
  readonly uplinkBytesPerMs: number;
}

export interface Topology {
  /** One way, between two sites (or within one), without anything else on the way. */
  readonly latencyMs: (from: number, to: number) => number;
  /** Mean of what comes on top, exponential; a share of the latency. */
  readonly jitter: number;
  /** Share of messages of which a part is sent twice: a stream waits for it, nothing is lost. */
  readonly loss: number;
}

/** Time until a lost part is sent again, as TCP and SCTP have it at least. */
const RETRANSMIT_MS = 200;

/**
 * The way between hosts: latency, bandwidth, loss (as delay), and paths that are blocked. Streams keep their order each; between
 * two streams nothing is promised.
 */
export class Network {
  readonly #timers: Timers;
  readonly #random: SeededRandom;
  readonly #topology: Topology;
  /** When the uplink of a host is free again. */
  readonly #busyUntil = new Map<Host, number>();
  readonly #blocked = new Set<string>();
  readonly #waiting = new Map<string, Set<Stream>>();

  constructor(timers: Timers, random: SeededRandom, topology: Topology) {
    this.#timers = timers;
    this.#random = random;
    this.#topology = topology;
  }

  /** One direction of a connection. */
  stream(from: Host, to: Host): Stream {
    return new Stream(this, from, to);
  }

  /** Nothing comes through any more, in this direction, until `unblock`; what was sent meanwhile comes then. */
  block(from: Host, to: Host): void {
    this.#blocked.add(pathOf(from, to));
  }

  unblock(from: Host, to: Host): void {
    const path = pathOf(from, to);
    if (!this.#blocked.delete(path)) return;
    const waiting = this.#waiting.get(path);
    this.#waiting.delete(path);
    for (const stream of waiting ?? []) stream.unblocked();
  }

  unblockAll(): void {
    this.#blocked.clear();
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const streams of waiting) for (const stream of streams) stream.unblocked();
  }

  isBlocked(from: Host, to: Host): boolean {
    return this.#blocked.size > 0 && this.#blocked.has(pathOf(from, to));
  }

  awaitUnblock(stream: Stream): void {
    const path = pathOf(stream.from, stream.to);
    const waiting = this.#waiting.get(path) ?? new Set();
    this.#waiting.set(path, waiting.add(stream));
  }

  /** When something sent now arrives. */
  arrivalMs({ from, to }: Stream, bytes: number): number {
    const { latencyMs, jitter, loss } = this.#topology;
    const now = this.#timers.now();
    const leftAt = Math.max(now, this.#busyUntil.get(from) ?? 0) + bytes / from.uplinkBytesPerMs;
    this.#busyUntil.set(from, leftAt);
    const base = latencyMs(from.site, to.site);
    const again = loss > 0 && this.#random.chance(loss) ? RETRANSMIT_MS + 2 * base : 0;
    return leftAt + base + this.#random.exponential(base * jitter) + again;
  }

  at(ms: number, run: () => void): () => void {
    return this.#timers.after(ms - this.#timers.now(), run);
  }
}

function pathOf(from: Host, to: Host): string {
  return `${from.name}>${to.name}`;
}

interface Message {
  readonly bytes: number;
  readonly arrive: () => void;
  readonly isForHost: boolean;
}

/** One direction of a connection: ordered, reliable while it lasts. */
export class Stream {
  readonly from: Host;
  readonly to: Host;
  readonly #network: Network;
  #lastArrivalMs = 0;
  #blocked: Message[] = [];
  #isCut = false;

  constructor(network: Network, from: Host, to: Host) {
    this.#network = network;
    this.from = from;
    this.to = to;
  }

  /** `arrive` runs in the receiver's process. */
  send(bytes: number, arrive: () => void): void {
    this.#send({ bytes, arrive, isForHost: false });
  }

  /** `arrive` runs whatever the receiver's process does: it is for what its operating system or browser answers. */
  sendToHost(bytes: number, arrive: () => void): void {
    this.#send({ bytes, arrive, isForHost: true });
  }

  /** What is on its way is lost. */
  cut(): void {
    this.#isCut = true;
    this.#blocked = [];
  }

  unblocked(): void {
    const waiting = this.#blocked;
    this.#blocked = [];
    for (const message of waiting) this.#send(message);
  }

  #send(message: Message): void {
    if (this.#isCut) return;
    if (this.#blocked.length > 0 || this.#network.isBlocked(this.from, this.to)) {
      if (this.#blocked.length === 0) this.#network.awaitUnblock(this);
      this.#blocked.push(message);
      return;
    }
    this.#lastArrivalMs = Math.max(this.#lastArrivalMs, this.#network.arrivalMs(this, message.bytes));
    this.#network.at(this.#lastArrivalMs, () => {
      const arrive = () => {
        if (!this.#isCut) message.arrive();
      };
      if (message.isForHost) arrive();
      else this.to.process.arrive(arrive);
    });
  }
}
