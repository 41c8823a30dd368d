import { ShoalError } from '../../src/config/errors.ts';
import type {
  SequenceOptions,
  StageEngine,
  StepEntry,
  StepInput,
  StepOutput,
} from '../../src/gpu/stage-engine.ts';
import { WIRE_DTYPE_BYTES } from '../../src/gpu/stage-engine.ts';
import type { Shard } from '../../src/model/shard.ts';
import type { ModelSpec } from '../../src/model/spec.ts';
import { PLAIN_LLAMA } from '../support/plain-llama.ts';

export const FAKE_SPEC: ModelSpec = {
  layers: 8,
  hidden: 4,
  intermediate: 8,
  heads: 1,
  kvHeads: 1,
  headDim: 4,
  vocab: 1000,
  contextLength: 1024,
  ...PLAIN_LLAMA,
  bosTokenId: 0,
  eosTokenIds: [],
};

const NO_TIME = { uploadMs: 1, computeMs: 2, readbackMs: 3 };

function mix(a: number, b: number): number {
  let h = Math.imul(a ^ 0x9e37_79b9, 0x85eb_ca6b) ^ Math.imul(b ^ (b >>> 15), 0xc2b2_ae35);
  h ^= h >>> 13;
  h = Math.imul(h, 0x27d4_eb2f);
  return (h ^ (h >>> 16)) >>> 0;
}

interface FakeSequence {
  readonly options: SequenceOptions;
  /** Per layer of the shard: a running hash after each position, which stands for the KV cache. */
  readonly kv: number[][];
  readonly noted: Map<number, { id: number; prompt: boolean }>;
  length: number;
}

/** The token a whole, unsplit model picks after `ids`: the reference of every split. */
export function soloTokens(
  prompt: readonly number[],
  count: number,
  sampling: SequenceOptions['sampling'],
  spec = FAKE_SPEC,
): number[] {
  const shard = { start: 0, end: spec.layers, embedding: true, head: true };
  const engine = new FakeEngine(shard, { spec });
  engine.openSequence(1, { maxPositions: spec.contextLength, sampling });
  engine.note(1, 0, Uint32Array.from(prompt), true);
  const ids = [...prompt];
  const tokens: number[] = [];
  for (let fed = 0; tokens.length < count; fed++) {
    const row = engine.computeRow(1, fed, { id: ids[fed]! });
    if (fed < ids.length - 1) continue;
    const token = engine.sampleAfter(1, fed + 1, row);
    tokens.push(token);
    ids.push(token);
  }
  return tokens;
}

type RangedInput = StepInput & { readonly layers?: readonly [number, number] };

export interface FakeEngineOptions {
  readonly spec?: ModelSpec;
  /** Runs before each step's result: delays, failures. */
  readonly onStep?: (input: StepInput) => Promise<void> | void;
}

/**
 * A StageEngine of exact integer arithmetic: a row's hidden state is a hash of its id, its layers and everything the
 * sequence held before it, so that a lost, doubled, misplaced or foreign row changes every token that follows.
 */
export class FakeEngine implements StageEngine {
  readonly spec: ModelSpec;
  readonly shard: Shard;
  readonly bytes = { weights: 1, kv: 1, scratch: 1 };
  readonly kvPositions = 32 * 1_024;
  readonly steps: StepInput[] = [];
  destroyed = false;
  canComputePart = false;
  /** A step fails when its rows are in the KV cache already. */
  failsLate = false;
  readonly #sequences = new Map<number, FakeSequence>();
  readonly #onStep: FakeEngineOptions['onStep'];
  #tail: Promise<unknown> = Promise.resolve();

  constructor(shard: Shard, options: FakeEngineOptions = {}) {
    this.shard = shard;
    this.spec = options.spec ?? FAKE_SPEC;
    this.#onStep = options.onStep;
  }

  get openSequences(): number {
    return this.#sequences.size;
  }

  get freePositions(): number {
    const reserved = [...this.#sequences.values()].map(({ options }) => options.maxPositions);
    return this.kvPositions - reserved.reduce((sum, positions) => sum + positions, 0);
  }

  openSequence(sequence: number, options: SequenceOptions): void {
    if (this.#sequences.size >= 32) throw new ShoalError('SEQUENCE_LIMIT', 'full');
    const layers = this.shard.end - this.shard.start;
    this.#sequences.set(sequence, {
      options,
      kv: Array.from({ length: layers }, () => []),
      noted: new Map(),
      length: 0,
    });
  }

  closeSequence(sequence: number): void {
    this.#sequences.delete(sequence);
  }

  length(sequence: number): number {
    return this.#get(sequence).length;
  }

  truncate(sequence: number, length: number): void {
    const state = this.#get(sequence);
    if (length > state.length) throw new ShoalError('POSITION_GAP', `${length} > ${state.length}`);
    state.length = length;
    for (const layer of state.kv) layer.length = length;
    for (const position of state.noted.keys()) if (position > length) state.noted.delete(position);
  }

  /** Rows computed so far, of one sequence or of all. */
  rows(sequence?: number): number {
    const entries = this.steps.flatMap((step) => step.entries);
    return entries
      .filter((entry) => sequence === undefined || entry.sequence === sequence)
      .reduce((sum, { count }) => sum + count, 0);
  }

  note(sequence: number, position: number, ids: Uint32Array, prompt: boolean): void {
    const { noted } = this.#get(sequence);
    for (const [index, id] of ids.entries()) noted.set(position + index, { id, prompt });
  }

  step(input: StepInput): Promise<StepOutput> {
    const result = this.#tail.then(() => this.#run(input));
    this.#tail = result.catch(() => undefined);
    return result;
  }

  logits(): Promise<Float32Array> {
    return Promise.reject(new ShoalError('INTERNAL', 'the fake engine has no logits'));
  }

  destroy(): void {
    this.destroyed = true;
    this.#sequences.clear();
  }

  /** One row through the shard's layers. @returns the hash that is its hidden state */
  computeRow(
    sequence: number,
    position: number,
    input: { id: number } | { hash: number },
    [from, to]: readonly [number, number] = [this.shard.start, this.shard.end],
  ): number {
    const state = this.#get(sequence);
    let hash = 'id' in input ? mix(input.id, 7) : input.hash;
    for (const [index, layer] of state.kv.entries()) {
      if (this.shard.start + index < from || this.shard.start + index >= to) continue;
      const before = layer[position - 1] ?? 0;
      layer[position] = mix(before, mix(hash, position));
      hash = (mix(hash, mix(layer[position]!, this.shard.start + index)) & FINITE) >>> 0;
    }
    state.length = position + 1;
    return hash;
  }

  /** The token at `position`, from the row before it; keyed by (seed, position) and by what was noted. */
  sampleAfter(sequence: number, position: number, hash: number): number {
    const { options, noted } = this.#get(sequence);
    const { sampling } = options;
    let key = sampling.temperature === 0 ? 1 : mix(sampling.seed, position);
    if (sampling.repetitionPenalty !== 1 || sampling.presencePenalty !== 0) {
      for (let at = 0; at < position; at++) {
        const note = noted.get(at);
        if (note === undefined) throw new ShoalError('INTERNAL', `nobody noted the id at ${at}`);
        key = mix(key, note.id * 2 + (note.prompt ? 1 : 0));
      }
    }
    const token = mix(hash, key) % this.spec.vocab;
    noted.set(position, { id: token, prompt: false });
    return token;
  }

  async #run(input: RangedInput): Promise<StepOutput> {
    if (!this.failsLate) await this.#onStep?.(input);
    const layers = input.layers ?? [this.shard.start, this.shard.end];
    const head = this.shard.head && layers[1] === this.shard.end;
    this.steps.push(input);
    const rowBytes = this.spec.hidden * WIRE_DTYPE_BYTES[input.wire];
    const rows = input.entries.reduce((sum, entry) => sum + entry.count, 0);
    if (rows > 64) throw new ShoalError('INTERNAL', `${rows} rows in a step`);
    if (input.hidden !== undefined && input.hidden.byteLength !== rows * rowBytes)
      throw new ShoalError('INTERNAL', 'bytes');
    if (input.tokens !== undefined && input.tokens.length !== rows) throw new ShoalError('INTERNAL', 'ids');
    const hidden = new Uint8Array(rows * rowBytes);
    const sampled: number[] = [];
    let row = 0;
    for (const entry of input.entries) {
      this.#check(entry);
      let hash = 0;
      for (let i = 0; i < entry.count; i++, row++) {
        const from =
          input.tokens === undefined
            ? { hash: readHash(input.hidden!, row, rowBytes) }
            : { id: input.tokens[row]! };
        hash = this.computeRow(entry.sequence, entry.position + i, from, layers);
        writeHash(hidden, row, rowBytes, hash);
      }
      if (entry.sample && head) {
        sampled.push(this.sampleAfter(entry.sequence, entry.position + entry.count, hash));
      }
    }
    if (this.failsLate) await this.#onStep?.(input);
    return head ? { sampled: Uint32Array.from(sampled), timings: NO_TIME } : { hidden, timings: NO_TIME };
  }

  #check(entry: StepEntry): void {
    const { length } = this.#get(entry.sequence);
    if (entry.position !== length) {
      throw new ShoalError('POSITION_GAP', `entry at ${entry.position}, held ${length}`);
    }
  }

  #get(sequence: number): FakeSequence {
    const state = this.#sequences.get(sequence);
    if (state === undefined) throw new ShoalError('SEQUENCE_UNKNOWN', `sequence ${sequence}`);
    return state;
  }
}

/** Bits of a hash that make no exponent all ones, in f16 or f32: stages refuse rows with Inf or NaN. */
const FINITE = 0xbfff_bfff;

function writeHash(bytes: Uint8Array, row: number, rowBytes: number, hash: number): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset + row * rowBytes, rowBytes);
  for (let at = 0; at < rowBytes; at += 4) view.setUint32(at, (hash ^ at) >>> 0, true);
}

/** Every word of the row must have survived the way. */
function readHash(bytes: Uint8Array, row: number, rowBytes: number): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset + row * rowBytes, rowBytes);
  const hash = view.getUint32(0, true);
  for (let at = 0; at < rowBytes; at += 4) {
    if (view.getUint32(at, true) !== (hash ^ at) >>> 0)
      throw new ShoalError('INTERNAL', `row ${row} was torn`);
  }
  return hash;
}
