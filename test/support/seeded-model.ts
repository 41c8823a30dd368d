import { f16Bits } from '../../src/gpu/half.ts';
import { drawAt } from '../../src/gpu/random.ts';
import type { FileDtype, LoadedTensor } from '../../src/model/fetch/manifest.ts';
import type { Shard } from '../../src/model/shard.ts';
import type { ModelSpec } from '../../src/model/spec.ts';
import { shardTensors } from '../../src/model/tensors.ts';
import { PLAIN_LLAMA } from './plain-llama.ts';

export const ODD_SPEC: ModelSpec = {
  layers: 2,
  hidden: 50,
  intermediate: 75,
  heads: 5,
  kvHeads: 1,
  headDim: 10,
  vocab: 307,
  contextLength: 128,
  ...PLAIN_LLAMA,
  bosTokenId: 0,
  eosTokenIds: [1],
};

/** Normal values of a seed, by Box–Muller. */
export function gaussians(seed: number, count: number): Float32Array {
  const values = new Float32Array(count);
  for (let i = 0; i < count; i++) {
    const radius = Math.sqrt(-2 * Math.log(1 - drawAt(seed, 2 * i)));
    values[i] = radius * Math.cos(2 * Math.PI * drawAt(seed, 2 * i + 1));
  }
  return values;
}

/** Little-endian bytes of `values`, rounded to `dtype` (bf16 by truncation). */
export function encode(values: Float32Array, dtype: FileDtype): Uint8Array {
  if (dtype === 'F32') return new Uint8Array(values.slice().buffer);
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const halves = Uint16Array.from(values, (value, i) => (dtype === 'F16' ? f16Bits(value) : bits[i]! >>> 16));
  return new Uint8Array(halves.buffer);
}

/** A seeded model: norms about 1, other weights with a standard deviation that keeps activations about 1. */
export async function* seededTensors(
  spec: ModelSpec,
  shard: Shard,
  dtype: FileDtype = 'F32',
): AsyncIterable<LoadedTensor> {
  for (const { name, shape } of shardTensors(spec, shard)) {
    const count = shape.reduce((product, n) => product * n, 1);
    const seed = [...name].reduce((hash, c) => (Math.imul(hash, 31) + c.charCodeAt(0)) >>> 0, 7);
    const isNorm = name.includes('norm');
    const scale = isNorm ? 0.1 : shape.length === 1 ? 0.1 : 1 / Math.sqrt(shape[1]!);
    const values = gaussians(seed, count).map((value) => (isNorm ? 1 : 0) + value * scale);
    yield { name, dtype, shape, bytes: encode(values, dtype) };
  }
}
