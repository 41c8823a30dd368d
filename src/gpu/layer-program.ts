import { KV_PAGE_POSITIONS } from '../config/limits.ts';
import { stridesOf, valueStride } from '../model/gpu-bytes.ts';
import type { ModelSpec } from '../model/spec.ts';
import { BLOCK, padded } from '../model/weight-layout.ts';
import type { Activations } from './activations.ts';
import { type Dispatch, type DispatchContext, linearDispatch, matmul } from './dispatch.ts';
import type { KvPools } from './kv-cache.ts';
import { lanesOf } from './lanes.ts';
import type { LayerWeights } from './weights.ts';

/** The dispatches of one layer; attention apart, since it may run in groups of rows. */
export interface LayerProgram {
  readonly before: readonly Dispatch[];
  readonly attention: readonly Dispatch[];
  readonly after: readonly Dispatch[];
}

export interface LayerBuffers {
  readonly activations: Activations;
  readonly pools: KvPools;
  /** Page tables of all sequences. */
  readonly tables: GPUBuffer;
  /** (positions, headDim / 2, 2) f32 */
  readonly angles: GPUBuffer;
}

export function rmsNorm(
  context: DispatchContext,
  spec: ModelSpec,
  x: GPUBuffer,
  rowMap: GPUBuffer,
  weight: GPUBuffer,
  y: GPUBuffer,
): Promise<Dispatch> {
  const byThread = context.tuning.reduction === 'thread';
  return linearDispatch(
    context,
    byThread ? 'rmsnorm_thread.wgsl' : 'rmsnorm_workgroup.wgsl',
    {},
    {
      BLOCKS: padded(spec.hidden) / BLOCK,
      LANES: lanesOf(spec.hidden),
      HIDDEN: spec.hidden,
      EPS: spec.normEps,
    },
    [
      ['read', x],
      ['read', rowMap],
      ['read', weight],
      ['write', y],
    ],
    ({ rows }) => (byThread ? Math.ceil(rows / 8) : rows),
  );
}

/** One layer: x += O · attention(rope(QKV · norm(x))); x += Down · swiglu(GateUp · norm(x)). */
export async function layerProgram(
  context: DispatchContext,
  spec: ModelSpec,
  weights: LayerWeights,
  { activations: a, pools, tables, angles }: LayerBuffers,
): Promise<LayerProgram> {
  const strides = stridesOf(spec);
  const { heads, kvHeads, headDim } = spec;
  const vQuads = valueStride(spec) / 4;
  const byThread = context.tuning.reduction === 'thread';

  const attentionNorm = rmsNorm(context, spec, a.x, a.identity, weights.attentionNorm, a.normed);
  const qkv = matmul(
    context,
    weights.qkv,
    { file: 'epilogue_store', yStride: strides.qkv },
    a.normed,
    a.qkv,
    weights.qkvBias,
  );
  const qkNorm =
    weights.qkNorm === undefined
      ? undefined
      : linearDispatch(
          context,
          'qk_norm.wgsl',
          {},
          {
            HEADS: heads,
            KV_HEADS: kvHeads,
            HEAD_DIM: headDim,
            QKV_STRIDE: strides.qkv,
            EPS: spec.normEps,
          },
          [
            ['write', a.qkv],
            ['read', weights.qkNorm],
          ],
          ({ rows }) => Math.ceil((rows * (heads + kvHeads)) / 64),
        );
  const rope = linearDispatch(
    context,
    'rope_append.wgsl',
    {},
    {
      HEADS: heads,
      KV_HEADS: kvHeads,
      HEAD_DIM: headDim,
      QKV_STRIDE: strides.qkv,
      V_STRIDE: vQuads * 4,
      PAGE: KV_PAGE_POSITIONS,
    },
    [
      ['write', a.qkv],
      ['read', a.rowInfo],
      ['read', tables],
      ['read', angles],
      ['write', pools.k],
      ['write', pools.v],
    ],
    ({ rows }) => Math.ceil((rows * (heads + 2 * kvHeads) * (headDim / 2)) / 64),
  );
  const attend = linearDispatch(
    context,
    byThread ? 'attention_thread.wgsl' : 'attention_workgroup.wgsl',
    { K_ELEMENT: byThread ? 'vec4<f32>' : 'f32', PAGE: String(KV_PAGE_POSITIONS) },
    {
      HEADS: heads,
      KV_HEADS: kvHeads,
      HEAD_DIM: headDim,
      QKV_STRIDE: strides.qkv,
      V_QUADS: vQuads,
      SCALE: 1 / Math.sqrt(headDim),
    },
    [
      ['read', a.qkv],
      ['read', a.rowInfo],
      ['read', tables],
      ['read', pools.k],
      ['read', pools.v],
      ['write', a.partials],
    ],
    ({ rows, blocks }) => (byThread ? Math.ceil((rows * heads * blocks) / 16) : rows * heads * blocks),
  );
  const merge = linearDispatch(
    context,
    'attention_merge.wgsl',
    { PAGE: String(KV_PAGE_POSITIONS) },
    { HEADS: heads, HEAD_DIM: headDim, V_QUADS: vQuads, Y_STRIDE: strides.attention },
    [
      ['read', a.rowInfo],
      ['read', a.partials],
      ['write', a.attention],
    ],
    ({ rows }) => Math.ceil((rows * heads * vQuads) / 64),
  );
  const o = matmul(
    context,
    weights.o,
    { file: 'epilogue_residual', yStride: strides.hidden },
    a.attention,
    a.x,
    weights.oBias,
  );
  const mlpNorm = rmsNorm(context, spec, a.x, a.identity, weights.mlpNorm, a.normed);
  const gateUp = matmul(
    context,
    weights.gateUp,
    { file: 'epilogue_swiglu', yStride: strides.mlp, intermediate: spec.intermediate },
    a.normed,
    a.mlp,
    weights.gateUpBias,
  );
  const down = matmul(
    context,
    weights.down,
    { file: 'epilogue_residual', yStride: strides.hidden, layerEnd: true },
    a.mlp,
    a.x,
    weights.downBias,
  );
  const [before, attention, after] = await Promise.all([
    Promise.all([attentionNorm, qkv, ...(qkNorm === undefined ? [] : [qkNorm]), rope]),
    Promise.all([attend, merge]),
    Promise.all([o, mlpNorm, gateUp, down]),
  ]);
  return { before, attention, after };
}
