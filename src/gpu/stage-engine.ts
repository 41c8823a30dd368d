import type { SamplingParams, TokenLogprobs } from '../model/sampling.ts';
import type { Shard } from '../model/shard.ts';
import type { ModelSpec } from '../model/spec.ts';

/** Number format of activations between stages. With f16 every layer's output is rounded to f16, in every split. */
export type WireDtype = 'f16' | 'f32';
export const WIRE_DTYPE_BYTES: Record<WireDtype, number> = { f16: 2, f32: 4 };

/** What a sequence needs to exist on a stage. */
export interface SequenceOptions {
  /** KV positions to reserve: prompt plus output, ≤ spec.contextLength. */
  readonly maxPositions: number;
  /** Only read by the stage that holds the LM head. */
  readonly sampling: SamplingParams;
  /** With it, `step` tells log probabilities: of the picked token, and of so many of the likeliest. */
  readonly topLogprobs?: number;
}

/** `count` consecutive positions of one sequence, [position, position + count), count ≥ 1. */
export interface StepEntry {
  readonly sequence: number;
  readonly position: number;
  readonly count: number;
  /** Pick the token that follows the entry's last row (LM head stages); its key is (seed, position + count). */
  readonly sample: boolean;
}

/** A micro-batch: rows of the entries one after another, at most MAX_BATCH_ROWS in all. */
export interface StepInput {
  readonly entries: readonly StepEntry[];
  readonly wire: WireDtype;
  /**
   * The layers of the model that the step is over, [start, end), some of the shard's; absent: all of them. The embedding comes
   * before only where they begin with the shard, the LM head after only where they end with it. The same for a sequence as
   * long as it holds positions.
   */
  readonly layers?: readonly [start: number, end: number];
  /** Where the embedding comes first: (rows) ids. */
  readonly tokens?: Uint32Array;
  /** Else: (rows, hidden) in `wire` format, little-endian, rows densely packed. */
  readonly hidden?: Uint8Array;
}

export interface StepTimings {
  readonly uploadMs: number;
  /** Submit to mapped result; GPU time and readback latency. */
  readonly computeMs: number;
  readonly readbackMs: number;
}

export interface StepOutput {
  /** Where no LM head follows: (rows, hidden) in `wire` format, little-endian. The caller owns the bytes. */
  readonly hidden?: Uint8Array<ArrayBuffer>;
  /** Else: one id for each entry with `sample`, in order. */
  readonly sampled?: Uint32Array;
  /** Beside each of `sampled`; undefined where the sequence asks for none. */
  readonly logprobs?: readonly (TokenLogprobs | undefined)[];
  readonly timings: StepTimings;
}

/**
 * The transformer over one shard on one device, with the KV caches of its sequences.
 *
 * Same bits in any company: the result for a row depends on that row's sequence and position alone, never
 * on the other rows of the micro-batch or on how the prompt was cut into chunks.
 *
 * Calls of `step` are queued and run in order. The engine owns every buffer it makes; `destroy` frees them all.
 */
export interface StageEngine {
  readonly spec: ModelSpec;
  readonly shard: Shard;
  /** Whether `StepInput.layers` may be some of the shard's. */
  readonly canComputePart?: boolean;
  /** Positions of all sequences together that the KV cache has room for, … */
  readonly kvPositions: number;
  /** … and those of them that no open sequence has reserved. A sequence reserves whole pages (KV_PAGE_POSITIONS). */
  readonly freePositions: number;
  /** GPU bytes held at most: weights, KV pools, and all else. */
  readonly bytes: { readonly weights: number; readonly kv: number; readonly scratch: number };

  /** @throws SEQUENCE_LIMIT, KV_EXHAUSTED */
  openSequence(sequence: number, options: SequenceOptions): void;
  /** Idempotent; frees the sequence's KV pages. */
  closeSequence(sequence: number): void;
  /** Positions of the sequence held in the KV cache. @throws SEQUENCE_UNKNOWN */
  length(sequence: number): number;
  /**
   * Forgets positions ≥ `length`. Rows computed again have the same bits, tokens picked again are the same: what was told
   * or noted of ids stays, and a token is picked by the ids before it alone. @throws SEQUENCE_UNKNOWN, POSITION_GAP when `length` exceeds what is held
   */
  truncate(sequence: number, length: number): void;
  /**
   * Tells the LM head stage which ids stand at [position, position + ids.length), for penalties, before a token after them
   * is picked. Prompt ids are noted with `prompt: true`. A sampled id is noted by the engine itself.
   */
  note(sequence: number, position: number, ids: Uint32Array, prompt: boolean): void;
  /**
   * Appends the rows to the KV caches and computes them.
   * @throws SEQUENCE_UNKNOWN, POSITION_GAP (an entry does not start at the sequence's length), INVALID_REQUEST (layers that the
   *   shard does not hold, or others than the sequence's; rows without ids or hidden states), F16_RANGE (a value
   *   beyond ±65504 with wire f16: run the sequence with f32), NON_FINITE, DEVICE_LOST, OUT_OF_MEMORY
   */
  step(input: StepInput): Promise<StepOutput>;
  /** For tests and references: logits (rows, vocab) f32 of every row; only with the LM head. Appends like `step`. */
  logits(input: StepInput): Promise<Float32Array>;
  destroy(): void;
}
