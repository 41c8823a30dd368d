import { BLOCK, padded, rowBytes, rowScaleBytes, type WeightFormat } from '../../model/weight-layout.ts';
import { bf16Value, f16Value } from '../half.ts';
import type { PackedRows } from '../weight-format.ts';

/** Twin of the weights_*.wgsl pieces: reads packed rows back. @returns (rows, k) in f64 */
export function unpackRows(
  { weights, scales }: PackedRows,
  format: WeightFormat,
  rows: number,
  k: number,
): Float64Array {
  const view = new DataView(weights.buffer, weights.byteOffset, weights.byteLength);
  const scaleView = scales && new DataView(scales.buffer, scales.byteOffset, scales.byteLength);
  const stride = rowBytes(format, k);
  const scaleAt = (row: number, i: number) =>
    f16Value(scaleView!.getUint16(row * rowScaleBytes(format, k) + 2 * Math.floor(i / BLOCK), true));
  const weightAt = (row: number, i: number): number => {
    switch (format) {
      case 'f32':
        return view.getFloat32(row * stride + 4 * i, true);
      case 'f16':
        return f16Value(view.getUint16(row * stride + 2 * i, true));
      case 'bf16':
        return bf16Value(view.getUint16(row * stride + 2 * i, true));
      case 'q8':
        return view.getInt8(row * stride + i) * scaleAt(row, i);
      case 'q4': {
        const byte = view.getUint8(row * stride + Math.floor(i / 2));
        return ((i % 2 === 0 ? byte & 15 : byte >> 4) - 8) * scaleAt(row, i);
      }
      default:
        return format satisfies never;
    }
  };
  const out = new Float64Array(rows * k);
  for (let row = 0; row < rows; row++) {
    for (let i = 0; i < k; i++) out[row * k + i] = weightAt(row, i);
    // Padding must not reach a sum.
    for (let i = k; i < padded(k); i++) {
      if (weightAt(row, i) !== 0) throw new Error(`row ${row} has a weight at ${i}, beyond ${k}`);
    }
  }
  return out;
}
