/** How a shard's weights lie on the GPU, as arithmetic: the engine allocates by it, and placement counts with it. */
import type { FileDtype } from './fetch/manifest.ts';
import type { Quantization, Shard } from './shard.ts';
import type { ModelSpec } from './spec.ts';

/** Weights along K of one block; also the quantization block. */
export const BLOCK = 32;

/** K rounded up to whole blocks: the stride of rows in weights and activations. Columns beyond K are zero. */
export function padded(k: number): number {
  return Math.ceil(k / BLOCK) * BLOCK;
}

/** How a matrix lies on the GPU; each has its weights_*.wgsl. */
export type WeightFormat = 'f32' | 'f16' | 'bf16' | 'q8' | 'q4';

const WEIGHT_BITS: Record<WeightFormat, number> = { f32: 32, f16: 16, bf16: 16, q8: 8, q4: 4 };
export const NATIVE_FORMAT: Record<FileDtype, WeightFormat> = { F32: 'f32', F16: 'f16', BF16: 'bf16' };

/** What decides the format of a model's matrices. */
export interface WeightStorage {
  readonly quantization: Quantization;
  /** Number format of the model's files. */
  readonly dtype: FileDtype;
  /** Store native f16 weights as f32: the same values, for adapters that unpack f16 slowly. */
  readonly expandF16: boolean;
}

/**
 * @param lookup the matrix is read by row (embedding) or decides the token (LM head): kept at 8 bits where the rest has 4,
 *   since errors there are not averaged over later layers
 */
export function formatOf({ quantization, dtype, expandF16 }: WeightStorage, lookup: boolean): WeightFormat {
  switch (quantization) {
    case 'native':
      return expandF16 && dtype === 'F16' ? 'f32' : NATIVE_FORMAT[dtype];
    case 'q8':
      return 'q8';
    case 'q4':
      return lookup ? 'q8' : 'q4';
    default:
      return quantization satisfies never;
  }
}

/** Bytes of one row of K weights, without its scales. */
export function rowBytes(format: WeightFormat, k: number): number {
  return (padded(k) * WEIGHT_BITS[format]) / 8;
}

/** Bytes of one row's scales: one f16 a block, blocks rounded up to even; 0 where the format has none. */
export function rowScaleBytes(format: WeightFormat, k: number): number {
  return format === 'q8' || format === 'q4' ? Math.ceil(padded(k) / BLOCK / 2) * 4 : 0;
}

export interface MatrixShape {
  readonly name: string;
  readonly outputs: number;
  readonly k: number;
  /** Two matrices of outputs / 2 rows computed side by side (gate and up): see matrix_tile.wgsl. */
  readonly paired: boolean;
}

export function matrixBytes(shape: Pick<MatrixShape, 'outputs' | 'k'>, format: WeightFormat): number {
  return shape.outputs * (rowBytes(format, shape.k) + rowScaleBytes(format, shape.k));
}

/** The projections that read the same input are one matrix. */
export type MatrixRole = 'qkv' | 'o' | 'gateUp' | 'down' | 'embedding' | 'head';
export type VectorRole =
  | 'attentionNorm'
  | 'qkvBias'
  | 'qkNorm'
  | 'oBias'
  | 'mlpNorm'
  | 'gateUpBias'
  | 'downBias'
  | 'finalNorm';

export const isLookup = (role: MatrixRole): boolean => role === 'embedding' || role === 'head';

export function matrixShape(role: MatrixRole, spec: ModelSpec): MatrixShape {
  const q = spec.heads * spec.headDim;
  const kv = spec.kvHeads * spec.headDim;
  switch (role) {
    case 'qkv':
      return { name: role, outputs: q + 2 * kv, k: spec.hidden, paired: false };
    case 'o':
      return { name: role, outputs: spec.hidden, k: q, paired: false };
    case 'gateUp':
      return { name: role, outputs: 2 * spec.intermediate, k: spec.hidden, paired: true };
    case 'down':
      return { name: role, outputs: spec.hidden, k: spec.intermediate, paired: false };
    case 'embedding':
    case 'head':
      return { name: role, outputs: spec.vocab, k: spec.hidden, paired: false };
    default:
      return role satisfies never;
  }
}

/** Values of a vector, f32; those added to activations are padded to whole blocks. */
export function vectorLength(role: VectorRole, spec: ModelSpec): number {
  switch (role) {
    case 'attentionNorm':
    case 'mlpNorm':
    case 'finalNorm':
    case 'oBias':
    case 'downBias':
      return padded(spec.hidden);
    case 'qkvBias':
      return (spec.heads + 2 * spec.kvHeads) * spec.headDim;
    case 'qkNorm':
      return 2 * spec.headDim;
    case 'gateUpBias':
      return 2 * spec.intermediate;
    default:
      return role satisfies never;
  }
}

/** The vectors of one layer. */
function layerVectors(spec: ModelSpec): VectorRole[] {
  return [
    'attentionNorm',
    'mlpNorm',
    ...(spec.qkvBias ? (['qkvBias'] as const) : []),
    ...(spec.qkNorm ? (['qkNorm'] as const) : []),
    ...(spec.oBias ? (['oBias'] as const) : []),
    ...(spec.mlpBias ? (['gateUpBias', 'downBias'] as const) : []),
  ];
}

/** GPU bytes of a shard's weights, all matrices in the number format of `storage`. */
export function shardWeightBytes(spec: ModelSpec, shard: Shard, storage: WeightStorage): number {
  const matrix = (role: MatrixRole) =>
    matrixBytes(matrixShape(role, spec), formatOf(storage, isLookup(role)));
  const vector = (role: VectorRole) => vectorLength(role, spec) * 4;
  const layer =
    matrix('qkv') +
    matrix('o') +
    matrix('gateUp') +
    matrix('down') +
    layerVectors(spec).reduce((sum, role) => sum + vector(role), 0);
  const shared = shard.embedding && shard.head && spec.tiedEmbeddings;
  return (
    (shard.end - shard.start) * layer +
    (shard.embedding ? matrix('embedding') : 0) +
    (shard.head ? vector('finalNorm') : 0) +
    (shard.head && !shared ? matrix('head') : 0)
  );
}
