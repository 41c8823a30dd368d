import { WebSocket } from 'ws';
import { MAX_CONTEXT_POSITIONS } from '../../../src/config/limits.ts';
import { parseServerMessage } from '../../../src/mesh/protocol/codec.ts';
import {
  type Capability,
  CONTROL_VERSION,
  type PeerMessage,
  type ServerMessage,
} from '../../../src/mesh/protocol/control.ts';
import type { TokenLogprobs } from '../../../src/model/sampling.ts';

type Message<T extends ServerMessage['type']> = Extract<ServerMessage, { type: T }>;

export const FAKE_VOCAB = 1_000;

/** The fake model: the next id depends on every id before it, so that a wrong replay gives other text. */
export function nextId(ids: readonly number[]): number {
  let hash = 2_166_136_261;
  for (const id of ids) hash = Math.imul(hash ^ id, 16_777_619) >>> 0;
  return hash % FAKE_VOCAB;
}

/** Depends on the id alone. */
export function fakeLogprobs(id: number, count: number): TokenLogprobs {
  return { picked: -id - 1, top: Array.from({ length: count }, (_, i) => [i, -i - 1]) };
}

/** What the fake model says after `prompt`. */
export function expectedIds(prompt: readonly number[], count: number): number[] {
  const ids = [...prompt];
  for (let i = 0; i < count; i++) ids.push(nextId(ids));
  return ids.slice(prompt.length);
}

export const CAPABILITY: Capability = {
  adapter: { vendor: 'test', architecture: 'fake', description: 'fake adapter', isFallback: false },
  maxBufferBytes: 2 ** 30,
  maxStorageBindingBytes: 2 ** 30,
  memoryBudgetBytes: 2 ** 30,
  gemvMacsPerSecond: 1e9,
  userAgent: 'test',
};

interface OpenSequence {
  readonly open: Message<'open'>;
  readonly ids: number[];
}

/** How a worker misbehaves. */
export interface Misbehaviour {
  /** Called by the last stage instead of sending the token; `send` sends it. Nothing sent: the sequence stalls. */
  onToken?: (worker: FakeWorker, token: Extract<PeerMessage, { type: 'token' }>, send: () => void) => void;
  /** `silent`: never ready. Or the load fails with this. */
  load?: 'silent' | 'fail';
  /** GPU bytes it says a stage takes; default 100. */
  gpuBytes?: number;
  /** `silent`: never opened. Or this code. */
  open?: 'silent' | 'SEQUENCE_LIMIT' | 'F16_RANGE with f16';
}

/**
 * A worker without GPU or WebRTC: the control protocol over a real WebSocket, the model above, and the other fake
 * workers in reach by their ids. A token is made only while every stage of its pipeline is alive and holds the sequence.
 */
export class FakeWorker {
  static readonly #byId = new Map<string, FakeWorker>();
  readonly name: string;
  readonly received: ServerMessage[] = [];
  readonly assignments = new Map<number, Message<'assign'>>();
  /** Key: epoch/sequence. */
  readonly sequences = new Map<string, OpenSequence>();
  id = '';
  /** RFC 6455's; null while the socket is open. */
  closeCode: number | null = null;
  misbehaviour: Misbehaviour;
  readonly #socket: WebSocket;
  readonly #capability: Capability;

  private constructor(socket: WebSocket, name: string, capability: Capability, misbehaviour: Misbehaviour) {
    this.#socket = socket;
    this.name = name;
    this.#capability = capability;
    this.misbehaviour = misbehaviour;
    socket.on('message', (data) => this.#receive(parseServerMessage(String(data))));
    socket.on('error', () => {});
    socket.on('close', (code) => {
      this.closeCode = code;
      FakeWorker.#byId.delete(this.id);
    });
  }

  /** Connects, says hello and joins; resolves when the server has welcomed it. */
  static async join(
    url: string,
    name: string,
    options: { capability?: Partial<Capability>; misbehaviour?: Misbehaviour } = {},
  ): Promise<FakeWorker> {
    const socket = new WebSocket(url);
    const worker = new FakeWorker(
      socket,
      name,
      { ...CAPABILITY, ...options.capability },
      options.misbehaviour ?? {},
    );
    await new Promise<void>((resolve, reject) => {
      socket.once('open', resolve);
      socket.once('error', reject);
    });
    const welcomed = new Promise<void>((resolve) => socket.once('message', () => resolve()));
    worker.send({ type: 'hello', version: CONTROL_VERSION, name });
    await welcomed;
    worker.join();
    return worker;
  }

  join(): void {
    this.send({ type: 'join', capability: this.#capability });
  }

  send(message: PeerMessage): void {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  /** The tab was killed: no goodbye. */
  kill(): void {
    FakeWorker.#byId.delete(this.id);
    this.#socket.terminate();
  }

  messages<T extends ServerMessage['type']>(type: T): Message<T>[] {
    return this.received.filter((message): message is Message<T> => message.type === type);
  }

  #receive(message: ServerMessage): void {
    this.received.push(message);
    switch (message.type) {
      case 'welcome':
        this.id = message.peer;
        FakeWorker.#byId.set(this.id, this);
        break;
      case 'assign':
        this.assignments.set(message.epoch, message);
        this.#load(message.epoch);
        break;
      case 'unassign':
        this.assignments.delete(message.epoch);
        for (const key of [...this.sequences.keys()]) {
          if (key.startsWith(`${message.epoch}/`)) this.sequences.delete(key);
        }
        break;
      case 'open':
        this.#open(message);
        break;
      case 'prompt':
        this.#prompt(message);
        break;
      case 'close':
        this.sequences.delete(`${message.epoch}/${message.sequence}`);
        break;
      case 'signal':
      case 'error':
        break;
      default:
        message satisfies never;
    }
  }

  #load(epoch: number): void {
    if (this.misbehaviour.load === 'silent') return;
    if (this.misbehaviour.load === 'fail') {
      this.send({ type: 'load-failed', epoch, error: { code: 'OUT_OF_MEMORY', message: 'no room' } });
      return;
    }
    this.send({ type: 'load-progress', epoch, phase: 'download', bytesDone: 50, bytesTotal: 100 });
    this.send({
      type: 'ready',
      epoch,
      downloadedBytes: 100,
      gpuBytes: this.misbehaviour.gpuBytes ?? 100,
      loadMs: 1,
    });
  }

  #open(open: Message<'open'>): void {
    const { epoch, sequence } = open;
    const how = this.misbehaviour.open;
    if (how === 'silent') return;
    if (how === 'SEQUENCE_LIMIT' || (how === 'F16_RANGE with f16' && open.wire === 'f16')) {
      const code = how === 'SEQUENCE_LIMIT' ? how : 'F16_RANGE';
      this.send({ type: 'sequence-failed', epoch, sequence, error: { code, message: 'refused by a test' } });
      return;
    }
    this.sequences.set(`${epoch}/${sequence}`, { open, ids: [] });
    this.send({ type: 'opened', epoch, sequence });
  }

  #prompt({ epoch, sequence, position, ids, last }: Message<'prompt'>): void {
    const held = this.sequences.get(`${epoch}/${sequence}`);
    const stages = this.assignments.get(epoch)?.stages ?? [];
    // The last of several stages is told the prompt only for penalties.
    if (held === undefined || stages[0]?.peer !== this.id) return;
    if (held.ids.length !== position) throw new Error(`prompt at ${position}, ${held.ids.length} are held`);
    held.ids.push(...ids);
    if (last)
      this.#step(
        epoch,
        sequence,
        stages.map(({ peer }) => peer),
      );
  }

  /** One token of the whole pipeline, in the shape of the last stage's message. */
  #step(epoch: number, sequence: number, peers: readonly string[]): void {
    const key = `${epoch}/${sequence}`;
    setImmediate(() => {
      const workers = peers.map((peer) => FakeWorker.#byId.get(peer));
      const held = this.sequences.get(key);
      if (held === undefined || !workers.every((worker) => worker?.sequences.has(key))) return;
      const last = workers.at(-1)!;
      const position = held.ids.length;
      const token = nextId(held.ids);
      const { eosTokenIds, maxPositions } = held.open;
      const finish = eosTokenIds.includes(token) ? 'stop' : position === maxPositions - 1 ? 'length' : null;
      if (position >= MAX_CONTEXT_POSITIONS) throw new Error('beyond the context');
      const { topLogprobs } = held.open;
      const message = {
        type: 'token',
        epoch,
        sequence,
        position,
        token,
        finish,
        ...(topLogprobs !== undefined && { logprobs: fakeLogprobs(token, topLogprobs) }),
      } as const;
      const send = () => {
        held.ids.push(token);
        last.send(message);
        if (finish === null) this.#step(epoch, sequence, peers);
      };
      if (last.misbehaviour.onToken) last.misbehaviour.onToken(last, message, send);
      else send();
    });
  }
}
