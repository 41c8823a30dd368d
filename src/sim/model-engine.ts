import { ShoalError } from '../config/errors.ts';
import { KV_PAGE_POSITIONS, MAX_BATCH_ROWS, MAX_SEQUENCES_PER_STAGE } from '../config/limits.ts';
import { TokenHistory } from '../gpu/sampler.ts';
import {
  type SequenceOptions,
  type StageEngine,
  type StepEntry,
  type StepInput,
  type StepOutput,
  WIRE_DTYPE_BYTES,
} from '../gpu/stage-engine.ts';
import type { Timers } from '../mesh/timers.ts';
import { kvBytes, pagesOf } from '../model/gpu-bytes.ts';
import type { TokenLogprobs } from '../model/sampling.ts';
import type { Shard } from '../model/shard.ts';
import { embed, finite, HashCache, mix, sampleHash } from './arithmetic.ts';
import { type SimModel, weightParts } from './model.ts';

/** How fast a simulated adapter computes. It may change while it serves. */
export interface ComputeRate {
  macsPerSecond: number;
  /** Of every step, whatever is in it: submit, readback. */
  readonly launchMs: number;
  /** What one more row of a step takes, as a share of the first: little on a GPU, which reads the weights once for all. */
  readonly rowShare: number;
}

export interface ModelEngineOptions {
  readonly model: SimModel;
  readonly shard: Shard;
  readonly rate: ComputeRate;
  readonly kvPages: number;
  readonly timers: Timers;
  /** Of the adapter's class: another one gives other tokens. */
  readonly bits?: number;
  /** Asked before every step; what it gives is thrown. */
  readonly fault?: (input: StepInput) => ShoalError | null;
}

interface Sequence {
  readonly options: SequenceOptions;
  readonly pages: number;
  readonly cache: HashCache;
  readonly history: TokenHistory;
}

/** A `StageEngine` of the hash model: exact, limited as the real one is, and as slow as it is told to be. */
export class ModelEngine implements StageEngine {
  readonly spec: SimModel['spec'];
  readonly shard: Shard;
  readonly bytes: StageEngine['bytes'];
  readonly #options: ModelEngineOptions;
  readonly #sequences = new Map<number, Sequence>();
  #freePages: number;
  #tail: Promise<unknown> = Promise.resolve();
  #destroyed = false;

  constructor(options: ModelEngineOptions) {
    const { model, shard, kvPages } = options;
    this.spec = model.spec;
    this.shard = shard;
    this.#options = options;
    this.#freePages = kvPages;
    const { costs } = model;
    this.bytes = {
      weights: weightParts(model, shard).reduce((sum, { bytes }) => sum + bytes, 0),
      kv: kvBytes(this.spec, shard.end - shard.start, kvPages * KV_PAGE_POSITIONS),
      scratch: costs.scratchBytes,
    };
  }

  readonly canComputePart = true;

  get openSequences(): number {
    return this.#sequences.size;
  }

  get freePages(): number {
    return this.#freePages;
  }

  get kvPositions(): number {
    return this.#options.kvPages * KV_PAGE_POSITIONS;
  }

  get freePositions(): number {
    return this.#freePages * KV_PAGE_POSITIONS;
  }

  get isDestroyed(): boolean {
    return this.#destroyed;
  }

  openSequence(sequence: number, options: SequenceOptions): void {
    const { shard, model } = this.#options;
    if (this.#sequences.has(sequence))
      throw new ShoalError('INVALID_REQUEST', `sequence ${sequence} is open already`);
    if (options.maxPositions < 1 || options.maxPositions > this.spec.contextLength) {
      throw new ShoalError(
        'CONTEXT_LENGTH_EXCEEDED',
        `sequence ${sequence} asks for ${options.maxPositions}`,
      );
    }
    if (this.#sequences.size >= MAX_SEQUENCES_PER_STAGE) {
      throw new ShoalError('SEQUENCE_LIMIT', `${this.#sequences.size} sequences are open`);
    }
    const pages = pagesOf(options.maxPositions);
    if (pages > this.#freePages) {
      throw new ShoalError('KV_EXHAUSTED', `${pages} pages are needed, ${this.#freePages} are free`);
    }
    this.#freePages -= pages;
    this.#sequences.set(sequence, {
      options,
      pages,
      cache: new HashCache(shard.start, shard.end - shard.start, model.f16RangeOneIn),
      history: new TokenHistory(),
    });
  }

  closeSequence(sequence: number): void {
    const state = this.#sequences.get(sequence);
    if (state === undefined) return;
    this.#sequences.delete(sequence);
    this.#freePages += state.pages;
  }

  length(sequence: number): number {
    return this.#get(sequence).cache.length;
  }

  truncate(sequence: number, length: number): void {
    const { cache } = this.#get(sequence);
    if (length > cache.length) throw new ShoalError('POSITION_GAP', `${length} > ${cache.length}`);
    cache.truncate(length);
  }

  note(sequence: number, position: number, ids: Uint32Array, prompt: boolean): void {
    this.#get(sequence).history.note(position, ids, prompt);
  }

  step(input: StepInput): Promise<StepOutput> {
    const result = this.#tail.then(() => this.#run(input));
    this.#tail = result.catch(() => undefined);
    return result;
  }

  logits(): Promise<Float32Array> {
    return Promise.reject(new ShoalError('INTERNAL', 'a simulated engine has no logits'));
  }

  destroy(): void {
    this.#destroyed = true;
    this.#sequences.clear();
  }

  async #run(input: StepInput): Promise<StepOutput> {
    this.#checkAlive();
    const computeMs = this.#stepMs(input);
    await new Promise<void>((done) => this.#options.timers.after(computeMs, done));
    this.#checkAlive();
    const fault = this.#options.fault?.(input) ?? null;
    if (fault !== null) throw fault;
    const timings = { uploadMs: 0, computeMs, readbackMs: 0 };
    const rows = this.#rowsOf(input);
    const out = new Uint8Array(rows.length * this.#rowBytes(input));
    const sampled: number[] = [];
    const logprobs: (TokenLogprobs | undefined)[] = [];
    let at = 0;
    for (const entry of input.entries) {
      const state = this.#checked(entry);
      for (let i = 0; i < entry.count; i++, at++) rows[at] = this.#forward(state, rows[at]!, input);
      const last = rows[at - 1]!;
      if (!this.#isLast(input) || !entry.sample) continue;
      const token = this.#sample(state, entry, last);
      sampled.push(token);
      const { topLogprobs } = state.options;
      logprobs.push(topLogprobs === undefined ? undefined : hashLogprobs(last, token, topLogprobs));
    }
    if (this.#isLast(input)) return { sampled: Uint32Array.from(sampled), logprobs, timings };
    for (const [index, hash] of rows.entries()) this.#write(out, index, hash, input);
    return { hidden: out, timings };
  }

  #layersOf({ layers }: StepInput): readonly [number, number] {
    return layers ?? [this.shard.start, this.shard.end];
  }

  /** Its rows go to the LM head. */
  #isLast(input: StepInput): boolean {
    return this.#layersOf(input)[1] === this.spec.layers;
  }

  #stepMs(input: StepInput): number {
    const { model, rate } = this.#options;
    const [start, end] = this.#layersOf(input);
    const rows = input.entries.reduce((sum, { count }) => sum + count, 0);
    const samples = this.#isLast(input) ? input.entries.filter(({ sample }) => sample).length : 0;
    const more = (count: number) => (count === 0 ? 0 : 1 + (count - 1) * rate.rowShare);
    let macs = 0;
    for (let layer = start; layer < end; layer++) macs += model.costs.layers[layer]!.macs;
    const work = macs * more(rows) + model.costs.head.macs * more(samples);
    return rate.launchMs + (work / rate.macsPerSecond) * 1_000;
  }

  #rowsOf(input: StepInput): number[] {
    const count = input.entries.reduce((sum, entry) => sum + entry.count, 0);
    if (count < 1 || count > MAX_BATCH_ROWS) throw new ShoalError('INTERNAL', `${count} rows in a step`);
    if (this.#layersOf(input)[0] === 0) {
      if (input.tokens?.length !== count) throw new ShoalError('INTERNAL', 'not as many ids as rows');
      return Array.from(input.tokens, embed);
    }
    const { hidden } = input;
    if (hidden?.byteLength !== count * this.#rowBytes(input))
      throw new ShoalError('INTERNAL', 'hidden rows of another size');
    return Array.from({ length: count }, (_, row) => this.#read(hidden, row, input));
  }

  #forward({ cache, options }: Sequence, row: number, input: StepInput): number {
    if (cache.length >= options.maxPositions)
      throw new ShoalError('INTERNAL', `a row beyond ${options.maxPositions} positions`);
    const [start, end] = this.#layersOf(input);
    const hash = cache.forward(row, start, end, input.wire, this.#options.bits ?? 0);
    if (cache.leftF16) throw new ShoalError('F16_RANGE', 'a value left the range of f16');
    return hash;
  }

  #sample({ options, history }: Sequence, entry: StepEntry, row: number): number {
    const position = entry.position + entry.count;
    const token = sampleHash(row, position, options.sampling, history, this.spec.vocab);
    history.note(position, [token], false);
    return token;
  }

  #checked(entry: StepEntry): Sequence {
    const state = this.#get(entry.sequence);
    if (entry.position !== state.cache.length) {
      throw new ShoalError(
        'POSITION_GAP',
        `sequence ${entry.sequence} holds ${state.cache.length} positions, the entry starts at ${entry.position}`,
      );
    }
    return state;
  }

  #get(sequence: number): Sequence {
    const state = this.#sequences.get(sequence);
    if (state === undefined) throw new ShoalError('SEQUENCE_UNKNOWN', `sequence ${sequence} is not open`);
    return state;
  }

  #checkAlive(): void {
    if (this.#destroyed) throw new ShoalError('DEVICE_LOST', 'the engine was destroyed');
  }

  // — rows on the wire: every word must survive the way ————————————————————————————————————————

  #rowBytes({ wire }: StepInput): number {
    return this.spec.hidden * WIRE_DTYPE_BYTES[wire];
  }

  #write(bytes: Uint8Array, row: number, hash: number, input: StepInput): void {
    const rowBytes = this.#rowBytes(input);
    const view = new DataView(bytes.buffer, bytes.byteOffset + row * rowBytes, rowBytes);
    for (let at = 0; at < rowBytes; at += 4)
      view.setUint32(at, at === 0 ? hash : finite(mix(hash, at)), true);
  }

  #read(bytes: Uint8Array, row: number, input: StepInput): number {
    const rowBytes = this.#rowBytes(input);
    const view = new DataView(bytes.buffer, bytes.byteOffset + row * rowBytes, rowBytes);
    const hash = view.getUint32(0, true);
    for (let at = 4; at < rowBytes; at += 4) {
      if (view.getUint32(at, true) !== finite(mix(hash, at)))
        throw new ShoalError('INTERNAL', `row ${row} was torn`);
    }
    return hash;
  }
}

/** Depend on the row and the token alone. */
function hashLogprobs(row: number, token: number, count: number): TokenLogprobs {
  const likely = (index: number): [number, number] => [mix(row, index) % 1_000, -index - 1];
  return { picked: -(mix(row, token) % 100) / 10, top: Array.from({ length: count }, (_, i) => likely(i)) };
}
