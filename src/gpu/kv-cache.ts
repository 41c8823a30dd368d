import { bytesText } from '../config/bytes-text.ts';
import { ShoalError } from '../config/errors.ts';
import { KV_PAGE_POSITIONS, MAX_SEQUENCES_PER_STAGE } from '../config/limits.ts';
import { kvBytes, pageBytes, pagesOf, pageTableBytes } from '../model/gpu-bytes.ts';
import type { ModelSpec } from '../model/spec.ts';
import { USAGE } from './buffer-usage.ts';
import type { GpuDevice } from './device.ts';

export interface KvPools {
  /** (pages, kvHeads, headDim, KV_PAGE_POSITIONS) f32 */
  readonly k: GPUBuffer;
  /** (pages, kvHeads, KV_PAGE_POSITIONS, valueStride) f32 */
  readonly v: GPUBuffer;
}

export interface KvSequence {
  readonly id: number;
  readonly maxPositions: number;
  /** Where its page table begins, in entries. */
  readonly table: number;
  /** Positions held. */
  length: number;
  /** Layers of the model that computed them, [start, end); the pages of the others were never written. */
  layers?: readonly [start: number, end: number];
}

/**
 * The paged KV cache of a shard: per layer a pool for k and one for v, one page numbering for all layers, one page table
 * a sequence. Pages for `maxPositions` are reserved when a sequence opens, so that an answer, once begun, never runs
 * out of room.
 */
export class KvCache {
  readonly layers: readonly KvPools[];
  /** (MAX_SEQUENCES_PER_STAGE, pages of a full context) u32 */
  readonly tables: GPUBuffer;
  readonly pages: number;
  readonly bytes: number;
  readonly #device: GpuDevice;
  readonly #spec: ModelSpec;
  readonly #tableEntries: number;
  readonly #freePages: number[];
  readonly #freeSlots: number[];
  readonly #sequences = new Map<number, KvSequence & { slot: number; held: number[] }>();

  private constructor(device: GpuDevice, spec: ModelSpec, layers: number, pages: number) {
    const { k, v } = pageBytes(spec);
    this.#device = device;
    this.#spec = spec;
    this.pages = pages;
    this.#tableEntries = pagesOf(spec.contextLength);
    this.bytes = layers * pages * (k + v);
    this.layers = Array.from({ length: layers }, () => ({
      k: device.create('k pool', pages * k, USAGE.STORAGE),
      v: device.create('v pool', pages * v, USAGE.STORAGE),
    }));
    this.tables = device.create('page tables', pageTableBytes(spec), USAGE.STORAGE | USAGE.COPY_DST);
    this.#freePages = Array.from({ length: pages }, (_, i) => pages - 1 - i);
    this.#freeSlots = Array.from(
      { length: MAX_SEQUENCES_PER_STAGE },
      (_, i) => MAX_SEQUENCES_PER_STAGE - 1 - i,
    );
  }

  /** Pages that `budgetBytes` buys, bounded by the device's bindings and by what all sequences could use. */
  static pagesFor(
    device: Pick<GpuDevice, 'limits'>,
    spec: ModelSpec,
    layers: number,
    budgetBytes: number,
  ): number {
    const { k, v } = pageBytes(spec);
    const binding = Math.min(device.limits.maxStorageBindingBytes, device.limits.maxBufferBytes);
    const pages = Math.min(
      Math.floor(budgetBytes / (layers * (k + v))),
      Math.floor(binding / Math.max(k, v)),
      MAX_SEQUENCES_PER_STAGE * pagesOf(spec.contextLength),
    );
    if (pages < 1) {
      throw new ShoalError(
        'SHARD_TOO_LARGE',
        `one page of KV cache (${KV_PAGE_POSITIONS} positions) over ${layers} layers needs ${bytesText(layers * (k + v))}, the KV budget is ${bytesText(budgetBytes)}; lend more memory or take fewer layers`,
      );
    }
    return pages;
  }

  /** @throws SHARD_TOO_LARGE, OUT_OF_MEMORY */
  static async create(
    device: GpuDevice,
    spec: ModelSpec,
    layers: number,
    budgetBytes: number,
  ): Promise<KvCache> {
    const pages = KvCache.pagesFor(device, spec, layers, budgetBytes);
    return device.guardMemory(
      'the KV cache',
      kvBytes(spec, layers, pages * KV_PAGE_POSITIONS),
      () => new KvCache(device, spec, layers, pages),
    );
  }

  /** Of all sequences together. */
  get positions(): number {
    return this.pages * KV_PAGE_POSITIONS;
  }

  /** Of them, those that no open sequence has reserved. */
  get freePositions(): number {
    return this.#freePages.length * KV_PAGE_POSITIONS;
  }

  /** @throws SEQUENCE_LIMIT, KV_EXHAUSTED, CONTEXT_LENGTH_EXCEEDED, INVALID_REQUEST */
  open(id: number, maxPositions: number): void {
    if (this.#sequences.has(id)) {
      throw new ShoalError('INVALID_REQUEST', `sequence ${id} is open already; close it first`);
    }
    if (maxPositions < 1 || maxPositions > this.#spec.contextLength) {
      throw new ShoalError(
        'CONTEXT_LENGTH_EXCEEDED',
        `sequence ${id} asks for ${maxPositions} positions, the model has ${this.#spec.contextLength}; shorten the prompt or max_tokens`,
      );
    }
    const slot = this.#freeSlots.pop();
    if (slot === undefined) {
      throw new ShoalError(
        'SEQUENCE_LIMIT',
        `${MAX_SEQUENCES_PER_STAGE} sequences are open, which is the limit; try again when one has ended`,
      );
    }
    const need = pagesOf(maxPositions);
    if (need > this.#freePages.length) {
      this.#freeSlots.push(slot);
      throw new ShoalError(
        'KV_EXHAUSTED',
        `${maxPositions} positions need ${need} KV pages, ${this.#freePages.length} of ${this.pages} are free; try again when a sequence has ended, or lend more memory`,
      );
    }
    const held = this.#freePages.splice(this.#freePages.length - need, need);
    const table = slot * this.#tableEntries;
    this.#device.raw.queue.writeBuffer(this.tables, table * 4, Uint32Array.from(held));
    this.#sequences.set(id, { id, maxPositions, table, length: 0, slot, held });
  }

  close(id: number): void {
    const sequence = this.#sequences.get(id);
    if (sequence === undefined) return;
    this.#sequences.delete(id);
    this.#freePages.push(...sequence.held);
    this.#freeSlots.push(sequence.slot);
  }

  /** @throws SEQUENCE_UNKNOWN */
  get(id: number): KvSequence {
    const sequence = this.#sequences.get(id);
    if (sequence === undefined) {
      throw new ShoalError('SEQUENCE_UNKNOWN', `sequence ${id} is not open on this stage; open it first`);
    }
    return sequence;
  }

  destroy(): void {
    for (const { k, v } of this.layers) {
      this.#device.free(k);
      this.#device.free(v);
    }
    this.#device.free(this.tables);
    this.#sequences.clear();
  }
}
