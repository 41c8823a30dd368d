import { describe, expect, it } from 'vitest';
import type { FileDtype } from '../../src/model/fetch/manifest.ts';
import { specFromHfConfig } from '../../src/model/hf-config.ts';
import { shardTensors, tensorFileBytes, wholeModel } from '../../src/model/tensors.ts';

const spec = specFromHfConfig({
  model_type: 'llama',
  hidden_size: 28,
  intermediate_size: 53,
  num_hidden_layers: 3,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  head_dim: 14,
  vocab_size: 307,
});
const tied = { ...spec, tiedEmbeddings: true };
const names = (...args: Parameters<typeof shardTensors>) => shardTensors(...args).map(({ name }) => name);

describe('the tensors of a shard', () => {
  it('have their names and shapes', () => {
    const shapes = shardTensors(spec, { start: 1, end: 2, embedding: false, head: false }).map(
      ({ name, shape }) => [name.replace('model.layers.1.', ''), shape.join('×')],
    );
    expect(Object.fromEntries(shapes)).toEqual({
      'input_layernorm.weight': '28',
      'self_attn.q_proj.weight': '56×28',
      'self_attn.k_proj.weight': '28×28',
      'self_attn.v_proj.weight': '28×28',
      'self_attn.o_proj.weight': '28×56',
      'post_attention_layernorm.weight': '28',
      'mlp.gate_proj.weight': '53×28',
      'mlp.up_proj.weight': '53×28',
      'mlp.down_proj.weight': '28×53',
    });
  });

  it('include biases and head norms where the spec has them', () => {
    const full = { ...spec, qkvBias: true, oBias: true, mlpBias: true, qkNorm: true };
    const added = shardTensors(full, { start: 0, end: 1, embedding: false, head: false }).filter(
      ({ name }) => name.endsWith('.bias') || /[qk]_norm/.test(name),
    );
    expect(added.map(({ roles, shape }) => [roles[0], shape[0]])).toEqual([
      ['q-bias', 56],
      ['k-bias', 28],
      ['v-bias', 28],
      ['q-norm', 14],
      ['k-norm', 14],
      ['o-bias', 28],
      ['gate-bias', 53],
      ['up-bias', 53],
      ['down-bias', 28],
    ]);
  });

  it('cover the model exactly once however it is cut, and are never more than the shard needs', () => {
    for (const cuts of [
      [0, 3],
      [0, 1, 3],
      [0, 1, 2, 3],
    ]) {
      const shards = cuts.slice(1).map((end, i) => ({
        start: cuts[i]!,
        end,
        embedding: i === 0,
        head: i === cuts.length - 2,
      }));
      expect(shards.flatMap((shard) => names(spec, shard)).sort()).toEqual(
        names(spec, wholeModel(spec)).sort(),
      );
    }
    const middle = names(spec, { start: 1, end: 2, embedding: false, head: false });
    expect(middle.filter((name) => !name.startsWith('model.layers.1.'))).toEqual([]);
  });

  it('hold a tied embedding once in a shard, and at both ends of a split model', () => {
    expect(names(tied, wholeModel(tied)).filter((name) => name.includes('embed'))).toHaveLength(1);
    expect(names(tied, wholeModel(tied))).not.toContain('lm_head.weight');
    expect(shardTensors(tied, wholeModel(tied))[0]?.roles).toEqual(['embedding', 'head']);
    const last = shardTensors(tied, { start: 2, end: 3, embedding: false, head: true }).at(-1);
    expect(last).toMatchObject({ name: 'model.embed_tokens.weight', roles: ['head'], shape: [307, 28] });
    expect(names(spec, { start: 2, end: 3, embedding: false, head: true })).toContain('lm_head.weight');
  });
});

it('bytes of a file are those of its numbers', () => {
  const bytes = (of: typeof spec, dtype: FileDtype) =>
    shardTensors(of, wholeModel(of)).reduce((sum, { shape }) => sum + tensorFileBytes(shape, dtype), 0);
  const layer = 28 + 56 * 28 + 2 * 28 * 28 + 28 * 56 + 28 + 3 * 53 * 28;
  expect(bytes(spec, 'BF16')).toBe(2 * (3 * layer + 2 * 307 * 28 + 28));
  expect(bytes(tied, 'F32')).toBe(4 * (3 * layer + 307 * 28 + 28));
});
