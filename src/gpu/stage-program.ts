import { KV_PAGE_POSITIONS, MAX_BATCH_ROWS } from '../config/limits.ts';
import { partialBytes, STEP_SLOT_BYTES, stridesOf } from '../model/gpu-bytes.ts';
import type { ModelSpec } from '../model/spec.ts';
import { BLOCK, padded } from '../model/weight-layout.ts';
import type { Activations } from './activations.ts';
import { type Dispatch, type DispatchContext, type Extent, linearDispatch, matmul } from './dispatch.ts';
import type { KvCache } from './kv-cache.ts';
import { type LayerProgram, layerProgram, rmsNorm } from './layer-program.ts';
import type { Part } from './step-batch.ts';
import type { ShardWeights } from './weights.ts';

/** Slots of the step uniform, STEP_SLOTS in all. */
const WHOLE_SLOT = 0;
const ATTENTION_SLOT = 1;
const HEAD_SLOT = ATTENTION_SLOT + MAX_BATCH_ROWS;

/** A run of rows computed by one round of dispatches. */
export interface RowGroup extends Extent {
  readonly slot: number;
  readonly base: number;
}

/** All dispatches of a shard, in order. Holds no buffers of its own. */
export class StageProgram {
  readonly #spec: ModelSpec;
  readonly #activations: Activations;
  readonly #logitRows: number;
  readonly #embed: readonly Dispatch[];
  readonly #unpack: Dispatch;
  /** Of the model's first layer in `#layers`. */
  readonly #start: number;
  readonly #layers: readonly LayerProgram[];
  readonly #pack: Dispatch;
  readonly #head: readonly Dispatch[];

  private constructor(
    spec: ModelSpec,
    activations: Activations,
    logitRows: number,
    parts: {
      embed: readonly Dispatch[];
      unpack: Dispatch;
      start: number;
      layers: readonly LayerProgram[];
      pack: Dispatch;
      head: readonly Dispatch[];
    },
  ) {
    this.#spec = spec;
    this.#activations = activations;
    this.#logitRows = logitRows;
    this.#embed = parts.embed;
    this.#unpack = parts.unpack;
    this.#start = parts.start;
    this.#layers = parts.layers;
    this.#pack = parts.pack;
    this.#head = parts.head;
  }

  static async create(
    context: DispatchContext,
    spec: ModelSpec,
    start: number,
    weights: ShardWeights,
    activations: Activations,
    logitRows: number,
    kv: KvCache,
    angles: GPUBuffer,
  ): Promise<StageProgram> {
    const strides = stridesOf(spec);
    const a = activations;
    const blocks = padded(spec.hidden) / BLOCK;
    const wireShape = { HIDDEN: spec.hidden, STRIDE: strides.hidden };

    const embed = (weights.embedding?.tiles ?? []).map((tile) =>
      linearDispatch(
        context,
        'embedding.wgsl',
        { WEIGHTS: `weights_${weights.embedding!.format}` },
        { BLOCKS: blocks, TILE_START: tile.start, TILE_OUTPUTS: tile.outputs },
        [
          ['read', tile.weights],
          ['read', tile.scales],
          ['read', a.tokens],
          ['write', a.x],
        ],
        ({ rows }) => [Math.ceil((blocks * 8) / 64), rows],
      ),
    );
    // With the embedding too, and packing with the head too: a step may be over some of the layers.
    const unpack = linearDispatch(
      context,
      'hidden_unpack.wgsl',
      {},
      wireShape,
      [
        ['read', a.wire],
        ['write', a.x],
      ],
      ({ rows }) => [Math.ceil(spec.hidden / 64), rows],
    );
    const layers = weights.layers.map((layer, i) =>
      layerProgram(context, spec, layer, { activations: a, pools: kv.layers[i]!, tables: kv.tables, angles }),
    );
    const pack = linearDispatch(
      context,
      'hidden_pack.wgsl',
      {},
      wireShape,
      [
        ['read', a.x],
        ['write', a.wire],
      ],
      ({ rows }) => Math.ceil((rows * spec.hidden) / 64),
    );
    const head =
      weights.head === undefined
        ? []
        : [
            rmsNorm(context, spec, a.x, a.sampleRows, weights.finalNorm!, a.normed),
            matmul(
              context,
              weights.head,
              { file: 'epilogue_logits', yStride: spec.vocab },
              a.normed,
              a.logits,
              undefined,
            ),
            linearDispatch(
              context,
              'argmax.wgsl',
              {},
              { VOCAB: spec.vocab },
              [
                ['read', a.logits],
                ['write', a.ids],
              ],
              ({ rows }) => [rows, 1],
            ),
          ];
    const [embedded, unpacked, layered, packed, headed] = await Promise.all([
      Promise.all(embed),
      unpack,
      Promise.all(layers),
      pack,
      Promise.all(head),
    ]);
    return new StageProgram(spec, activations, logitRows, {
      embed: embedded,
      unpack: unpacked,
      start,
      layers: layered,
      pack: packed,
      head: headed,
    });
  }

  /** All rows at once. */
  whole(positions: readonly number[]): RowGroup {
    return { slot: WHOLE_SLOT, base: 0, rows: positions.length, blocks: blocksOf(positions) };
  }

  /** Rows cut so that a group's attention partials fit their buffer. */
  attentionGroups(positions: readonly number[]): RowGroup[] {
    const whole = this.whole(positions);
    const fit = Math.floor(this.#activations.partials.size / partialBytes(this.#spec, whole.blocks));
    if (fit >= whole.rows) return [whole];
    const groups: RowGroup[] = [];
    for (let base = 0; base < whole.rows; base += fit) {
      const part = positions.slice(base, base + fit);
      groups.push({
        slot: ATTENTION_SLOT + groups.length,
        base,
        rows: part.length,
        blocks: blocksOf(part),
      });
    }
    return groups;
  }

  /** Rows of the head cut so that a group's logits fit their buffer. */
  headGroups(count: number): RowGroup[] {
    const groups: RowGroup[] = [];
    for (let base = 0; base < count; base += this.#logitRows) {
      groups.push({
        slot: HEAD_SLOT + groups.length,
        base,
        rows: Math.min(this.#logitRows, count - base),
        blocks: 0,
      });
    }
    return groups;
  }

  /** Input to hidden states: embedding or unpacking, the part's layers, and packing where another stage follows. */
  encodeLayers(
    pass: GPUComputePassEncoder,
    step: GPUBindGroup,
    part: Part,
    whole: RowGroup,
    attention: readonly RowGroup[],
  ): void {
    const run = (dispatches: readonly Dispatch[]) => {
      for (const dispatch of dispatches) dispatch(pass, whole);
    };
    use(pass, step, whole);
    if (part.embeds) run(this.#embed);
    else this.#unpack(pass, whole);
    for (const layer of this.#layers.slice(part.start - this.#start, part.end - this.#start)) {
      run(layer.before);
      for (const group of attention) {
        use(pass, step, group);
        for (const dispatch of layer.attention) dispatch(pass, group);
      }
      use(pass, step, whole);
      run(layer.after);
    }
    if (!part.heads) this.#pack(pass, whole);
  }

  /** Final norm, logits and argmax of one group of head rows. */
  encodeHead(pass: GPUComputePassEncoder, step: GPUBindGroup, group: RowGroup): void {
    use(pass, step, group);
    for (const dispatch of this.#head) dispatch(pass, group);
  }
}

function use(pass: GPUComputePassEncoder, step: GPUBindGroup, group: RowGroup): void {
  pass.setBindGroup(0, step, [group.slot * STEP_SLOT_BYTES]);
}

function blocksOf(positions: readonly number[]): number {
  let last = 0;
  for (const position of positions) last = Math.max(last, position);
  return Math.floor(last / KV_PAGE_POSITIONS) + 1;
}
