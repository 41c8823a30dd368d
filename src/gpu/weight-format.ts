import { ShoalError } from '../config/errors.ts';
import { FILE_DTYPE_BYTES, type FileDtype } from '../model/fetch/manifest.ts';
import {
  BLOCK,
  NATIVE_FORMAT,
  padded,
  rowBytes,
  rowScaleBytes,
  type WeightFormat,
} from '../model/weight-layout.ts';
import { f16Bits, f16Value, f16Values } from './half.ts';

export interface PackedRows {
  /** (rows, rowBytes) */
  readonly weights: Uint8Array<ArrayBuffer>;
  /** (rows, rowScaleBytes) */
  readonly scales: Uint8Array<ArrayBuffer> | undefined;
}

/**
 * Brings rows as they stand in a file into the GPU's layout: padded to whole blocks with zeros, converted or quantized.
 * @param bytes (rows, k) of `dtype`, little-endian, any alignment
 * @throws MODEL_UNSUPPORTED where the conversion would lose precision unasked
 */
export function packRows(
  bytes: Uint8Array,
  dtype: FileDtype,
  rows: number,
  k: number,
  format: WeightFormat,
): PackedRows {
  if (format === NATIVE_FORMAT[dtype]) return { weights: padRows(bytes, rows, k, dtype), scales: undefined };
  const values = decode(bytes, dtype);
  switch (format) {
    case 'f32': {
      const wide = new Float32Array(rows * padded(k));
      for (let row = 0; row < rows; row++) wide.set(values.subarray(row * k, (row + 1) * k), row * padded(k));
      return { weights: new Uint8Array(wide.buffer), scales: undefined };
    }
    case 'q8':
    case 'q4':
      return quantize(values, rows, k, format);
    default:
      throw new ShoalError(
        'MODEL_UNSUPPORTED',
        `weights of one projection are ${dtype} and ${format}; convert the model to one number format`,
      );
  }
}

/** @returns the values as f32, exact */
export function decode(bytes: Uint8Array, dtype: FileDtype): Float32Array {
  const count = bytes.byteLength / FILE_DTYPE_BYTES[dtype];
  // Typed arrays need aligned bytes; a tensor in a file has no such promise.
  const aligned =
    bytes.byteOffset % FILE_DTYPE_BYTES[dtype] === 0 ? bytes : (bytes.slice() as Uint8Array<ArrayBufferLike>);
  switch (dtype) {
    case 'F32':
      return new Float32Array(aligned.buffer, aligned.byteOffset, count);
    case 'F16': {
      const table = f16Values();
      const halves = new Uint16Array(aligned.buffer, aligned.byteOffset, count);
      const values = new Float32Array(count);
      for (let i = 0; i < count; i++) values[i] = table[halves[i]!]!;
      return values;
    }
    case 'BF16': {
      const halves = new Uint16Array(aligned.buffer, aligned.byteOffset, count);
      const bits = new Uint32Array(count);
      for (let i = 0; i < count; i++) bits[i] = halves[i]! << 16;
      return new Float32Array(bits.buffer);
    }
    default:
      return dtype satisfies never;
  }
}

function padRows(bytes: Uint8Array, rows: number, k: number, dtype: FileDtype): Uint8Array<ArrayBuffer> {
  const from = k * FILE_DTYPE_BYTES[dtype];
  const to = padded(k) * FILE_DTYPE_BYTES[dtype];
  // writeBuffer takes any view over an ArrayBuffer; only a shared one would need a copy.
  if (from === to && bytes.buffer instanceof ArrayBuffer) return bytes as Uint8Array<ArrayBuffer>;
  const wide = new Uint8Array(rows * to);
  for (let row = 0; row < rows; row++) wide.set(bytes.subarray(row * from, (row + 1) * from), row * to);
  return wide;
}

/**
 * Symmetric blocks of 32 along K: scale = max |w| / (127 or 7) rounded to f16, integer = round(w / scale).
 * A row's last block is filled with zeros.
 */
function quantize(values: Float32Array, rows: number, k: number, format: 'q8' | 'q4'): PackedRows {
  const top = format === 'q8' ? 127 : 7;
  const blocks = padded(k) / BLOCK;
  const perRow = rowBytes(format, k);
  const scalesPerRow = rowScaleBytes(format, k) / 2;
  const weights = new Uint8Array(rows * perRow);
  const scales = new Uint16Array(rows * scalesPerRow);
  for (let row = 0; row < rows; row++) {
    for (let block = 0; block < blocks; block++) {
      const first = block * BLOCK;
      const count = Math.min(BLOCK, k - first);
      let highest = 0;
      for (let i = 0; i < count; i++) highest = Math.max(highest, Math.abs(values[row * k + first + i]!));
      const bits = f16Bits(highest / top);
      const scale = f16Value(bits);
      scales[row * scalesPerRow + block] = bits;
      for (let i = 0; i < BLOCK; i++) {
        const value = i < count && scale > 0 ? values[row * k + first + i]! / scale : 0;
        const q = Math.max(-top, Math.min(top, Math.round(value)));
        const at = row * perRow + ((first + i) * (format === 'q8' ? 8 : 4)) / 8;
        if (format === 'q8') weights[at] = q & 0xff;
        else weights[Math.floor(at)]! |= (q + 8) << (i % 2 === 0 ? 0 : 4);
      }
    }
  }
  return { weights, scales: new Uint8Array(scales.buffer) };
}
