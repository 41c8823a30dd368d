import type { ModelSpec } from '../../model/spec.ts';
import { roundF16 } from '../half.ts';
import { ropeFrequencies } from '../rope.ts';
import { attend, matVec, rmsNorm, rotate, swiglu } from './kernels.ts';

/** A model's tensors by Hugging Face name, row-major. */
export type ReferenceWeights = ReadonlyMap<string, ArrayLike<number>>;

/**
 * The whole model in f64 on the CPU, a position at a time: the reference of the engine.
 * @param roundLayers round each layer's output to f16, as a run with an f16 wire does
 * @returns logits of every position, (positions)(vocab)
 */
export function referenceForward(
  spec: ModelSpec,
  weights: ReferenceWeights,
  ids: readonly number[],
  roundLayers = false,
): Float64Array[] {
  const { heads, kvHeads, headDim, hidden } = spec;
  const tensor = (name: string) => {
    const values = weights.get(name);
    if (values === undefined) throw new Error(`the reference has no ${name}`);
    return values;
  };
  const linear = (name: string, x: ArrayLike<number>, outputs: number) => {
    const y = matVec(tensor(`${name}.weight`), x, outputs);
    const bias = weights.get(`${name}.bias`);
    return bias === undefined ? y : y.map((value, i) => value + bias[i]!);
  };
  const headsOf = (y: Float64Array, count: number) =>
    Array.from({ length: count }, (_, h) => y.subarray(h * headDim, (h + 1) * headDim));

  const frequencies = ropeFrequencies(spec);
  const embedding = tensor('model.embed_tokens.weight');
  /** (layers)(kvHeads)(positions)(headDim) */
  const cache = () =>
    Array.from({ length: spec.layers }, () => Array.from({ length: kvHeads }, () => [] as Float64Array[]));
  const keys = cache();
  const values = cache();

  return ids.map((id, position) => {
    let x = Float64Array.from({ length: hidden }, (_, i) => embedding[id * hidden + i]!);
    for (let l = 0; l < spec.layers; l++) {
      const layer = `model.layers.${l}`;
      const normed = rmsNorm(x, tensor(`${layer}.input_layernorm.weight`), spec.normEps);
      const project = (name: 'q' | 'k' | 'v', count: number) =>
        headsOf(linear(`${layer}.self_attn.${name}_proj`, normed, count * headDim), count);
      const normHead = (head: Float64Array, name: 'q' | 'k') =>
        spec.qkNorm ? rmsNorm(head, tensor(`${layer}.self_attn.${name}_norm.weight`), spec.normEps) : head;
      const q = project('q', heads).map((head) => rotate(normHead(head, 'q'), position, frequencies));
      for (const [h, head] of project('k', kvHeads).entries()) {
        keys[l]![h]!.push(rotate(normHead(head, 'k'), position, frequencies));
      }
      for (const [h, head] of project('v', kvHeads).entries()) values[l]![h]!.push(head);
      const attention = new Float64Array(heads * headDim);
      for (const [h, head] of q.entries()) {
        const kv = Math.floor(h / (heads / kvHeads));
        attention.set(attend(head, keys[l]![kv]!, values[l]![kv]!), h * headDim);
      }
      const o = linear(`${layer}.self_attn.o_proj`, attention, hidden);
      x = x.map((value, i) => value + o[i]!);
      const mlpIn = rmsNorm(x, tensor(`${layer}.post_attention_layernorm.weight`), spec.normEps);
      const act = swiglu(
        linear(`${layer}.mlp.gate_proj`, mlpIn, spec.intermediate),
        linear(`${layer}.mlp.up_proj`, mlpIn, spec.intermediate),
      );
      const down = linear(`${layer}.mlp.down_proj`, act, hidden);
      x = x.map((value, i) => value + down[i]!);
      if (roundLayers) x = x.map(roundF16);
    }
    const normed = rmsNorm(x, tensor('model.norm.weight'), spec.normEps);
    const head = spec.tiedEmbeddings ? embedding : tensor('lm_head.weight');
    return matVec(head, normed, spec.vocab);
  });
}
