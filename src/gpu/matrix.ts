import { bytesText } from '../config/bytes-text.ts';
import { ShoalError } from '../config/errors.ts';
import { MAX_MATRIX_TILE_BYTES, UPLOAD_CHUNK_BYTES } from '../config/limits.ts';
import { FILE_DTYPE_BYTES, type LoadedTensor } from '../model/fetch/manifest.ts';
import {
  BLOCK,
  type MatrixShape,
  matrixBytes,
  padded,
  rowBytes,
  rowScaleBytes,
  type WeightFormat,
} from '../model/weight-layout.ts';
import { USAGE } from './buffer-usage.ts';
import type { GpuDevice } from './device.ts';
import { lanesOf } from './lanes.ts';
import { packRows } from './weight-format.ts';

/** Outputs [start, start + outputs) of a matrix in buffers of their own. */
export interface MatrixTile {
  readonly start: number;
  readonly outputs: number;
  readonly weights: GPUBuffer;
  readonly scales: GPUBuffer;
}

/** Tiles start at multiples of this: a thread computes four outputs. */
const TILE_STEP = 4;

/** The largest tile this device binds. */
export function tileOutputs(device: GpuDevice, shape: MatrixShape, format: WeightFormat): number {
  const { maxBufferBytes, maxStorageBindingBytes } = device.limits;
  const bound = Math.min(maxBufferBytes, maxStorageBindingBytes, MAX_MATRIX_TILE_BYTES);
  const outputs = Math.floor(bound / rowBytes(format, shape.k) / TILE_STEP) * TILE_STEP;
  if (outputs === 0) {
    throw new ShoalError(
      'SHARD_TOO_LARGE',
      `${shape.name}: four rows of ${shape.k} weights need ${bytesText(TILE_STEP * rowBytes(format, shape.k))}, this device binds ${bytesText(bound)} at once; use another device`,
    );
  }
  return Math.min(outputs, shape.outputs);
}

/** A weight matrix (outputs, k) on the GPU, cut in tiles of rows that each fit a binding. Owns its buffers. */
export class Matrix {
  readonly shape: MatrixShape;
  readonly format: WeightFormat;
  readonly tiles: readonly MatrixTile[];
  readonly bytes: number;
  readonly #device: GpuDevice;

  constructor(device: GpuDevice, shape: MatrixShape, format: WeightFormat) {
    this.shape = shape;
    this.format = format;
    this.#device = device;
    this.bytes = matrixBytes(shape, format);
    const step = tileOutputs(device, shape, format);
    const usage = USAGE.STORAGE | USAGE.COPY_DST;
    const tiles: MatrixTile[] = [];
    for (let start = 0; start < shape.outputs; start += step) {
      const outputs = Math.min(step, shape.outputs - start);
      tiles.push({
        start,
        outputs,
        weights: device.create(shape.name, outputs * rowBytes(format, shape.k), usage),
        scales: device.create(`${shape.name} scales`, outputs * rowScaleBytes(format, shape.k), usage),
      });
    }
    this.tiles = tiles;
  }

  get blocks(): number {
    return padded(this.shape.k) / BLOCK;
  }

  get lanes(): number {
    return lanesOf(this.shape.k);
  }

  /**
   * Writes a tensor's rows. Unpaired: they are the outputs from `at` on. Paired: they are part `at` (0 or 1) of the pairs.
   * @param tensor (rows, k), checked against the expected shape by the caller
   */
  upload(tensor: LoadedTensor, at: number): void {
    const { k, paired } = this.shape;
    const rows = tensor.bytes.byteLength / (k * FILE_DTYPE_BYTES[tensor.dtype]);
    for (const tile of this.tiles) {
      if (paired) {
        const half = tile.outputs / 2;
        this.#write(tensor, tile, tile.start / 2, tile.start / 2 + half, at * half);
      } else {
        const from = Math.max(0, tile.start - at);
        const to = Math.min(rows, tile.start + tile.outputs - at);
        this.#write(tensor, tile, from, to, at + from - tile.start);
      }
    }
  }

  /** Writes rows [from, to) of the tensor to stored rows `stored` … of the tile. */
  #write(tensor: LoadedTensor, tile: MatrixTile, from: number, to: number, stored: number): void {
    const { k } = this.shape;
    const { queue } = this.#device.raw;
    const fileRow = k * FILE_DTYPE_BYTES[tensor.dtype];
    const step = Math.max(1, Math.floor(UPLOAD_CHUNK_BYTES / (padded(k) * 4)));
    for (let row = from; row < to; row += step) {
      const count = Math.min(step, to - row);
      const bytes = tensor.bytes.subarray(row * fileRow, (row + count) * fileRow);
      const packed = packRows(bytes, tensor.dtype, count, k, this.format);
      const target = stored + row - from;
      queue.writeBuffer(tile.weights, target * rowBytes(this.format, k), packed.weights);
      if (packed.scales !== undefined) {
        queue.writeBuffer(tile.scales, target * rowScaleBytes(this.format, k), packed.scales);
      }
    }
  }

  destroy(): void {
    for (const tile of this.tiles) {
      this.#device.free(tile.weights);
      this.#device.free(tile.scales);
    }
  }
}
