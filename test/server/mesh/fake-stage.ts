import { MAX_CONTEXT_POSITIONS } from '../../../src/config/limits.ts';
import type { PeerMessage, ServerMessage } from '../../../src/mesh/protocol/control.ts';
import { fakeLogprobs, nextId } from './fake-model.ts';
import { FakeWorker } from './fake-worker.ts';

type Message<T extends ServerMessage['type']> = Extract<ServerMessage, { type: T }>;
export type FakeToken = Extract<PeerMessage, { type: 'token' }>;

/** Rows on their way from stage to stage; in the fake model a row is its id. */
interface Rows {
  readonly epoch: number;
  readonly position: number;
  readonly ids: readonly number[];
  /** After the last of them comes a token. */
  readonly sample: boolean;
}

/** A sequence on one fake worker, on one route. Computes nothing out of order, and nothing of another epoch. */
export class FakeStage {
  readonly open: Message<'open'>;
  /** Positions computed since the sequence was first opened here, again ones counted each time: what a replay costs. */
  computed: number;
  readonly #worker: FakeWorker;
  /** Rows of positions [0, position): its KV cache. */
  #ids: number[];
  #keptFrom: number;
  /** Where the next row for the stage behind stands; null until `resume` says so. */
  #next: number | null;
  /** Position that was asked to be sampled; rows go out with it once `#next` is known. */
  #sampleAt: number | null = null;
  /** On the last stage: tokens that it has made. */
  readonly #tokens: FakeToken[];

  /** @param before the same sequence on an earlier route: what it holds below the last known position stays */
  constructor(worker: FakeWorker, open: Message<'open'>, before: FakeStage | null) {
    this.#worker = worker;
    this.open = open;
    const isSameStage =
      before !== null &&
      before.#stop.start === this.#stop.start &&
      before.#stop.end === this.#stop.end &&
      before.open.wire === open.wire;
    this.#ids = isSameStage ? before.#ids.slice(0, Math.max(0, open.known - 1)) : [];
    this.#keptFrom = Math.min(
      this.#ids.length,
      Math.max(isSameStage ? before.#keptFrom : 0, worker.misbehaviour.keptFrom ?? 0),
    );
    this.#tokens = before === null ? [] : before.#tokens;
    this.computed = before?.computed ?? 0;
    this.#next = open.awaitsResume ? null : 0;
  }

  get position(): number {
    return this.#ids.length;
  }

  get keptFrom(): number {
    return this.#keptFrom;
  }

  get #stop() {
    return this.open.route[this.open.index]!;
  }

  get #isLast(): boolean {
    return this.open.index === this.open.route.length - 1;
  }

  resume({ epoch, position, next, ids = [] }: Message<'resume'>): void {
    if (epoch !== this.open.epoch) return;
    const { sequence, known } = this.open;
    const told = ids.map((token, index) => ({ token, finish: null, position: known - ids.length + index }));
    this.#tokens.unshift(...told.map((token) => ({ type: 'token' as const, sequence, epoch, ...token })));
    if (position > this.#ids.length) throw new Error(`resume at ${position}, ${this.#ids.length} are held`);
    if (next < this.#keptFrom && next < position) {
      throw new Error(`resume sends from ${next}, rows are kept from ${this.#keptFrom}`);
    }
    this.#ids.length = position;
    this.#keptFrom = Math.min(this.#keptFrom, position);
    this.#next = next;
    this.#pump();
  }

  /** The last of several stages is told the prompt only for penalties. */
  prompt({ epoch, position, ids, last }: Message<'prompt'>): void {
    if (epoch !== this.open.epoch || this.open.index > 0) return;
    setImmediate(() => this.#take({ epoch, position, ids, sample: last }));
  }

  retell({ epoch, position }: Message<'retell'>): void {
    if (epoch !== this.open.epoch) return;
    const { sequence, known } = this.open;
    const first = Math.max(position, this.#tokens[0]?.position ?? known);
    const tokens = this.#tokens
      .filter((token) => token.position >= first)
      .map(({ token, finish, logprobs }) => ({ token, finish, ...(logprobs && { logprobs }) }));
    this.#worker.send({ type: 'retold', sequence, epoch, position: first, tokens, last: true });
  }

  /** @throws where rows are missing, or come where others are held */
  #take({ epoch, position, ids, sample }: Rows): void {
    if (!this.#isOpen || epoch !== this.open.epoch) return;
    if (position > this.#ids.length) {
      this.#worker.send({
        type: 'sequence-failed',
        sequence: this.open.sequence,
        epoch,
        error: { code: 'POSITION_GAP', message: `rows from ${position}, ${this.#ids.length} are held` },
      });
      return;
    }
    this.#ids.length = position;
    this.#ids.push(...ids);
    this.computed += ids.length;
    if (sample) this.#sampleAt = this.#ids.length;
    this.#pump();
  }

  #pump(): void {
    if (this.#next === null) return;
    if (this.#isLast) {
      if (this.#sampleAt !== null) this.#sample(this.#sampleAt);
      this.#sampleAt = null;
      return;
    }
    if (this.#next >= this.#ids.length) return;
    const sample = this.#sampleAt !== null;
    this.#sampleAt = null;
    const rows = { epoch: this.open.epoch, position: this.#next, ids: this.#ids.slice(this.#next), sample };
    this.#next = this.#ids.length;
    this.#sendTo(this.open.index + 1, (stage) => stage.#take(rows));
  }

  #sample(position: number): void {
    const { sequence, epoch, eosTokenIds, maxPositions, topLogprobs } = this.open;
    if (position >= MAX_CONTEXT_POSITIONS) throw new Error('beyond the context');
    const token = nextId(this.#ids);
    const finish = eosTokenIds.includes(token) ? 'stop' : position === maxPositions - 1 ? 'length' : null;
    const message: FakeToken = {
      type: 'token',
      sequence,
      epoch,
      position,
      token,
      finish,
      ...(topLogprobs !== undefined && { logprobs: fakeLogprobs(token, topLogprobs) }),
    };
    const send = () => {
      if (!this.#isOpen) return;
      this.#tokens.push(message);
      this.#worker.send(message);
      if (finish !== null) return;
      this.#sendTo(0, (stage) => stage.#take({ epoch, position, ids: [token], sample: true }));
    };
    const { onToken } = this.#worker.misbehaviour;
    if (onToken) onToken(this.#worker, message, send);
    else send();
  }

  get #isOpen(): boolean {
    return this.#worker.isAlive && this.#worker.sequences.get(this.open.sequence) === this;
  }

  #sendTo(index: number, deliver: (stage: FakeStage) => void): void {
    setImmediate(() => {
      if (!this.#isOpen) return;
      const peer = FakeWorker.inReach(this.open.route[index]!.peer);
      const stage = peer?.sequences.get(this.open.sequence);
      if (stage !== undefined && stage.open.epoch === this.open.epoch) deliver(stage);
    });
  }
}
