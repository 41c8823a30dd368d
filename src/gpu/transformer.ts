import { ShoalError } from '../config/errors.ts';
import { MAX_BATCH_ROWS } from '../config/limits.ts';
import type { LoadedTensor } from '../model/fetch/manifest.ts';
import { ropeBytes, scratchBytes } from '../model/gpu-bytes.ts';
import type { TokenLogprobs } from '../model/sampling.ts';
import { layersText, type Quantization, type Shard } from '../model/shard.ts';
import type { ModelSpec } from '../model/spec.ts';
import { type Activations, createActivations } from './activations.ts';
import { reservedBytes } from './budget.ts';
import { USAGE } from './buffer-usage.ts';
import { type GpuDevice, throwIfAborted } from './device.ts';
import { compilerFor, STEP_SLOT_BYTES } from './kernels.ts';
import { KvCache, type KvSequence } from './kv-cache.ts';
import { tokenLogprobs } from './logprobs.ts';
import { ReadbackRing, type Ticket } from './readback.ts';
import { ropeTable } from './rope.ts';
import { isPlainGreedy, sampleToken, TokenHistory } from './sampler.ts';
import type { ShaderSource } from './shaders.ts';
import {
  type SequenceOptions,
  type StageEngine,
  type StepInput,
  type StepOutput,
  WIRE_DTYPE_BYTES,
} from './stage-engine.ts';
import { type RowGroup, STEP_SLOTS, StageProgram } from './stage-program.ts';
import { FALLBACK_TUNING, HARDWARE_TUNING, type Tuning } from './tuning.ts';
import { loadWeights, type ShardWeights } from './weights.ts';

export interface StageEngineOptions {
  readonly device: GpuDevice;
  readonly shaders: ShaderSource;
  readonly spec: ModelSpec;
  readonly shard: Shard;
  /** The shard's tensors in any order, each once; others are passed over. */
  readonly weights: AsyncIterable<LoadedTensor>;
  readonly quantization: Quantization;
  readonly kvBudgetBytes: number;
  /** Weights, KV cache and scratch together. Without it only the device bounds them. */
  readonly memoryBudgetBytes?: number;
  /** From `probeTuning`; without it a default for software or hardware adapters. */
  readonly tuning?: Tuning;
  readonly now?: () => number;
  readonly signal?: AbortSignal;
}

/**
 * Loads a shard's weights, compiles its kernels and makes room for its KV cache.
 * @throws SHARD_TOO_LARGE, OUT_OF_MEMORY, TENSOR_MISSING, TENSOR_SHAPE, SHADER_INVALID, DEVICE_LOST, ABORTED, and what
 *   `weights` throws. Nothing stays allocated then.
 */
export async function createStageEngine(options: StageEngineOptions): Promise<StageEngine> {
  const { device, spec, shard, signal } = options;
  const layers = shard.end - shard.start;
  const tuning = options.tuning ?? (device.adapter.isFallback ? FALLBACK_TUNING : HARDWARE_TUNING);
  const owned: (() => void)[] = [];
  try {
    const weights = await loadWeights({
      device,
      spec,
      shard,
      quantization: options.quantization,
      expandF16: tuning.expandF16,
      tensors: options.weights,
      memoryBudgetBytes: options.memoryBudgetBytes ?? Number.MAX_SAFE_INTEGER,
      reservedBytes: reservedBytes(device, spec, shard, options.kvBudgetBytes),
      ...(signal === undefined ? {} : { signal }),
    });
    owned.push(() => weights.destroy());
    const kv = await KvCache.create(device, spec, layers, options.kvBudgetBytes);
    owned.push(() => kv.destroy());
    const { buffers, logitRows } = await createActivations(spec, shard, device);
    owned.push(() => {
      for (const buffer of Object.values(buffers)) device.free(buffer);
    });
    const angles = device.create('rope angles', ropeBytes(spec), USAGE.STORAGE | USAGE.COPY_DST);
    owned.push(() => device.free(angles));
    device.raw.queue.writeBuffer(angles, 0, ropeTable(spec, spec.contextLength));
    const compiler = compilerFor(device, options.shaders);
    const uniform = compiler.stepUniform(STEP_SLOTS);
    owned.push(() => device.free(uniform.buffer));
    const context = { device, compiler, tuning, shared: buffers };
    const program = await StageProgram.create(context, spec, weights, buffers, logitRows, kv, angles);
    throwIfAborted(signal);
    device.check();
    return new Transformer(options, { weights, kv, buffers, program, uniform, owned });
  } catch (thrown) {
    for (const free of owned.reverse()) free();
    throw ShoalError.from(thrown);
  }
}

interface Parts {
  readonly weights: ShardWeights;
  readonly kv: KvCache;
  readonly buffers: Activations;
  readonly program: StageProgram;
  readonly uniform: { readonly buffer: GPUBuffer; readonly group: GPUBindGroup };
  /** Frees everything above. */
  readonly owned: readonly (() => void)[];
}

interface SamplerState {
  readonly options: SequenceOptions;
  readonly history: TokenHistory;
}

/** A row whose successor is to be picked. */
interface Sample {
  readonly sequence: number;
  readonly row: number;
  /** Position of the token to be picked. */
  readonly position: number;
}

/** A validated micro-batch. */
interface Batch {
  /** (rows) position of each row */
  readonly positions: readonly number[];
  /** (rows, 2) */
  readonly rowInfo: Uint32Array<ArrayBuffer>;
  readonly samples: readonly Sample[];
  readonly lengths: ReadonlyMap<KvSequence, number>;
}

/** Where in the readback buffer things lie. */
const IDS_AT = 16;
const PAYLOAD_AT = IDS_AT + MAX_BATCH_ROWS * 4;

const STATUS_NON_FINITE = 1;
const STATUS_F16_RANGE = 2;

class Transformer implements StageEngine {
  readonly spec: ModelSpec;
  readonly shard: Shard;
  readonly bytes: StageEngine['bytes'];
  readonly #device: GpuDevice;
  readonly #now: () => number;
  readonly #parts: Parts;
  readonly #ring: ReadbackRing;
  readonly #samplers = new Map<number, SamplerState>();
  #destroyed = false;

  constructor(options: StageEngineOptions, parts: Parts) {
    this.spec = options.spec;
    this.shard = options.shard;
    this.#device = options.device;
    this.#now = options.now ?? (() => performance.now());
    this.#parts = parts;
    this.#ring = new ReadbackRing(options.device);
    this.bytes = {
      weights: parts.weights.bytes,
      kv: parts.kv.bytes,
      scratch: scratchBytes(options.spec, options.shard.head, options.device.limits.maxStorageBindingBytes),
    };
  }

  openSequence(sequence: number, options: SequenceOptions): void {
    this.#parts.kv.open(sequence, options.maxPositions);
    this.#samplers.set(sequence, { options, history: new TokenHistory() });
  }

  closeSequence(sequence: number): void {
    this.#parts.kv.close(sequence);
    this.#samplers.delete(sequence);
  }

  length(sequence: number): number {
    return this.#parts.kv.get(sequence).length;
  }

  truncate(sequence: number, length: number): void {
    const held = this.#parts.kv.get(sequence);
    if (length < 0 || length > held.length) {
      throw new ShoalError(
        'POSITION_GAP',
        `sequence ${sequence} holds ${held.length} positions and cannot be cut to ${length}; send the missing positions first`,
      );
    }
    held.length = length;
    this.#samplers.get(sequence)?.history.truncate(length);
  }

  note(sequence: number, position: number, ids: Uint32Array, prompt: boolean): void {
    this.#parts.kv.get(sequence);
    this.#samplers.get(sequence)?.history.note(position, ids, prompt);
  }

  async step(input: StepInput): Promise<StepOutput> {
    return (await this.#run(input, false)).output;
  }

  async logits(input: StepInput): Promise<Float32Array> {
    if (!this.shard.head) {
      throw new ShoalError('INVALID_REQUEST', 'this shard has no LM head; ask the last stage for logits');
    }
    return (await this.#run(input, true)).logits;
  }

  destroy(): void {
    if (this.#destroyed) return;
    this.#destroyed = true;
    this.#ring.destroy();
    for (const free of [...this.#parts.owned].reverse()) free();
  }

  async #run(input: StepInput, allLogits: boolean): Promise<{ output: StepOutput; logits: Float32Array }> {
    const ticket = await this.#ring.acquire();
    try {
      this.#assertAlive();
      return await this.#submit(input, allLogits, ticket);
    } catch (thrown) {
      if (thrown instanceof ShoalError) throw thrown;
      throw await this.#device.failureOr(thrown);
    } finally {
      ticket.release();
    }
  }

  #assertAlive(): void {
    this.#device.check();
    if (this.#destroyed) throw new ShoalError('ABORTED', 'the engine was destroyed; load the shard again');
  }

  async #submit(input: StepInput, allLogits: boolean, ticket: Ticket) {
    const { program, uniform, buffers } = this.#parts;
    const startedMs = this.#now();
    const batch = this.#validate(input, allLogits);
    const samples = batch.samples;
    const whole = program.whole(batch.positions);
    const attention = program.attentionGroups(batch.positions);
    const heads = program.headGroups(samples.length);
    this.#upload(input, batch, [whole, ...attention, ...heads]);

    /** Samples whose logits come back; the GPU's argmax answers for the others. */
    const onCpu = [...samples.keys()].filter((i) => allLogits || this.#needsLogits(samples[i]!));
    const rowBytes = this.spec.vocab * 4;
    const hiddenBytes = this.shard.head
      ? 0
      : Math.ceil((whole.rows * this.spec.hidden * WIRE_DTYPE_BYTES[input.wire]) / 4) * 4;
    const payload = this.shard.head ? onCpu.length * rowBytes : hiddenBytes;
    const readback = ticket.buffer(PAYLOAD_AT + payload + 8);

    const encoder = this.#device.raw.createCommandEncoder();
    encoder.clearBuffer(buffers.status);
    let pass = encoder.beginComputePass();
    program.encodeLayers(pass, uniform.group, whole, attention);
    for (const [i, group] of heads.entries()) {
      program.encodeHead(pass, uniform.group, group);
      const last = i === heads.length - 1;
      const rows = onCpu.filter((at) => at >= group.base && at < group.base + group.rows);
      if (rows.length > 0 || last) pass.end();
      for (const at of rows) {
        const to = PAYLOAD_AT + onCpu.indexOf(at) * rowBytes;
        encoder.copyBufferToBuffer(buffers.logits, (at - group.base) * rowBytes, readback, to, rowBytes);
      }
      if (rows.length > 0 && !last) pass = encoder.beginComputePass();
    }
    if (heads.length === 0) pass.end();
    encoder.copyBufferToBuffer(buffers.status, 0, readback, 0, 4);
    if (samples.length > 0) encoder.copyBufferToBuffer(buffers.ids, 0, readback, IDS_AT, samples.length * 4);
    if (hiddenBytes > 0) encoder.copyBufferToBuffer(buffers.wire, 0, readback, PAYLOAD_AT, hiddenBytes);
    this.#device.raw.queue.submit([encoder.finish()]);
    for (const [sequence, length] of batch.lengths) sequence.length = length;
    const submittedMs = this.#now();

    const { data, mappedAtMs } = await ticket.read(PAYLOAD_AT + payload, this.#now);
    this.#checkStatus(new Uint32Array(data, 0, 1)[0]!);
    const logits = new Float32Array(data, PAYLOAD_AT, this.shard.head ? onCpu.length * this.spec.vocab : 0);
    const ids = new Uint32Array(data, IDS_AT, samples.length);
    const rowOf = (i: number) => {
      const row = onCpu.indexOf(i);
      return row < 0 ? undefined : logits.subarray(row * this.spec.vocab, (row + 1) * this.spec.vocab);
    };
    const picks = allLogits ? [] : samples.map((sample, i) => this.#pick(sample, ids[i]!, rowOf(i)));
    const rows = whole.rows * this.spec.hidden * WIRE_DTYPE_BYTES[input.wire];
    const output: StepOutput = {
      ...(this.shard.head
        ? {
            sampled: Uint32Array.from(picks, ({ id }) => id),
            logprobs: picks.map(({ logprobs }) => logprobs),
          }
        : { hidden: new Uint8Array(data.slice(PAYLOAD_AT, PAYLOAD_AT + rows)) }),
      timings: {
        uploadMs: submittedMs - startedMs,
        computeMs: mappedAtMs - submittedMs,
        readbackMs: this.#now() - mappedAtMs,
      },
    };
    return { output, logits };
  }

  #needsLogits({ sequence }: Sample): boolean {
    const { sampling, topLogprobs } = this.#samplers.get(sequence)!.options;
    return topLogprobs !== undefined || !isPlainGreedy(sampling);
  }

  /** @throws SEQUENCE_UNKNOWN, POSITION_GAP, KV_EXHAUSTED, INVALID_REQUEST; nothing is changed then */
  #validate(input: StepInput, allLogits: boolean): Batch {
    const { kv } = this.#parts;
    const positions: number[] = [];
    const rowInfo: number[] = [];
    const samples: Sample[] = [];
    const lengths = new Map<KvSequence, number>();
    for (const { sequence: id, position, count, sample } of input.entries) {
      const sequence = kv.get(id);
      const length = lengths.get(sequence) ?? sequence.length;
      if (position !== length) {
        throw new ShoalError(
          'POSITION_GAP',
          `sequence ${id} holds ${length} positions, the entry starts at ${position}; send position ${length} next, or truncate first`,
        );
      }
      if (!Number.isInteger(count) || count < 1 || positions.length + count > MAX_BATCH_ROWS) {
        throw new ShoalError(
          'INVALID_REQUEST',
          `a micro-batch of ${positions.length + count} rows; send 1 to ${MAX_BATCH_ROWS}`,
        );
      }
      if (position + count > sequence.maxPositions) {
        throw new ShoalError(
          'KV_EXHAUSTED',
          `sequence ${id} reserved ${sequence.maxPositions} positions, the entry ends at ${position + count}; open it with more`,
        );
      }
      for (let i = 0; i < count; i++) {
        if (allLogits) samples.push({ sequence: id, row: positions.length, position: position + i + 1 });
        positions.push(position + i);
        rowInfo.push(position + i, sequence.table);
      }
      if (sample && this.shard.head && !allLogits) {
        samples.push({ sequence: id, row: positions.length - 1, position: position + count });
      }
      lengths.set(sequence, position + count);
    }
    if (positions.length === 0) throw new ShoalError('INVALID_REQUEST', 'a micro-batch without rows');
    this.#validatePayload(input, positions.length);
    return { positions, rowInfo: Uint32Array.from(rowInfo), samples, lengths };
  }

  #validatePayload(input: StepInput, rows: number): void {
    if (this.shard.embedding) {
      const tokens = input.tokens;
      if (tokens?.length !== rows) {
        throw new ShoalError(
          'INVALID_REQUEST',
          `${tokens?.length ?? 0} token ids for ${rows} rows; send one a row`,
        );
      }
      const beyond = tokens.find((id) => id >= this.spec.vocab);
      if (beyond !== undefined) {
        throw new ShoalError(
          'INVALID_REQUEST',
          `token id ${beyond} lies beyond the vocabulary of ${this.spec.vocab}; use the model's own tokenizer`,
        );
      }
      return;
    }
    const bytes = rows * this.spec.hidden * WIRE_DTYPE_BYTES[input.wire];
    if (input.hidden?.byteLength !== bytes) {
      throw new ShoalError(
        'INVALID_REQUEST',
        `${input.hidden?.byteLength ?? 0} bytes of hidden states for ${rows} rows of ${this.spec.hidden} ${input.wire}; ${bytes} are needed`,
      );
    }
  }

  #upload(input: StepInput, batch: Batch, groups: readonly RowGroup[]): void {
    const { buffers, uniform } = this.#parts;
    const { queue } = this.#device.raw;
    const slots = groups.reduce((last, group) => Math.max(last, group.slot), 0) + 1;
    const step = new Uint32Array((slots * STEP_SLOT_BYTES) / 4);
    for (const { slot, rows, base, blocks } of groups) {
      step.set([rows, base, input.wire === 'f16' ? 1 : 0, blocks], (slot * STEP_SLOT_BYTES) / 4);
    }
    queue.writeBuffer(uniform.buffer, 0, step);
    queue.writeBuffer(buffers.rowInfo, 0, batch.rowInfo);
    if (batch.samples.length > 0) {
      queue.writeBuffer(
        buffers.sampleRows,
        0,
        Uint32Array.from(batch.samples, ({ row }) => row),
      );
    }
    if (this.shard.embedding) {
      queue.writeBuffer(buffers.tokens, 0, input.tokens!.slice());
      return;
    }
    const bytes = new Uint8Array(Math.ceil(input.hidden!.byteLength / 4) * 4);
    bytes.set(input.hidden!);
    queue.writeBuffer(buffers.wire, 0, bytes);
  }

  /** @throws NON_FINITE, F16_RANGE */
  #checkStatus(status: number): void {
    const layers = layersText(this.shard.start, this.shard.end);
    // Rounding a value beyond the range gives Inf, so the later layers are not finite either; the cause is told.
    if ((status & STATUS_F16_RANGE) !== 0) {
      throw new ShoalError(
        'F16_RANGE',
        `${layers} gave a value beyond ±65504, the range of f16; run the sequence with wire f32`,
      );
    }
    if ((status & STATUS_NON_FINITE) !== 0) {
      throw new ShoalError(
        'NON_FINITE',
        `${layers} gave a value that is Inf or NaN; the weights or the incoming hidden states are damaged`,
      );
    }
  }

  /**
   * Greedy ids come from the GPU, asked for log probabilities or not; the others are drawn here.
   * Each is noted for later penalties.
   * @param logits the row's, where `needsLogits` said so; changed in place
   */
  #pick(
    { sequence, position }: Sample,
    greedy: number,
    logits: Float32Array | undefined,
  ): { id: number; logprobs: TokenLogprobs | undefined } {
    // A sequence may be closed while its step is on the way.
    const state = this.#samplers.get(sequence);
    if (state === undefined || logits === undefined) {
      state?.history.note(position, [greedy], false);
      return { id: greedy, logprobs: undefined };
    }
    const { sampling, topLogprobs } = state.options;
    const raw = topLogprobs === undefined ? undefined : logits.slice();
    const id = isPlainGreedy(sampling) ? greedy : sampleToken(logits, sampling, state.history, position);
    state.history.note(position, [id], false);
    return { id, logprobs: raw && tokenLogprobs(raw, id, topLogprobs!) };
  }
}
