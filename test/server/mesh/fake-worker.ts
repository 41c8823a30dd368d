import { randomBytes } from 'node:crypto';
import { WebSocket } from 'ws';
import type { ErrorCode } from '../../../src/config/errors.ts';
import { STATS_INTERVAL_MS } from '../../../src/config/limits.ts';
import { parseServerMessage } from '../../../src/mesh/protocol/codec.ts';
import {
  type Capability,
  CONTROL_VERSION,
  type PeerMessage,
  type ServerMessage,
} from '../../../src/mesh/protocol/control.ts';
import { FakeStage, type FakeToken } from './fake-stage.ts';

type Message<T extends ServerMessage['type']> = Extract<ServerMessage, { type: T }>;

export { expectedIds, FAKE_VOCAB, fakeLogprobs } from './fake-model.ts';

export const CAPABILITY: Capability = {
  adapter: { vendor: 'test', architecture: 'fake', description: 'fake adapter', isFallback: false },
  maxBufferBytes: 2 ** 30,
  maxStorageBindingBytes: 2 ** 30,
  memoryBudgetBytes: 2 ** 30,
  gemvMacsPerSecond: 1e9,
  userAgent: 'test',
};

/** How a worker misbehaves. */
export interface Misbehaviour {
  /** Called by the last stage instead of sending the token; `send` sends it. Nothing sent: the sequence stalls. */
  onToken?: (worker: FakeWorker, token: FakeToken, send: () => void) => void;
  /** Called when it has said `opened`. */
  onOpen?: (worker: FakeWorker, open: Message<'open'>) => void;
  /** `silent`: never held. Or the load fails with this. */
  load?: 'silent' | 'fail';
  /** Of its own, where something fails. */
  words?: string;
  /** GPU bytes it says a shard takes; default 100. */
  gpuBytes?: number;
  /** Positions its KV cache has room for; default: more than a test takes. */
  kvPositions?: number;
  /** `silent`: never opened. Or this code. */
  open?: 'silent' | 'KV_EXHAUSTED' | 'SEQUENCE_LIMIT' | 'F16_RANGE with f16';
  /** `silent`: says nothing of its links. */
  links?: 'silent';
  /** Rows below this are not kept for replay. Default 0: all are. */
  keptFrom?: number;
  /** How long what the server asks for is on its way to it. */
  retellMs?: number;
  /** Neighbours say nothing of it when it is killed. */
  isKilledUnseen?: boolean;
}

/**
 * A worker without GPU or WebRTC: the control protocol over a real WebSocket, a fake model whose rows are its ids, and
 * the other fake workers in reach by their ids. Its stages hold positions, keep rows and check epochs as real ones do.
 */
export class FakeWorker {
  static readonly #byId = new Map<string, FakeWorker>();
  readonly name: string;
  readonly received: ServerMessage[] = [];
  /** By shard number: loading or held. */
  readonly shards = new Map<number, Message<'hold'>>();
  readonly held = new Set<number>();
  /** By sequence number. */
  readonly sequences = new Map<number, FakeStage>();
  /** Peers that the server wants links to. */
  readonly links = new Set<string>();
  id = '';
  /** RFC 6455's; null while the socket is open. */
  closeCode: number | null = null;
  misbehaviour: Misbehaviour;
  readonly key: string;
  readonly #url: string;
  readonly #capability: Capability;
  readonly #speaking: NodeJS.Timeout | undefined;
  #socket: WebSocket;
  #isAlive = true;
  /** On this socket. */
  #hasJoined = false;

  private constructor(url: string, name: string, options: FakeWorkerOptions) {
    this.#url = url;
    this.name = name;
    this.key = options.key ?? randomBytes(32).toString('base64url');
    this.#capability = { ...CAPABILITY, ...options.capability };
    this.misbehaviour = options.misbehaviour ?? {};
    this.#socket = this.#open();
    if (options.speaks === true) this.#speaking = setInterval(() => this.#speak(), STATS_INTERVAL_MS).unref();
  }

  /** Connects, says hello and joins; resolves when the server has welcomed it. */
  static async join(url: string, name: string, options: FakeWorkerOptions = {}): Promise<FakeWorker> {
    const worker = new FakeWorker(url, name, options);
    await worker.#greet();
    return worker;
  }

  /** Offers the device, and tells what is held and what runs. */
  join(): void {
    const held = [...this.held].map((shard) => {
      const { model, quantization, layers, receipt } = this.shards.get(shard)!;
      return { shard, model, quantization, layers, gpuBytes: this.#gpuBytes, ...(receipt && { receipt }) };
    });
    const links = [...this.links].filter((peer) => FakeWorker.#byId.has(peer));
    this.send({ type: 'join', capability: this.#capability, held, links });
    const sequences = [...this.sequences.values()].map(
      ({ open: { sequence, epoch, shard, wire, index, route } }) => ({
        sequence,
        epoch,
        shard,
        wire,
        index,
        route,
      }),
    );
    this.send({ type: 'running', sequences, last: true });
    this.#hasJoined = true;
  }

  get capability(): Capability {
    return this.#capability;
  }

  /** Says that it holds nothing and runs nothing, and keeps both. */
  denyAll(): void {
    this.send({ type: 'join', capability: this.#capability, held: [], links: [...this.links] });
    this.send({ type: 'running', sequences: [], last: true });
  }

  /** The device was lost: everything on it is gone. */
  joinAnew(): void {
    this.shards.clear();
    this.held.clear();
    this.sequences.clear();
    this.join();
  }

  send(message: PeerMessage): void {
    // As a tab does: what runs is told first.
    if (message.type === 'token' && !this.#hasJoined) return;
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  /** The tab was killed: no goodbye, and its neighbours notice. */
  kill(): void {
    this.#isAlive = false;
    clearInterval(this.#speaking);
    FakeWorker.#byId.delete(this.id);
    this.#socket.terminate();
    if (this.misbehaviour.isKilledUnseen) return;
    for (const peer of this.links) {
      const neighbour = FakeWorker.#byId.get(peer);
      if (neighbour !== undefined) void neighbour.#missAfterServer(this.id);
    }
  }

  /** The server learns of a socket's end sooner than neighbours of a silence: it has answered them twice since, however busy it is. */
  async #missAfterServer(peer: string): Promise<void> {
    const socket = this.#socket;
    for (let round = 0; round < 2; round++) {
      if (socket.readyState !== WebSocket.OPEN) return;
      socket.ping();
      await new Promise((resolve) => socket.once('pong', resolve));
    }
    this.send({ type: 'link', peer, state: 'silent' });
  }

  /** The socket breaks; the tab, its links and what runs on them live. */
  disconnect(): void {
    this.#socket.terminate();
  }

  /** After `disconnect`, or the server's end: the same peer on another socket, of another server where `url` says so. */
  async reconnect(url = this.#url): Promise<void> {
    this.#socket = this.#open(url);
    await this.#greet();
  }

  messages<T extends ServerMessage['type']>(type: T): Message<T>[] {
    return this.received.filter((message): message is Message<T> => message.type === type);
  }

  /** Frames' way: null where the other is dead. */
  static inReach(id: string): FakeWorker | null {
    return FakeWorker.#byId.get(id) ?? null;
  }

  get isAlive(): boolean {
    return this.#isAlive;
  }

  get #gpuBytes(): number {
    return this.misbehaviour.gpuBytes ?? 100;
  }

  #open(url = this.#url): WebSocket {
    const socket = new WebSocket(url);
    this.#hasJoined = false;
    this.closeCode = null;
    socket.on('message', (data) => this.#receive(parseServerMessage(String(data))));
    socket.on('error', () => {});
    socket.on('close', (code) => {
      if (socket === this.#socket) this.closeCode = code;
    });
    return socket;
  }

  async #greet(): Promise<void> {
    const socket = this.#socket;
    await new Promise<void>((resolve, reject) => {
      socket.once('open', resolve);
      socket.once('error', reject);
    });
    const welcomed = new Promise<void>((resolve) => socket.once('message', () => resolve()));
    this.send({ type: 'hello', version: CONTROL_VERSION, name: this.name, key: this.key });
    await welcomed;
    this.join();
  }

  #receive(message: ServerMessage): void {
    this.received.push(message);
    switch (message.type) {
      case 'welcome':
        this.id = message.peer;
        FakeWorker.#byId.set(this.id, this);
        break;
      case 'hold':
        this.#hold(message);
        break;
      case 'drop':
        this.shards.delete(message.shard);
        this.held.delete(message.shard);
        for (const [number, { open }] of this.sequences) {
          if (open.shard === message.shard) this.sequences.delete(number);
        }
        break;
      case 'links':
        this.#link(message.peers.map(({ peer }) => peer));
        break;
      case 'open':
        this.#openSequence(message);
        break;
      case 'resume':
        this.sequences.get(message.sequence)?.resume(message);
        break;
      case 'prompt':
        this.sequences.get(message.sequence)?.prompt(message);
        break;
      case 'retell':
        setTimeout(
          () => this.sequences.get(message.sequence)?.retell(message),
          this.misbehaviour.retellMs ?? 0,
        );
        break;
      case 'close':
        this.sequences.delete(message.sequence);
        break;
      case 'signal':
      case 'ice':
      case 'released':
      case 'error':
        break;
      default:
        message satisfies never;
    }
  }

  /** What it has already is told again. */
  #hold(message: Message<'hold'>): void {
    const { shard } = message;
    this.shards.set(shard, message);
    if (!this.held.has(shard)) {
      if (this.misbehaviour.load === 'silent') return;
      if (this.misbehaviour.load === 'fail') {
        this.shards.delete(shard);
        const message = this.misbehaviour.words ?? 'no room';
        this.send({ type: 'load-failed', shard, error: { code: 'OUT_OF_MEMORY', message } });
        return;
      }
      this.send({ type: 'load-progress', shard, phase: 'download', bytesDone: 50, bytesTotal: 100 });
    }
    this.finishLoad(shard);
  }

  /** Says `held`, also of a load that a test has kept back. */
  finishLoad(shard: number, downloadedBytes = this.held.has(shard) ? 0 : 100): void {
    this.held.add(shard);
    this.send({
      type: 'held',
      shard,
      downloadedBytes,
      gpuBytes: this.#gpuBytes,
      loadMs: 1,
      kvPositions: this.misbehaviour.kvPositions ?? 1_000_000,
    });
  }

  #speak(): void {
    if (this.id === '') return;
    this.send({
      type: 'stats',
      tokensPerSecond: 0,
      sequences: this.sequences.size,
      bytesSent: 0,
      bytesReceived: 0,
      hop: null,
      prefillRowsPerSecond: null,
      freePositions: 1_000_000,
      links: [],
    });
  }

  /** Each message is answered with the links that are up. */
  #link(peers: readonly string[]): void {
    this.links.clear();
    for (const peer of peers) {
      this.links.add(peer);
      if (this.misbehaviour.links !== 'silent' && FakeWorker.#byId.has(peer)) {
        this.send({ type: 'link', peer, state: 'up' });
      }
    }
  }

  #openSequence(open: Message<'open'>): void {
    const { sequence, epoch } = open;
    if (this.misbehaviour.open === 'silent') return;
    const code = this.#refusalOf(open);
    if (code !== null) {
      this.send({ type: 'sequence-failed', sequence, epoch, error: { code, message: 'refused by a test' } });
      return;
    }
    const before = this.sequences.get(sequence);
    if (before !== undefined && before.open.epoch >= epoch) return;
    const stage = new FakeStage(this, open, before ?? null);
    this.sequences.set(sequence, stage);
    const { position, keptFrom } = stage;
    this.send({ type: 'opened', sequence, epoch, position, keptFrom });
    this.misbehaviour.onOpen?.(this, open);
  }

  #refusalOf({ wire, shard }: Message<'open'>): ErrorCode | null {
    const how = this.misbehaviour.open;
    if (how === 'SEQUENCE_LIMIT' || how === 'KV_EXHAUSTED') return how;
    if (how === 'F16_RANGE with f16' && wire === 'f16') return 'F16_RANGE';
    return this.held.has(shard) ? null : 'PROTOCOL_INVALID';
  }
}

export interface FakeWorkerOptions {
  readonly capability?: Partial<Capability>;
  readonly misbehaviour?: Misbehaviour;
  /** Who it is; default: somebody new. */
  readonly key?: string;
  /** It says every second that it lives, as real ones do: for a server whose clock is the real one. */
  readonly speaks?: boolean;
}
