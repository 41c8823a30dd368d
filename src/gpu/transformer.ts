import { ShoalError } from '../config/errors.ts';
import type { LoadedTensor } from '../model/fetch/manifest.ts';
import {
  READBACK_IDS_AT,
  READBACK_PAYLOAD_AT,
  readbackBytes,
  ropeBytes,
  STEP_SLOT_BYTES,
  STEP_SLOTS,
  scratchBytes,
} from '../model/gpu-bytes.ts';
import { layersText, type Quantization, type Shard } from '../model/shard.ts';
import type { ModelSpec } from '../model/spec.ts';
import { type Activations, createActivations } from './activations.ts';
import { reservedBytes } from './budget.ts';
import { USAGE } from './buffer-usage.ts';
import { type GpuDevice, throwIfAborted } from './device.ts';
import { compilerFor } from './kernels.ts';
import { KvCache } from './kv-cache.ts';
import { ReadbackRing, type Ticket } from './readback.ts';
import { ropeTable } from './rope.ts';
import type { ShaderSource } from './shaders.ts';
import {
  type SequenceOptions,
  type StageEngine,
  type StepInput,
  type StepOutput,
  WIRE_DTYPE_BYTES,
} from './stage-engine.ts';
import { type RowGroup, StageProgram } from './stage-program.ts';
import { type Batch, type Part, validateBatch } from './step-batch.ts';
import { TokenPicker } from './token-picker.ts';
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
    const program = await StageProgram.create(
      context,
      spec,
      shard.start,
      weights,
      buffers,
      logitRows,
      kv,
      angles,
    );
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

const STATUS_NON_FINITE = 1;
const STATUS_F16_RANGE = 2;

class Transformer implements StageEngine {
  readonly canComputePart = true;
  readonly spec: ModelSpec;
  readonly shard: Shard;
  readonly bytes: StageEngine['bytes'];
  readonly #device: GpuDevice;
  readonly #now: () => number;
  readonly #parts: Parts;
  readonly #ring: ReadbackRing;
  readonly #pickers = new Map<number, TokenPicker>();
  #destroyed = false;

  constructor(options: StageEngineOptions, parts: Parts) {
    this.spec = options.spec;
    this.shard = options.shard;
    this.#device = options.device;
    this.#now = options.now ?? (() => performance.now());
    this.#parts = parts;
    this.#ring = new ReadbackRing(options.device, readbackBytes(options.spec, options.shard.head));
    this.bytes = {
      weights: parts.weights.bytes,
      kv: parts.kv.bytes,
      scratch: scratchBytes(options.spec, options.shard.head, options.device.limits.maxStorageBindingBytes),
    };
  }

  openSequence(sequence: number, options: SequenceOptions): void {
    this.#parts.kv.open(sequence, options.maxPositions);
    this.#pickers.set(sequence, new TokenPicker(options));
  }

  closeSequence(sequence: number): void {
    this.#parts.kv.close(sequence);
    this.#pickers.delete(sequence);
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
  }

  get kvPositions(): number {
    return this.#parts.kv.positions;
  }

  get freePositions(): number {
    return this.#parts.kv.freePositions;
  }

  note(sequence: number, position: number, ids: Uint32Array, prompt: boolean): void {
    this.#parts.kv.get(sequence);
    this.#pickers.get(sequence)?.note(position, ids, prompt);
  }

  async step(input: StepInput): Promise<StepOutput> {
    return (await this.#run(input, false)).output;
  }

  async logits(input: StepInput): Promise<Float32Array> {
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
    const { spec, shard } = this;
    const batch = validateBatch(input, { spec, shard, kv: this.#parts.kv, allLogits });
    const { part, samples } = batch;
    // Of the sequences as they are now: one may be closed, and its number opened again, while the step is on its way.
    const pickers = samples.map(({ sequence }) => this.#pickers.get(sequence)!);
    const whole = program.whole(batch.positions);
    const attention = program.attentionGroups(batch.positions);
    const heads = program.headGroups(samples.length);
    this.#upload(input, batch, [whole, ...attention, ...heads]);

    /** Samples whose logits come back; the GPU's argmax answers for the others. */
    const onCpu = [...samples.keys()].filter((i) => allLogits || pickers[i]!.needsLogits);
    const rowBytes = spec.vocab * 4;
    const hiddenBytes = part.heads ? 0 : whole.rows * spec.hidden * WIRE_DTYPE_BYTES[input.wire];
    const payload = part.heads ? onCpu.length * rowBytes : Math.ceil(hiddenBytes / 4) * 4;
    const readback = ticket.buffer(READBACK_PAYLOAD_AT + payload + 8);

    const encoder = this.#device.raw.createCommandEncoder();
    encoder.clearBuffer(buffers.status);
    let pass = encoder.beginComputePass();
    program.encodeLayers(pass, uniform.group, part, whole, attention);
    for (const [i, group] of heads.entries()) {
      program.encodeHead(pass, uniform.group, group);
      const last = i === heads.length - 1;
      const rows = onCpu.filter((at) => at >= group.base && at < group.base + group.rows);
      if (rows.length > 0 || last) pass.end();
      for (const at of rows) {
        const to = READBACK_PAYLOAD_AT + onCpu.indexOf(at) * rowBytes;
        encoder.copyBufferToBuffer(buffers.logits, (at - group.base) * rowBytes, readback, to, rowBytes);
      }
      if (rows.length > 0 && !last) pass = encoder.beginComputePass();
    }
    if (heads.length === 0) pass.end();
    encoder.copyBufferToBuffer(buffers.status, 0, readback, 0, 4);
    if (samples.length > 0)
      encoder.copyBufferToBuffer(buffers.ids, 0, readback, READBACK_IDS_AT, samples.length * 4);
    if (!part.heads) encoder.copyBufferToBuffer(buffers.wire, 0, readback, READBACK_PAYLOAD_AT, payload);
    this.#device.raw.queue.submit([encoder.finish()]);
    for (const [sequence, length] of batch.lengths) {
      sequence.length = length;
      sequence.layers = [part.start, part.end];
    }
    const submittedMs = this.#now();

    const { data, mappedAtMs } = await ticket.read(READBACK_PAYLOAD_AT + payload, this.#now);
    checkStatus(new Uint32Array(data, 0, 1)[0]!, part);
    const logits = new Float32Array(data, READBACK_PAYLOAD_AT, part.heads ? onCpu.length * spec.vocab : 0);
    const ids = new Uint32Array(data, READBACK_IDS_AT, samples.length);
    const rowOf = (i: number) => {
      const row = onCpu.indexOf(i);
      return row < 0 ? undefined : logits.subarray(row * spec.vocab, (row + 1) * spec.vocab);
    };
    const picks = allLogits
      ? []
      : samples.map(({ position }, i) => pickers[i]!.pick(position, ids[i]!, rowOf(i)));
    const output: StepOutput = {
      ...(part.heads
        ? {
            sampled: Uint32Array.from(picks, ({ id }) => id),
            logprobs: picks.map(({ logprobs }) => logprobs),
          }
        : { hidden: new Uint8Array(data.slice(READBACK_PAYLOAD_AT, READBACK_PAYLOAD_AT + hiddenBytes)) }),
      timings: {
        uploadMs: submittedMs - startedMs,
        computeMs: mappedAtMs - submittedMs,
        readbackMs: this.#now() - mappedAtMs,
      },
    };
    return { output, logits };
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
    if (batch.part.embeds) {
      queue.writeBuffer(buffers.tokens, 0, input.tokens!.slice());
      return;
    }
    const bytes = new Uint8Array(Math.ceil(input.hidden!.byteLength / 4) * 4);
    bytes.set(input.hidden!);
    queue.writeBuffer(buffers.wire, 0, bytes);
  }
}

/** @throws NON_FINITE, F16_RANGE */
function checkStatus(status: number, { start, end }: Part): void {
  const layers = layersText(start, end);
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
