import { ShoalError } from '../config/errors.ts';
import { MAX_STAGED_UPLOAD_BYTES } from '../config/limits.ts';
import type { LoadedTensor } from '../model/fetch/manifest.ts';
import { layersText } from '../model/shard.ts';
import type { ModelSpec } from '../model/spec.ts';
import { shardTensors, type TensorRole, type TensorSpec } from '../model/tensors.ts';
import {
  formatOf,
  isLookup,
  type MatrixRole,
  matrixBytes,
  matrixShape,
  type VectorRole,
  vectorLength,
} from '../model/weight-layout.ts';
import { checkBudget, type StageBudget } from './budget.ts';
import { USAGE } from './buffer-usage.ts';
import { type GpuDevice, throwIfAborted } from './device.ts';
import { Matrix } from './matrix.ts';
import { decode } from './weight-format.ts';

/** Buffers and matrices of one layer. Vectors are f32, padded with zeros to whole blocks. */
export interface LayerWeights {
  readonly attentionNorm: GPUBuffer;
  /** (heads·headDim + 2·kvHeads·headDim, hidden): q, k, v. */
  readonly qkv: Matrix;
  readonly qkvBias: GPUBuffer | undefined;
  /** (2, headDim): q's, then k's. */
  readonly qkNorm: GPUBuffer | undefined;
  /** (hidden, heads·headDim) */
  readonly o: Matrix;
  readonly oBias: GPUBuffer | undefined;
  readonly mlpNorm: GPUBuffer;
  /** gate and up, each (intermediate, hidden), paired. */
  readonly gateUp: Matrix;
  /** (2, intermediate): gate's, then up's. */
  readonly gateUpBias: GPUBuffer | undefined;
  /** (hidden, intermediate) */
  readonly down: Matrix;
  readonly downBias: GPUBuffer | undefined;
}

export interface ShardWeights {
  readonly layers: readonly LayerWeights[];
  /** (vocab, hidden) */
  readonly embedding: Matrix | undefined;
  readonly finalNorm: GPUBuffer | undefined;
  /** (vocab, hidden); the embedding's own object where they are tied and both here. */
  readonly head: Matrix | undefined;
  readonly bytes: number;
  destroy(): void;
}

export interface LoadOptions extends StageBudget {
  readonly device: GpuDevice;
  readonly tensors: AsyncIterable<LoadedTensor>;
  readonly signal?: AbortSignal;
}

type Place =
  /** `at`: first output; for gate and up the part, 0 or 1. */
  | { readonly kind: 'matrix'; readonly role: MatrixRole; readonly at: number }
  /** `at`: first element. */
  | { readonly kind: 'vector'; readonly role: VectorRole; readonly at: number };

/** Where a tensor goes: the projections that read the same input are one matrix. */
function placeOf(role: TensorRole, spec: ModelSpec): Place {
  const q = spec.heads * spec.headDim;
  const kv = spec.kvHeads * spec.headDim;
  const matrix = (name: MatrixRole, at = 0): Place => ({ kind: 'matrix', role: name, at });
  const vector = (name: VectorRole, at = 0): Place => ({ kind: 'vector', role: name, at });
  switch (role) {
    case 'embedding':
      return matrix('embedding');
    case 'head':
      return matrix('head');
    case 'q':
      return matrix('qkv');
    case 'k':
      return matrix('qkv', q);
    case 'v':
      return matrix('qkv', q + kv);
    case 'o':
      return matrix('o');
    case 'gate':
      return matrix('gateUp', 0);
    case 'up':
      return matrix('gateUp', 1);
    case 'down':
      return matrix('down');
    case 'attention-norm':
      return vector('attentionNorm');
    case 'mlp-norm':
      return vector('mlpNorm');
    case 'final-norm':
      return vector('finalNorm');
    case 'q-norm':
      return vector('qkNorm');
    case 'k-norm':
      return vector('qkNorm', spec.headDim);
    case 'q-bias':
      return vector('qkvBias');
    case 'k-bias':
      return vector('qkvBias', q);
    case 'v-bias':
      return vector('qkvBias', q + kv);
    case 'o-bias':
      return vector('oBias');
    case 'gate-bias':
      return vector('gateUpBias');
    case 'up-bias':
      return vector('gateUpBias', spec.intermediate);
    case 'down-bias':
      return vector('downBias');
    default:
      return role satisfies never;
  }
}

const key = (layer: number | null, role: MatrixRole | VectorRole) => `${layer ?? 'shard'}.${role}`;

/**
 * Brings a shard's weights to the GPU, each tensor as it arrives, so that no more than one is held in memory beside it.
 * @throws TENSOR_MISSING, TENSOR_SHAPE, SHARD_TOO_LARGE (before anything large is allocated), OUT_OF_MEMORY, ABORTED;
 *   whatever the iterable throws. Nothing stays allocated then.
 */
export async function loadWeights(options: LoadOptions): Promise<ShardWeights> {
  const { device, spec, shard } = options;
  const expected = new Map(shardTensors(spec, shard).map((tensor) => [tensor.name, tensor]));
  const total = expected.size;
  const matrices = new Map<string, Matrix>();
  const vectors = new Map<string, GPUBuffer>();
  let bytes = 0;
  let stagedBytes = 0;
  let budgetChecked = false;
  const destroy = () => {
    for (const matrix of new Set(matrices.values())) matrix.destroy();
    for (const buffer of vectors.values()) device.free(buffer);
  };

  const place = async (tensor: LoadedTensor, target: TensorSpec) => {
    for (const role of target.roles) {
      const to = placeOf(role, spec);
      if (to.kind === 'vector') {
        const name = key(target.layer, to.role);
        let buffer = vectors.get(name);
        if (buffer === undefined) {
          const size = vectorLength(to.role, spec) * 4;
          buffer = device.create(name, size, USAGE.STORAGE | USAGE.COPY_DST);
          vectors.set(name, buffer);
          bytes += size;
        }
        const values = decode(tensor.bytes, tensor.dtype);
        device.raw.queue.writeBuffer(buffer, to.at * 4, values as Float32Array<ArrayBuffer>);
        continue;
      }
      const name = key(target.layer, to.role);
      // Tied embeddings: the second role finds the first one's matrix filled.
      const shared = to.role === 'head' ? matrices.get(key(null, 'embedding')) : undefined;
      if (shared !== undefined && target.roles.includes('embedding')) {
        matrices.set(name, shared);
        continue;
      }
      let matrix = matrices.get(name);
      if (matrix === undefined) {
        const format = formatOf({ ...options, dtype: tensor.dtype }, isLookup(to.role));
        const shape = matrixShape(to.role, spec);
        const size = matrixBytes(shape, format);
        matrix = await device.guardMemory(
          `${target.name}`,
          size,
          () => new Matrix(device, { ...shape, name }, format),
        );
        matrices.set(name, matrix);
        bytes += matrix.bytes;
      }
      matrix.upload(tensor, to.at);
    }
  };

  try {
    for await (const tensor of options.tensors) {
      throwIfAborted(options.signal);
      const target = expected.get(tensor.name);
      if (target === undefined) continue;
      checkShape(tensor, target);
      // The first matrix tells the file's number format; vectors may have another, and are small.
      if (!budgetChecked && tensor.shape.length === 2) {
        checkBudget(options, tensor.dtype);
        budgetChecked = true;
      }
      await place(tensor, target);
      expected.delete(tensor.name);
      stagedBytes += tensor.bytes.byteLength;
      if (stagedBytes > MAX_STAGED_UPLOAD_BYTES) {
        await device.raw.queue.onSubmittedWorkDone();
        stagedBytes = 0;
      }
    }
    throwIfAborted(options.signal);
    const missing = [...expected.keys()];
    if (missing.length > 0) {
      throw new ShoalError(
        'TENSOR_MISSING',
        `${missing.length} of ${total} tensors of ${layersText(shard.start, shard.end)} did not come, the first is ${missing[0]}; the model's files and its config do not belong together`,
        { param: missing[0]! },
      );
    }
    device.check();
  } catch (thrown) {
    destroy();
    throw thrown;
  }

  const matrix = (layer: number | null, role: MatrixRole) => matrices.get(key(layer, role));
  const vector = (layer: number | null, role: VectorRole) => vectors.get(key(layer, role));
  const layers = Array.from({ length: shard.end - shard.start }, (_, i): LayerWeights => {
    const layer = shard.start + i;
    return {
      attentionNorm: vector(layer, 'attentionNorm')!,
      qkv: matrix(layer, 'qkv')!,
      qkvBias: vector(layer, 'qkvBias'),
      qkNorm: vector(layer, 'qkNorm'),
      o: matrix(layer, 'o')!,
      oBias: vector(layer, 'oBias'),
      mlpNorm: vector(layer, 'mlpNorm')!,
      gateUp: matrix(layer, 'gateUp')!,
      gateUpBias: vector(layer, 'gateUpBias'),
      down: matrix(layer, 'down')!,
      downBias: vector(layer, 'downBias'),
    };
  });
  return {
    layers,
    embedding: shard.embedding ? matrix(null, 'embedding') : undefined,
    finalNorm: vector(null, 'finalNorm'),
    head: shard.head ? matrix(null, 'head') : undefined,
    bytes,
    destroy,
  };
}

function checkShape(tensor: LoadedTensor, target: TensorSpec): void {
  const same =
    tensor.shape.length === target.shape.length && tensor.shape.every((n, i) => n === target.shape[i]);
  if (!same) {
    throw new ShoalError(
      'TENSOR_SHAPE',
      `${tensor.name} is (${tensor.shape.join(', ')}), the config calls for (${target.shape.join(', ')}); the model's files and its config do not belong together`,
      { param: tensor.name },
    );
  }
  const values = target.shape.reduce((product, n) => product * n, 1);
  const bytes = values * { F32: 4, F16: 2, BF16: 2 }[tensor.dtype];
  if (tensor.bytes.byteLength !== bytes) {
    throw new ShoalError(
      'TENSOR_SHAPE',
      `${tensor.name} has ${tensor.bytes.byteLength} bytes, ${tensor.dtype} (${target.shape.join(', ')}) takes ${bytes}; the file is damaged`,
      { param: tensor.name },
    );
  }
}
