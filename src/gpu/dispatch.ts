import type { GpuDevice } from './device.ts';
import type { BindingKind, Kernel, KernelCompiler } from './kernels.ts';
import { foldWorkgroups } from './kernels.ts';
import type { Matrix } from './matrix.ts';
import { MANY_ROWS_MIN, type Tuning } from './tuning.ts';

/** What varies from one dispatch of a kernel to the next. */
export interface Extent {
  readonly rows: number;
  /** KV blocks of the longest row. */
  readonly blocks: number;
}

/** One kernel with its buffers, ready to be encoded; group 0 (the step uniform) is set by the caller. */
export type Dispatch = (pass: GPUComputePassEncoder, extent: Extent) => void;

/** Buffers that many kernels bind. */
export interface SharedBuffers {
  /** One u32: see status.wgsl. */
  readonly status: GPUBuffer;
  /** 16 bytes of zero, bound where a matrix has no bias. */
  readonly empty: GPUBuffer;
}

export interface DispatchContext {
  readonly device: GpuDevice;
  readonly compiler: KernelCompiler;
  readonly tuning: Tuning;
  readonly shared: SharedBuffers;
}

/** A kernel of `count(extent)` workgroups: a number is folded to two dimensions, a pair taken as it is. */
export async function linearDispatch(
  { compiler }: Pick<DispatchContext, 'compiler'>,
  file: string,
  choices: Readonly<Record<string, string>>,
  constants: Readonly<Record<string, number | boolean>>,
  buffers: readonly (readonly [BindingKind, GPUBuffer])[],
  count: (extent: Extent) => number | [number, number],
): Promise<Dispatch> {
  const kernel = await compiler.kernel({ file, choices, constants, bindings: buffers.map(([kind]) => kind) });
  const group = compiler.bind(
    kernel,
    buffers.map(([, buffer]) => buffer),
  );
  return (pass, extent) => {
    pass.setPipeline(kernel.pipeline);
    pass.setBindGroup(1, group);
    const workgroups = count(extent);
    pass.dispatchWorkgroups(...(typeof workgroups === 'number' ? foldWorkgroups(workgroups) : workgroups));
  };
}

/** What happens to each output: see the epilogue_*.wgsl files. */
export interface Epilogue {
  readonly file: 'epilogue_store' | 'epilogue_residual' | 'epilogue_swiglu' | 'epilogue_logits';
  readonly yStride: number;
  readonly layerEnd?: boolean;
  readonly intermediate?: number;
}

const MATMUL_BINDINGS: readonly BindingKind[] = ['read', 'read', 'read', 'read', 'write', 'write'];
/** Threads of matmul_workgroup.wgsl. */
const WORKGROUP_THREADS = 128;

/** y = epilogue(W x) over all tiles of the matrix, by the variants that `tuning` names. */
export async function matmul(
  { compiler, tuning, shared }: DispatchContext,
  matrix: Matrix,
  epilogue: Epilogue,
  x: GPUBuffer,
  y: GPUBuffer,
  bias: GPUBuffer | undefined,
): Promise<Dispatch> {
  const { blocks, lanes } = matrix;
  const tiles = await Promise.all(
    matrix.tiles.map(async (tile) => {
      const constants = {
        BLOCKS: blocks,
        LANES: lanes,
        TILE_START: tile.start,
        TILE_OUTPUTS: tile.outputs,
        PAIRED: matrix.shape.paired,
        HAS_BIAS: bias !== undefined,
        Y_STRIDE: epilogue.yStride,
        LAYER_END: epilogue.layerEnd ?? false,
        INTERMEDIATE: epilogue.intermediate ?? 0,
        WORKGROUP: tuning.threads,
      };
      const variant = (name: string): Promise<Kernel> =>
        compiler.kernel({
          file: `matmul_${name}.wgsl`,
          choices: { WEIGHTS: `weights_${matrix.format}`, EPILOGUE: epilogue.file },
          constants,
          bindings: MATMUL_BINDINGS,
        });
      const [few, many] = await Promise.all([variant(tuning.matmulFew), variant(tuning.matmulMany)]);
      const group = compiler.bind(few, [
        tile.weights,
        tile.scales,
        x,
        bias ?? shared.empty,
        y,
        shared.status,
      ]);
      const byThread = foldWorkgroups(Math.ceil(tile.outputs / 4 / tuning.threads));
      const byWorkgroup = foldWorkgroups(Math.ceil((tile.outputs * lanes) / WORKGROUP_THREADS));
      return { few, many, group, byThread, byWorkgroup };
    }),
  );
  return (pass, { rows }) => {
    const isMany = rows >= MANY_ROWS_MIN;
    const name = isMany ? tuning.matmulMany : tuning.matmulFew;
    for (const tile of tiles) {
      pass.setPipeline((isMany ? tile.many : tile.few).pipeline);
      pass.setBindGroup(1, tile.group);
      if (name === 'workgroup') pass.dispatchWorkgroups(...tile.byWorkgroup, rows);
      else pass.dispatchWorkgroups(...tile.byThread, name === 'thread' ? rows : Math.ceil(rows / 4));
    }
  };
}
