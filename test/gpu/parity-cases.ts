import { KV_PAGE_POSITIONS } from '../../src/config/limits.ts';
import { linearDispatch, matmul } from '../../src/gpu/dispatch.ts';
import { f16Bits, f16Value, roundF16 } from '../../src/gpu/half.ts';
import { rmsNorm as rmsNormDispatch } from '../../src/gpu/layer-program.ts';
import { Matrix } from '../../src/gpu/matrix.ts';
import { attend, matVec, rmsNorm, rotate, swiglu } from '../../src/gpu/reference/kernels.ts';
import { unpackRows } from '../../src/gpu/reference/weights.ts';
import { ropeFrequencies, ropeTable } from '../../src/gpu/rope.ts';
import type { Tuning } from '../../src/gpu/tuning.ts';
import { packRows } from '../../src/gpu/weight-format.ts';
import type { FileDtype } from '../../src/model/fetch/manifest.ts';
import { stridesOf } from '../../src/model/gpu-bytes.ts';
import type { ModelSpec } from '../../src/model/spec.ts';
import { BLOCK, padded, type WeightFormat } from '../../src/model/weight-layout.ts';
import { encode, gaussians, ODD_SPEC } from '../support/seeded-model.ts';
import { type KernelBench, padRows, worstError } from './kernel-bench.ts';

/**
 * The parity table: every kernel against its CPU twin in f64, at sizes that no workgroup or block divides. The same bodies
 * run under Node (kernels.test.ts) and in a Web Worker in Chromium (test/e2e/kernels.test.ts).
 */
export interface ParityCase {
  readonly name: string;
  /** Bound on the largest error relative to the largest value; 0: exact. */
  readonly tolerance: number;
  readonly run: (bench: KernelBench) => Promise<number>;
}

/** f32 sums of up to some hundred terms. */
const SUMS = 3e-6;
const FORMATS: readonly [WeightFormat, FileDtype][] = [
  ['f32', 'F32'],
  ['f16', 'F16'],
  ['bf16', 'BF16'],
  ['q8', 'F32'],
  ['q4', 'F32'],
];
const VARIANTS: readonly { name: string; rows: number; tuning: Partial<Tuning> }[] = [
  { name: 'matmul_thread', rows: 2, tuning: { matmulFew: 'thread' } },
  { name: 'matmul_thread_rows', rows: 7, tuning: { matmulMany: 'thread_rows' } },
  { name: 'matmul_workgroup', rows: 2, tuning: { matmulFew: 'workgroup' } },
];
/** (outputs, k): one block and less, an odd count of blocks, lanes that do not divide the blocks. */
const SIZES: readonly [number, number][] = [
  [307, 50],
  [13, 13],
  [75, 331],
];

function matmulCase(
  variant: (typeof VARIANTS)[number],
  [format, dtype]: readonly [WeightFormat, FileDtype],
  [outputs, k]: readonly [number, number],
): ParityCase {
  const { rows, tuning } = variant;
  return {
    name: `${variant.name} ${format} (${outputs}, ${k})`,
    tolerance: SUMS,
    async run(bench) {
      const bytes = encode(gaussians(1, outputs * k), dtype);
      const weights = unpackRows(packRows(bytes, dtype, outputs, k, format), format, outputs, k);
      const x = gaussians(2, rows * k);
      const bias = gaussians(3, outputs);
      const matrix = new Matrix(bench.device, { name: 'w', outputs, k, paired: false }, format);
      matrix.upload({ name: 'w', dtype, shape: [outputs, k], bytes }, 0);
      const y = bench.zeros(rows * outputs);
      const dispatch = await matmul(
        bench.context(tuning),
        matrix,
        { file: 'epilogue_store', yStride: outputs },
        bench.f32(padRows(x, rows, k, padded(k))),
        y,
        bench.f32(bias),
      );
      const actual = new Float32Array(await bench.run([dispatch], { rows }, y));
      matrix.destroy();
      const expected = Array.from({ length: rows }, (_, row) =>
        [...matVec(weights, x.subarray(row * k, (row + 1) * k), outputs)].map((v, o) => v + bias[o]!),
      ).flat();
      return worstError(actual.subarray(0, rows * outputs), expected, rows, outputs);
    },
  };
}

function swigluCase(variant: (typeof VARIANTS)[number]): ParityCase {
  const { rows, tuning } = variant;
  const [k, n] = [50, 75];
  return {
    name: `${variant.name} with epilogue_swiglu`,
    tolerance: 1e-5,
    async run(bench) {
      const gate = gaussians(4, n * k).map((v) => v / 7);
      const up = gaussians(5, n * k).map((v) => v / 7);
      const bias = gaussians(6, 2 * n);
      const x = gaussians(7, rows * k);
      const matrix = new Matrix(bench.device, { name: 'gu', outputs: 2 * n, k, paired: true }, 'f32');
      for (const [part, values] of [gate, up].entries()) {
        matrix.upload({ name: 'w', dtype: 'F32', shape: [n, k], bytes: encode(values, 'F32') }, part);
      }
      const y = bench.zeros(rows * padded(n));
      const dispatch = await matmul(
        bench.context(tuning),
        matrix,
        { file: 'epilogue_swiglu', yStride: padded(n), intermediate: n },
        bench.f32(padRows(x, rows, k, padded(k))),
        y,
        bench.f32(bias),
      );
      const actual = new Float32Array(await bench.run([dispatch], { rows }, y));
      matrix.destroy();
      const expected = Array.from({ length: rows }, (_, row) => {
        const input = x.subarray(row * k, (row + 1) * k);
        return [
          ...swiglu(
            matVec(gate, input, n).map((v, i) => v + bias[i]!),
            matVec(up, input, n).map((v, i) => v + bias[n + i]!),
          ),
        ];
      }).flat();
      return worstError(actual, expected, rows, n, padded(n));
    },
  };
}

function residualCase(roundLayer: boolean): ParityCase {
  const [rows, n] = [5, 50];
  return {
    name: `epilogue_residual${roundLayer ? ', rounded to f16' : ''}`,
    // A sum that f32 and f64 place on two sides of a tie rounds one f16 step apart.
    tolerance: roundLayer ? 2 ** -11 : SUMS,
    async run(bench) {
      const w = gaussians(8, n * n);
      const x = gaussians(9, rows * n);
      const before = gaussians(10, rows * n);
      const matrix = new Matrix(bench.device, { name: 'w', outputs: n, k: n, paired: false }, 'f32');
      matrix.upload({ name: 'w', dtype: 'F32', shape: [n, n], bytes: encode(w, 'F32') }, 0);
      const y = bench.f32(padRows(before, rows, n, padded(n)));
      const dispatch = await matmul(
        bench.context(),
        matrix,
        { file: 'epilogue_residual', yStride: padded(n), layerEnd: true },
        bench.f32(padRows(x, rows, n, padded(n))),
        y,
        undefined,
      );
      const actual = new Float32Array(await bench.run([dispatch], { rows, roundF16: roundLayer }, y));
      matrix.destroy();
      if (roundLayer && actual.some((value) => value !== roundF16(value))) return Number.POSITIVE_INFINITY;
      const expected = Array.from({ length: rows }, (_, row) =>
        [...matVec(w, x.subarray(row * n, (row + 1) * n), n)].map((v, i) => v + before[row * n + i]!),
      ).flat();
      return worstError(actual, expected, rows, n, padded(n));
    },
  };
}

function rmsNormCase(reduction: Tuning['reduction'], hidden: number): ParityCase {
  const rows = 3;
  return {
    name: `rmsnorm_${reduction} (${hidden})`,
    tolerance: SUMS,
    async run(bench) {
      const spec = { ...ODD_SPEC, hidden };
      const x = gaussians(11, 5 * hidden);
      const weight = gaussians(12, hidden);
      const map = [4, 0, 3];
      const y = bench.zeros(rows * padded(hidden));
      const dispatch = await rmsNormDispatch(
        bench.context({ reduction }),
        spec,
        bench.f32(padRows(x, 5, hidden, padded(hidden))),
        bench.u32(map),
        bench.f32(padRows(weight, 1, hidden, padded(hidden))),
        y,
      );
      const actual = new Float32Array(await bench.run([dispatch], { rows }, y));
      const expected = map.flatMap((row) => [
        ...rmsNorm(x.subarray(row * hidden, (row + 1) * hidden), weight, spec.normEps),
      ]);
      return worstError(actual, expected, rows, hidden, padded(hidden));
    },
  };
}

function embeddingCase([format, dtype]: readonly [WeightFormat, FileDtype]): ParityCase {
  const [vocab, hidden] = [307, 50];
  return {
    name: `embedding ${format}`,
    tolerance: 0,
    async run(bench) {
      const bytes = encode(gaussians(13, vocab * hidden), dtype);
      const weights = unpackRows(packRows(bytes, dtype, vocab, hidden, format), format, vocab, hidden);
      const matrix = new Matrix(
        bench.device,
        { name: 'e', outputs: vocab, k: hidden, paired: false },
        format,
      );
      matrix.upload({ name: 'e', dtype, shape: [vocab, hidden], bytes }, 0);
      const tokens = [0, 306, 17, 17];
      const [tile] = matrix.tiles;
      const x = bench.zeros(tokens.length * padded(hidden));
      const dispatch = await linearDispatch(
        bench,
        'embedding.wgsl',
        { WEIGHTS: `weights_${format}` },
        { BLOCKS: padded(hidden) / BLOCK, TILE_START: 0, TILE_OUTPUTS: vocab },
        [
          ['read', tile!.weights],
          ['read', tile!.scales],
          ['read', bench.u32(tokens)],
          ['write', x],
        ],
        () => [1, tokens.length],
      );
      const actual = new Float32Array(await bench.run([dispatch], { rows: tokens.length }, x));
      matrix.destroy();
      const expected = tokens.flatMap((id) => [...weights.subarray(id * hidden, (id + 1) * hidden)]);
      return worstError(actual, expected, tokens.length, hidden, padded(hidden));
    },
  };
}

/** Positions 0 … count − 1 of a sequence through rope_append, then attention of all its rows. */
function attentionCase(reduction: Tuning['reduction'], headDim: number, count: number): ParityCase {
  const spec: ModelSpec = { ...ODD_SPEC, heads: 6, kvHeads: 3, headDim };
  const { heads, kvHeads } = spec;
  return {
    name: `rope_append, attention_${reduction}, attention_merge (head ${headDim}, ${count} positions)`,
    tolerance: 1e-5,
    async run(bench) {
      const strides = stridesOf(spec);
      const width = (heads + 2 * kvHeads) * headDim;
      const vStride = Math.ceil(headDim / 4) * 4;
      const vQuads = vStride / 4;
      const rows = gaussians(14, count * width);
      const qkv = bench.f32(padRows(rows, count, width, strides.qkv));
      const blocks = Math.ceil(count / KV_PAGE_POSITIONS);
      // Pages out of order, and a table that does not start at 0.
      const tables = bench.u32([9, 9, ...Array.from({ length: blocks }, (_, b) => blocks - 1 - b)]);
      const rowInfo = bench.u32(Array.from({ length: count }, (_, row) => [row, 2]).flat());
      const kPool = bench.zeros(blocks * kvHeads * headDim * KV_PAGE_POSITIONS);
      const vPool = bench.zeros(blocks * kvHeads * vStride * KV_PAGE_POSITIONS);
      const partials = bench.zeros(count * heads * blocks * (4 + vStride));
      const y = bench.zeros(count * strides.attention);
      const shape = {
        HEADS: heads,
        KV_HEADS: kvHeads,
        HEAD_DIM: headDim,
        QKV_STRIDE: strides.qkv,
        V_STRIDE: vStride,
        V_QUADS: vQuads,
        Y_STRIDE: strides.attention,
        PAGE: KV_PAGE_POSITIONS,
        SCALE: 1 / Math.sqrt(headDim),
      };
      const byThread = reduction === 'thread';
      const dispatches = await Promise.all([
        linearDispatch(
          bench,
          'rope_append.wgsl',
          {},
          shape,
          [
            ['write', qkv],
            ['read', rowInfo],
            ['read', tables],
            ['read', bench.f32(ropeTable(spec, count))],
            ['write', kPool],
            ['write', vPool],
          ],
          () => Math.ceil((count * (heads + 2 * kvHeads) * (headDim / 2)) / 64),
        ),
        linearDispatch(
          bench,
          `attention_${reduction}.wgsl`,
          { K_ELEMENT: byThread ? 'vec4<f32>' : 'f32', PAGE: String(KV_PAGE_POSITIONS) },
          shape,
          [
            ['read', qkv],
            ['read', rowInfo],
            ['read', tables],
            ['read', kPool],
            ['read', vPool],
            ['write', partials],
          ],
          () => (byThread ? Math.ceil((count * heads * blocks) / 16) : count * heads * blocks),
        ),
        linearDispatch(
          bench,
          'attention_merge.wgsl',
          { PAGE: String(KV_PAGE_POSITIONS) },
          shape,
          [
            ['read', rowInfo],
            ['read', partials],
            ['write', y],
          ],
          () => Math.ceil((count * heads * vQuads) / 64),
        ),
      ]);
      const actual = new Float32Array(await bench.run(dispatches, { rows: count, blocks }, y));
      const frequencies = ropeFrequencies(spec);
      const head = (row: number, h: number) =>
        rows.subarray(row * width + h * headDim, row * width + (h + 1) * headDim);
      const keys = Array.from({ length: kvHeads }, (_, h) =>
        Array.from({ length: count }, (_, row) => rotate(head(row, heads + h), row, frequencies)),
      );
      const values = Array.from({ length: kvHeads }, (_, h) =>
        Array.from({ length: count }, (_, row) => head(row, heads + kvHeads + h)),
      );
      const expected = Array.from({ length: count }, (_, row) =>
        Array.from({ length: heads }, (_, h) => {
          const kv = Math.floor(h / (heads / kvHeads));
          const q = rotate(head(row, h), row, frequencies);
          return [...attend(q, keys[kv]!.slice(0, row + 1), values[kv]!.slice(0, row + 1))];
        }).flat(),
      ).flat();
      return worstError(actual, expected, count, heads * headDim, strides.attention);
    },
  };
}

const qkNormCase: ParityCase = {
  name: 'qk_norm',
  tolerance: SUMS,
  async run(bench) {
    const [rows, heads, kvHeads, headDim] = [3, 5, 1, 10];
    const width = (heads + 2 * kvHeads) * headDim;
    const values = gaussians(15, rows * width);
    const weight = gaussians(16, 2 * headDim);
    const qkv = bench.f32(padRows(values, rows, width, padded(width)));
    const dispatch = await linearDispatch(
      bench,
      'qk_norm.wgsl',
      {},
      { HEADS: heads, KV_HEADS: kvHeads, HEAD_DIM: headDim, QKV_STRIDE: padded(width), EPS: 1e-6 },
      [
        ['write', qkv],
        ['read', bench.f32(weight)],
      ],
      () => 1,
    );
    const actual = new Float32Array(await bench.run([dispatch], { rows }, qkv));
    const expected = Array.from({ length: rows * (heads + 2 * kvHeads) }, (_, i) => {
      const head = values.subarray(i * headDim, (i + 1) * headDim);
      const h = i % (heads + 2 * kvHeads);
      if (h >= heads + kvHeads) return [...head];
      return [...rmsNorm(head, weight.subarray(h < heads ? 0 : headDim).slice(0, headDim), 1e-6)];
    }).flat();
    return worstError(actual, expected, rows, width, padded(width));
  },
};

const argmaxCase: ParityCase = {
  name: 'argmax, ties to the lowest id',
  tolerance: 0,
  async run(bench) {
    const [rows, vocab] = [3, 307];
    const logits = gaussians(17, rows * vocab);
    logits.set([9, 9], 40); // a tie between neighbours
    logits[vocab + 300] = 9; // and one that different threads see
    logits[vocab + 44] = 9;
    logits.fill(-1e30, 2 * vocab); // all alike, very low
    const ids = bench.zeros(rows);
    const dispatch = await linearDispatch(
      bench,
      'argmax.wgsl',
      {},
      { VOCAB: vocab },
      [
        ['read', bench.f32(logits)],
        ['write', ids],
      ],
      () => [rows, 1],
    );
    const actual = new Uint32Array(await bench.run([dispatch], { rows }, ids));
    return [40, 44, 0].every((id, row) => actual[row] === id) ? 0 : Number.POSITIVE_INFINITY;
  },
};

/** Values where f16 rounding goes wrong: carries, ties, the range's ends, subnormals. */
const EDGES = [
  1.9999,
  -1.9999,
  0.49999,
  65504,
  -65504,
  65519.996,
  1 + 2 ** -11,
  1 + 3 * 2 ** -11,
  2 ** -14,
  2 ** -14 - 2 ** -26,
  2 ** -24,
  2 ** -25,
  1.0001 * 2 ** -25,
  3 * 2 ** -25,
  -(2 ** -24),
  1023.4999 * 2 ** -24,
  2 ** -30,
  0,
  -0,
  0.1,
  1 / 3,
];

function packCase(hidden: number, roundWire: boolean): ParityCase {
  const rows = 3;
  const values = Float32Array.from({ length: rows * hidden }, (_, i) =>
    i < EDGES.length ? EDGES[i]! : gaussians(18, 1)[0]! * (i - 40),
  );
  const f16Words = (all: ArrayLike<number>) =>
    Uint32Array.from({ length: Math.ceil(all.length / 2) }, (_, i) => {
      const high = 2 * i + 1 < all.length ? f16Bits(all[2 * i + 1]!) : 0;
      return (f16Bits(all[2 * i]!) | (high << 16)) >>> 0;
    });
  const expected = roundWire ? f16Words(values) : new Uint32Array(values.buffer);
  return {
    name: `hidden_pack and hidden_unpack ${roundWire ? 'f16' : 'f32'} (${hidden})`,
    tolerance: 0,
    async run(bench) {
      const shape = { HIDDEN: hidden, STRIDE: padded(hidden) };
      const x = bench.f32(padRows(values, rows, hidden, padded(hidden)));
      const wire = bench.zeros(rows * hidden);
      const pack = await linearDispatch(
        bench,
        'hidden_pack.wgsl',
        {},
        shape,
        [
          ['read', x],
          ['write', wire],
        ],
        () => Math.ceil((rows * hidden) / 64),
      );
      const packed = new Uint32Array(await bench.run([pack], { rows, roundF16: roundWire }, wire));
      if (!expected.every((word, i) => packed[i] === word)) return Number.POSITIVE_INFINITY;
      const back = bench.zeros(rows * padded(hidden));
      const unpack = await linearDispatch(
        bench,
        'hidden_unpack.wgsl',
        {},
        shape,
        [
          ['read', wire],
          ['write', back],
        ],
        () => [Math.ceil(hidden / 64), rows],
      );
      const actual = new Float32Array(await bench.run([unpack], { rows, roundF16: roundWire }, back));
      const rounded = values.map((value) => (roundWire ? f16Value(f16Bits(value)) : value));
      return worstError(actual, rounded, rows, hidden, padded(hidden));
    },
  };
}

export const PARITY_CASES: readonly ParityCase[] = [
  ...VARIANTS.flatMap((variant) =>
    FORMATS.flatMap((format) => SIZES.map((size) => matmulCase(variant, format, size))),
  ),
  ...VARIANTS.map(swigluCase),
  residualCase(false),
  residualCase(true),
  ...(['thread', 'workgroup'] as const).flatMap((reduction) =>
    [13, 50, 172, 2_085].map((hidden) => rmsNormCase(reduction, hidden)),
  ),
  ...FORMATS.map(embeddingCase),
  ...(['thread', 'workgroup'] as const).flatMap((reduction) => [
    attentionCase(reduction, 8, 33),
    attentionCase(reduction, 14, 70),
    attentionCase(reduction, 48, 5),
    attentionCase(reduction, 128, 64),
  ]),
  qkNormCase,
  argmaxCase,
  packCase(13, true),
  packCase(50, false),
];
