import { KV_PAGE_POSITIONS, MAX_BATCH_ROWS, MAX_SCRATCH_BYTES } from '../config/limits.ts';
import type { Shard } from '../model/shard.ts';
import type { ModelSpec } from '../model/spec.ts';
import { USAGE } from './buffer-usage.ts';
import type { GpuDevice } from './device.ts';
import { valueStride } from './kv-cache.ts';
import { padded } from './lanes.ts';

/** Widths of a row in each activation buffer, padded to whole blocks; columns beyond the true width stay zero. */
export interface Strides {
  readonly hidden: number;
  readonly qkv: number;
  readonly attention: number;
  readonly mlp: number;
}

export function stridesOf(spec: ModelSpec): Strides {
  return {
    hidden: padded(spec.hidden),
    qkv: padded((spec.heads + 2 * spec.kvHeads) * spec.headDim),
    attention: padded(spec.heads * spec.headDim),
    mlp: padded(spec.intermediate),
  };
}

/** Bytes of attention partials for one row over `blocks` KV blocks: see attention_shapes.wgsl. */
export function partialBytes(spec: ModelSpec, blocks: number): number {
  return spec.heads * blocks * (4 + valueStride(spec)) * 4;
}

interface BufferPlan {
  readonly bytes: number;
  readonly usage: number;
}

function plan(spec: ModelSpec, shard: Shard, device: GpuDevice) {
  const strides = stridesOf(spec);
  const rows = MAX_BATCH_ROWS;
  const contextBlocks = Math.ceil(spec.contextLength / KV_PAGE_POSITIONS);
  const scratch = Math.min(MAX_SCRATCH_BYTES, device.limits.maxStorageBindingBytes);
  const { STORAGE, COPY_SRC, COPY_DST } = USAGE;
  const f32 = (width: number): BufferPlan => ({ bytes: rows * width * 4, usage: STORAGE });
  // The head's rows are computed in groups that fit the scratch bound; one row always must.
  const logitRows = shard.head ? Math.max(1, Math.min(rows, Math.floor(scratch / (spec.vocab * 4)))) : 0;
  const partials = Math.max(
    partialBytes(spec, contextBlocks),
    Math.min(scratch, rows * partialBytes(spec, contextBlocks)),
  );
  return {
    logitRows,
    buffers: {
      /** (rows, hidden) the residual stream */
      x: f32(strides.hidden),
      /** (rows, hidden) normed */
      normed: f32(strides.hidden),
      /** (rows, q + k + v) */
      qkv: f32(strides.qkv),
      /** (rows, heads · headDim) */
      attention: f32(strides.attention),
      /** (rows, intermediate) */
      mlp: f32(strides.mlp),
      partials: { bytes: partials, usage: STORAGE },
      /** (rows, hidden) packed, in and out */
      wire: { bytes: rows * spec.hidden * 4, usage: STORAGE | COPY_SRC | COPY_DST },
      /** (rows) u32 */
      tokens: { bytes: rows * 4, usage: STORAGE | COPY_DST },
      /** (rows, 2) u32: position, start of the page table */
      rowInfo: { bytes: rows * 8, usage: STORAGE | COPY_DST },
      /** (rows) u32: 0, 1, 2 … */
      identity: { bytes: rows * 4, usage: STORAGE | COPY_DST },
      /** (rows) u32: rows that the head reads */
      sampleRows: { bytes: rows * 4, usage: STORAGE | COPY_DST },
      /** (logitRows, vocab) */
      logits: { bytes: logitRows * spec.vocab * 4, usage: STORAGE | COPY_SRC },
      /** (rows) u32 */
      ids: { bytes: rows * 4, usage: STORAGE | COPY_SRC },
      status: { bytes: 16, usage: STORAGE | COPY_SRC | COPY_DST },
      empty: { bytes: 16, usage: STORAGE },
    } satisfies Record<string, BufferPlan>,
  };
}

export type Activations = Readonly<Record<keyof ReturnType<typeof plan>['buffers'], GPUBuffer>>;

export function scratchBytes(spec: ModelSpec, shard: Shard, device: GpuDevice): number {
  const { buffers } = plan(spec, shard, device);
  return Object.values(buffers).reduce((sum, { bytes }) => sum + bytes, 0) + ropeBytes(spec);
}

export function ropeBytes(spec: ModelSpec): number {
  return spec.contextLength * spec.headDim * 4;
}

/** Every buffer a micro-batch passes through, and how many rows of logits fit at once. */
export async function createActivations(
  spec: ModelSpec,
  shard: Shard,
  device: GpuDevice,
): Promise<{ buffers: Activations; logitRows: number }> {
  const { buffers, logitRows } = plan(spec, shard, device);
  const bytes = scratchBytes(spec, shard, device);
  const made = await device.guardMemory('activation buffers', bytes, () =>
    Object.fromEntries(
      Object.entries(buffers).map(([name, { bytes: size, usage }]) => [
        name,
        device.create(name, size, usage),
      ]),
    ),
  );
  const activations = made as Activations;
  device.raw.queue.writeBuffer(
    activations.identity,
    0,
    Uint32Array.from({ length: MAX_BATCH_ROWS }, (_, row) => row),
  );
  return { buffers: activations, logitRows };
}
