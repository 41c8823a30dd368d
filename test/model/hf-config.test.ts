import { describe, expect, it } from 'vitest';
import type { ErrorCode } from '../../src/config/errors.ts';
import { defaultEosTokenId, specFromHfConfig } from '../../src/model/hf-config.ts';

const llama = {
  architectures: ['LlamaForCausalLM'],
  model_type: 'llama',
  hidden_size: 64,
  intermediate_size: 172,
  num_hidden_layers: 5,
  num_attention_heads: 8,
  num_key_value_heads: 4,
  vocab_size: 512,
  max_position_embeddings: 2048,
  rms_norm_eps: 1e-5,
  bos_token_id: 1,
  eos_token_id: 2,
};
const as = (modelType: string, architecture: string, more: object = {}) => ({
  ...llama,
  architectures: [architecture],
  model_type: modelType,
  ...more,
});
const without = (key: keyof typeof llama) => {
  const { [key]: _left, ...rest } = llama;
  return rest;
};

describe('what config.json says', () => {
  it('becomes the spec', () => {
    expect(specFromHfConfig(llama)).toEqual({
      layers: 5,
      hidden: 64,
      intermediate: 172,
      heads: 8,
      kvHeads: 4,
      headDim: 8,
      vocab: 512,
      contextLength: 2048,
      normEps: 1e-5,
      activation: 'silu',
      rope: { theta: 10_000, scaling: { type: 'none' } },
      qkvBias: false,
      oBias: false,
      mlpBias: false,
      qkNorm: false,
      tiedEmbeddings: false,
      bosTokenId: 1,
      eosTokenIds: [2],
    });
  });

  it('ignores what does not matter for the result', () => {
    const more = {
      torch_dtype: 'bfloat16',
      dtype: 'float32',
      pretraining_tp: 1,
      use_cache: false,
      x: { y: [1] },
    };
    expect(specFromHfConfig({ ...llama, ...more })).toEqual(specFromHfConfig(llama));
  });

  it.each([
    ['missing', without('num_key_value_heads'), 8],
    ['null', { ...llama, num_key_value_heads: null }, 8],
  ])('takes as many key/value heads as heads when %s', (_, config, kvHeads) => {
    expect(specFromHfConfig(config).kvHeads).toBe(kvHeads);
  });

  it('takes head_dim where it is given, and hidden / heads where it is not', () => {
    expect(specFromHfConfig({ ...llama, head_dim: 10 }).headDim).toBe(10);
    expect(specFromHfConfig({ ...llama, head_dim: null }).headDim).toBe(8);
    expect(
      specFromHfConfig({ ...llama, hidden_size: 30, num_attention_heads: 4, head_dim: 14 }).headDim,
    ).toBe(14);
  });

  it('takes the defaults of transformers for absent keys', () => {
    const spec = specFromHfConfig(without('rms_norm_eps'));
    expect(spec.normEps).toBe(1e-6);
    expect(specFromHfConfig(without('max_position_embeddings')).contextLength).toBe(2048);
    expect(specFromHfConfig({ ...llama, eos_token_id: null }).eosTokenIds).toEqual([]);
    expect(specFromHfConfig({ ...llama, bos_token_id: null }).bosTokenId).toBeNull();
  });

  it('tells a default eos from one that is named', () => {
    expect(specFromHfConfig(without('eos_token_id')).eosTokenIds).toEqual([]);
    expect(defaultEosTokenId(without('eos_token_id'))).toBe(2);
    expect(defaultEosTokenId({ ...llama, eos_token_id: null })).toBeNull();
    expect(defaultEosTokenId(llama)).toBeNull();
  });

  it('caps the context at what is served', () => {
    expect(specFromHfConfig({ ...llama, max_position_embeddings: 131_072 }).contextLength).toBe(8_192);
  });

  it('lets generation_config.json decide on bos and eos', () => {
    const spec = specFromHfConfig(llama, { bos_token_id: 5, eos_token_id: [7, 9] });
    expect([spec.bosTokenId, spec.eosTokenIds]).toEqual([5, [7, 9]]);
    const silent = specFromHfConfig(llama, { do_sample: true });
    expect([silent.bosTokenId, silent.eosTokenIds]).toEqual([1, [2]]);
  });

  it('leaves out bos and eos ids that the vocabulary does not have', () => {
    const spec = specFromHfConfig({ ...llama, bos_token_id: 151_643, eos_token_id: [2, 512] });
    expect([spec.bosTokenId, spec.eosTokenIds]).toEqual([null, [2]]);
  });

  it('goes by model_type where architectures is absent', () => {
    expect(specFromHfConfig(without('architectures'))).toEqual(specFromHfConfig(llama));
  });
});

describe('model families', () => {
  it('puts biases where each family has them', () => {
    const biases = (config: object) => {
      const { qkvBias, oBias, mlpBias, qkNorm } = specFromHfConfig(config);
      return { qkvBias, oBias, mlpBias, qkNorm };
    };
    const none = { qkvBias: false, oBias: false, mlpBias: false, qkNorm: false };
    const asked = { attention_bias: true, mlp_bias: true };
    expect(biases({ ...llama, ...asked })).toEqual({ ...none, qkvBias: true, oBias: true, mlpBias: true });
    expect(biases(as('mistral', 'MistralForCausalLM', { sliding_window: null, ...asked }))).toEqual(none);
    expect(biases(as('qwen2', 'Qwen2ForCausalLM'))).toEqual({ ...none, qkvBias: true });
    expect(biases(as('qwen3', 'Qwen3ForCausalLM'))).toEqual({ ...none, qkNorm: true });
    expect(biases(as('qwen3', 'Qwen3ForCausalLM', { attention_bias: true }))).toEqual({
      ...none,
      qkvBias: true,
      oBias: true,
      qkNorm: true,
    });
  });

  it('gives a Qwen3 without head_dim its 128', () => {
    expect(specFromHfConfig(as('qwen3', 'Qwen3ForCausalLM')).headDim).toBe(128);
  });

  it.each([
    ['null', as('mistral', 'MistralForCausalLM', { sliding_window: null })],
    ['the whole context', as('mistral', 'MistralForCausalLM', { sliding_window: 2048 })],
    ['the default, 4096, over a context of 2048', as('mistral', 'MistralForCausalLM')],
    ['switched off', as('qwen2', 'Qwen2ForCausalLM', { sliding_window: 128, use_sliding_window: false })],
    ['a Llama, which has none', { ...llama, sliding_window: 128 }],
  ])('takes a sliding window that is %s', (_, config) => {
    expect(specFromHfConfig(config).contextLength).toBe(2048);
  });

  it.each([
    ['of a Mistral', as('mistral', 'MistralForCausalLM', { sliding_window: 512 }), 512],
    ['a Mistral leaves out', as('mistral', 'MistralForCausalLM', { max_position_embeddings: 32_768 }), 4_096],
    ['switched on', as('qwen2', 'Qwen2ForCausalLM', { sliding_window: 512, use_sliding_window: true }), 512],
  ])('serves as much context as a narrower window %s spans', (_, config, context) => {
    expect(specFromHfConfig(config).contextLength).toBe(context);
  });
});

describe('rotary embedding', () => {
  it.each([
    ['transformers 4', { rope_theta: 500_000 }, 500_000],
    ['transformers 5', { rope_parameters: { rope_theta: 500_000, rope_type: 'default' } }, 500_000],
    ['both, 5 wins', { rope_theta: 1, rope_parameters: { rope_theta: 500_000 } }, 500_000],
    ['neither', {}, 10_000],
  ])('reads theta as %s writes it', (_, more, theta) => {
    expect(specFromHfConfig({ ...llama, ...more }).rope).toEqual({ theta, scaling: { type: 'none' } });
  });

  it.each([
    ['type', { rope_scaling: { type: 'linear', factor: 2 } }],
    ['rope_type', { rope_scaling: { rope_type: 'linear', factor: 2 } }],
    ['rope_parameters', { rope_parameters: { rope_type: 'linear', factor: 2, rope_theta: 10_000 } }],
  ])('reads linear scaling from %s', (_, more) => {
    expect(specFromHfConfig({ ...llama, ...more }).rope.scaling).toEqual({ type: 'linear', factor: 2 });
  });

  it('reads llama3 scaling', () => {
    const rope_scaling = {
      rope_type: 'llama3',
      factor: 8,
      low_freq_factor: 1,
      high_freq_factor: 4,
      original_max_position_embeddings: 256,
    };
    expect(specFromHfConfig({ ...llama, rope_scaling }).rope.scaling).toEqual({
      type: 'llama3',
      factor: 8,
      lowFreqFactor: 1,
      highFreqFactor: 4,
      originalContext: 256,
    });
  });
});

describe('refusals name the key, the value and what is supported', () => {
  it.each<[string, unknown, ErrorCode, RegExp]>([
    ['not an object', [1], 'MODEL_CONFIG_INVALID', /config\.json holds \[1\]/],
    [
      'another architecture',
      as('gpt2', 'GPT2LMHeadModel'),
      'MODEL_UNSUPPORTED',
      /GPT2LMHeadModel.*LlamaForCausalLM/,
    ],
    [
      'another model_type',
      { ...without('architectures'), model_type: 'gemma' },
      'MODEL_UNSUPPORTED',
      /"gemma".*llama/,
    ],
    ['no hint at all', {}, 'MODEL_UNSUPPORTED', /neither architectures nor model_type/],
    ['a missing size', without('hidden_size'), 'MODEL_CONFIG_INVALID', /hidden_size is missing/],
    ['a negative size', { ...llama, hidden_size: -4 }, 'MODEL_CONFIG_INVALID', /hidden_size is -4/],
    ['a fraction', { ...llama, num_hidden_layers: 1.5 }, 'MODEL_CONFIG_INVALID', /num_hidden_layers is 1\.5/],
    ['text for a number', { ...llama, vocab_size: '512' }, 'MODEL_CONFIG_INVALID', /vocab_size is "512"/],
    [
      'an enormous width',
      { ...llama, intermediate_size: 1e9 },
      'MODEL_CONFIG_INVALID',
      /intermediate = 1000000000/,
    ],
    ['too many layers', { ...llama, num_hidden_layers: 9999 }, 'MODEL_CONFIG_INVALID', /layers = 9999/],
    ['odd head_dim', { ...llama, head_dim: 7 }, 'MODEL_CONFIG_INVALID', /headDim = 7.*even/],
    [
      'head_dim neither given nor whole',
      { ...llama, hidden_size: 66 },
      'MODEL_CONFIG_INVALID',
      /66 is not a multiple.*8/,
    ],
    [
      'heads that do not group',
      { ...llama, num_key_value_heads: 3 },
      'MODEL_CONFIG_INVALID',
      /8 is not a multiple.*3/,
    ],
    ['a wrong eos', { ...llama, eos_token_id: 'x' }, 'MODEL_CONFIG_INVALID', /eos_token_id is "x"/],
    ['another activation', { ...llama, hidden_act: 'gelu' }, 'MODEL_UNSUPPORTED', /"gelu".*silu/],
    ['yarn', { ...llama, rope_scaling: { type: 'yarn', factor: 4 } }, 'MODEL_UNSUPPORTED', /"yarn".*linear/],
    [
      'linear without factor',
      { ...llama, rope_scaling: { type: 'linear' } },
      'MODEL_CONFIG_INVALID',
      /factor is missing/,
    ],
    [
      'partial rotary',
      { ...llama, partial_rotary_factor: 0.5 },
      'MODEL_UNSUPPORTED',
      /partial_rotary_factor is 0\.5/,
    ],
    [
      'partial rotary in rope_parameters',
      { ...llama, rope_parameters: { partial_rotary_factor: 0.25 } },
      'MODEL_UNSUPPORTED',
      /is 0\.25/,
    ],
    [
      'quantized weights',
      { ...llama, quantization_config: { quant_method: 'gptq' } },
      'MODEL_UNSUPPORTED',
      /gptq.*F16/,
    ],
  ])('%s', (_, config, code, message) => {
    expect(() => specFromHfConfig(config)).toThrow(
      expect.objectContaining({ code, message: expect.stringMatching(message) }),
    );
  });

  it('does not read keys from a prototype', () => {
    const config = JSON.parse(`{"__proto__": ${JSON.stringify(llama)}}`);
    expect(() => specFromHfConfig(config)).toThrow(expect.objectContaining({ code: 'MODEL_UNSUPPORTED' }));
  });
});
