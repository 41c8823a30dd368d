import { ShoalError } from '../config/errors.ts';
import { MAX_CONTEXT_POSITIONS } from '../config/limits.ts';
import { ConfigReader } from './config-reader.ts';
import { type ModelSpec, modelSpecSchema, type RopeScaling } from './spec.ts';

/**
 * What differs between the model types, and the value `transformers` takes where config.json leaves a key out
 * (models/<type>/configuration_<type>.py of transformers 5.23). `null` kvHeads: as many as heads. `null` headDim: hidden / heads.
 */
const FAMILIES = {
  llama: {
    architecture: 'LlamaForCausalLM',
    kvHeads: null,
    headDim: null,
    context: 2_048,
    bos: 1,
    eos: 2,
    window: 'none',
    qkvBias: 'configured',
    oBias: 'configured',
    mlpBias: true,
    qkNorm: false,
  },
  mistral: {
    architecture: 'MistralForCausalLM',
    kvHeads: 8,
    headDim: null,
    context: 131_072,
    bos: 1,
    eos: 2,
    window: 'always',
    qkvBias: 'never',
    oBias: 'never',
    mlpBias: false,
    qkNorm: false,
  },
  qwen2: {
    architecture: 'Qwen2ForCausalLM',
    kvHeads: 32,
    headDim: null,
    context: 32_768,
    bos: null,
    eos: null,
    window: 'optional',
    qkvBias: 'always',
    oBias: 'never',
    mlpBias: false,
    qkNorm: false,
  },
  qwen3: {
    architecture: 'Qwen3ForCausalLM',
    kvHeads: 32,
    headDim: 128,
    context: 32_768,
    bos: null,
    eos: null,
    window: 'optional',
    qkvBias: 'configured',
    oBias: 'configured',
    mlpBias: false,
    qkNorm: true,
  },
} as const;

type Family = (typeof FAMILIES)[keyof typeof FAMILIES];

/**
 * The family's name, which is GGUF's word for the architecture too.
 *
 * @param config parsed config.json
 * @throws MODEL_CONFIG_INVALID, MODEL_UNSUPPORTED
 */
export function modelFamily(config: unknown): string {
  const family = familyOf(new ConfigReader(config, 'config.json'));
  return Object.entries(FAMILIES).find(([, candidate]) => candidate === family)![0];
}

/** The window that `transformers` gives a Mistral whose config.json does not mention one. */
const DEFAULT_SLIDING_WINDOW = 4_096;

/**
 * Reads a Hugging Face config.json (transformers 4 or 5) of a dense Llama-family model.
 *
 * @param config parsed config.json, not yet checked
 * @param generationConfig parsed generation_config.json; its bos and eos ids win over the config's, as in `generate`
 * @returns the spec with the eos ids that the two name, and no others: see `defaultEosTokenId`
 * @throws MODEL_CONFIG_INVALID for a missing or wrong value, MODEL_UNSUPPORTED for a model that the engine does not compute
 */
export function specFromHfConfig(config: unknown, generationConfig?: unknown): ModelSpec {
  const reader = new ConfigReader(config, 'config.json');
  const family = familyOf(reader);
  refuseUnsupported(reader);

  const hidden = reader.count('hidden_size');
  const heads = reader.count('num_attention_heads');
  const kvHeads = reader.has('num_key_value_heads')
    ? reader.count('num_key_value_heads')
    : reader.isNull('num_key_value_heads')
      ? heads
      : (family.kvHeads ?? heads);
  if (heads % kvHeads !== 0) {
    throw invalid(
      `num_attention_heads ${heads} is not a multiple of num_key_value_heads ${kvHeads}; every key/value head serves the same number of query heads`,
      'num_key_value_heads',
    );
  }
  const claimedContext = reader.count('max_position_embeddings', family.context);
  const contextLength = Math.min(claimedContext, MAX_CONTEXT_POSITIONS, slidingWindowOf(reader, family));

  const vocab = reader.count('vocab_size');
  const attentionBias = reader.flag('attention_bias', false);
  const generation =
    generationConfig === undefined || generationConfig === null
      ? undefined
      : new ConfigReader(generationConfig, 'generation_config.json');

  const bos = generation?.ids('bos_token_id') ?? reader.ids('bos_token_id', family.bos) ?? [];
  const eos = generation?.ids('eos_token_id') ?? reader.ids('eos_token_id') ?? [];
  // Small models often keep the ids of the model they were cut from: such an id can neither be given nor come out.
  const isInVocabulary = (id: number) => id < vocab;

  return parseSpec({
    layers: reader.count('num_hidden_layers'),
    hidden,
    intermediate: reader.count('intermediate_size'),
    heads,
    kvHeads,
    headDim: headDimOf(reader, family, hidden, heads),
    vocab,
    contextLength,
    normEps: reader.positive('rms_norm_eps', 1e-6),
    activation: 'silu',
    rope: ropeOf(reader, claimedContext),
    qkvBias: family.qkvBias === 'always' || (family.qkvBias === 'configured' && attentionBias),
    oBias: family.oBias === 'configured' && attentionBias,
    mlpBias: family.mlpBias && reader.flag('mlp_bias', false),
    qkNorm: family.qkNorm,
    tiedEmbeddings: reader.flag('tie_word_embeddings', false),
    bosTokenId: bos.find(isInVocabulary) ?? null,
    eosTokenIds: eos.filter(isInVocabulary),
  });
}

/**
 * The eos id that `transformers` takes where config.json has no such key (one that is null asks for none). It is the id that the
 * first models of a family had: a tokenizer that names its own end of sequence knows better.
 *
 * @throws MODEL_CONFIG_INVALID, MODEL_UNSUPPORTED
 */
export function defaultEosTokenId(config: unknown): number | null {
  const reader = new ConfigReader(config, 'config.json');
  return reader.value('eos_token_id') === undefined ? familyOf(reader).eos : null;
}

function familyOf(reader: ConfigReader): Family {
  const supported = Object.values(FAMILIES).map((family) => family.architecture);
  const architectures = reader.strings('architectures');
  if (architectures !== undefined && architectures.length > 0) {
    const found = Object.values(FAMILIES).find((family) => architectures.includes(family.architecture));
    if (found) return found;
    throw unsupported(
      `architectures is ${JSON.stringify(architectures)}; supported are ${supported.join(', ')}`,
      'architectures',
    );
  }
  const modelType = reader.text('model_type');
  if (modelType !== undefined && Object.hasOwn(FAMILIES, modelType)) {
    return FAMILIES[modelType as keyof typeof FAMILIES];
  }
  throw unsupported(
    modelType === undefined
      ? `config.json names neither architectures nor model_type; one of ${supported.join(', ')} is needed`
      : `model_type is "${modelType}"; supported are ${Object.keys(FAMILIES).join(', ')}`,
    'model_type',
  );
}

function refuseUnsupported(reader: ConfigReader): void {
  const activation = reader.text('hidden_act') ?? 'silu';
  if (activation !== 'silu' && activation !== 'swish') {
    throw unsupported(`hidden_act is "${activation}"; supported are silu and swish`, 'hidden_act');
  }
  if (reader.has('quantization_config')) {
    const method = new ConfigReader(reader.value('quantization_config'), 'quantization_config').text(
      'quant_method',
    );
    throw unsupported(
      `the weights are quantized already (quantization_config, method ${method ?? 'unnamed'}); supported are F32, F16 and BF16 weights, which Shoal quantizes itself to q8 or q4`,
      'quantization_config',
    );
  }
}

/**
 * Positions below the sliding window attend to everything before them, so a context that ends there is exact with full
 * attention; a longer one would not be. Infinite where the model has no window.
 */
function slidingWindowOf(reader: ConfigReader, family: Family): number {
  if (family.window === 'none') return Number.POSITIVE_INFINITY;
  if (family.window === 'optional' && !reader.flag('use_sliding_window', false))
    return Number.POSITIVE_INFINITY;
  if (reader.isNull('sliding_window')) return Number.POSITIVE_INFINITY;
  return reader.count('sliding_window', DEFAULT_SLIDING_WINDOW);
}

function headDimOf(reader: ConfigReader, family: Family, hidden: number, heads: number): number {
  if (reader.has('head_dim')) return reader.count('head_dim');
  if (family.headDim !== null && !reader.isNull('head_dim')) return family.headDim;
  if (hidden % heads !== 0) {
    throw invalid(
      `hidden_size ${hidden} is not a multiple of num_attention_heads ${heads}, so head_dim must be given and is not`,
      'head_dim',
    );
  }
  return hidden / heads;
}

/** transformers 5 writes `rope_parameters`; 4.x wrote `rope_theta` beside `rope_scaling`, whose kind was `type`, later `rope_type`. */
function ropeOf(reader: ConfigReader, context: number): ModelSpec['rope'] {
  const key = reader.has('rope_parameters') ? 'rope_parameters' : 'rope_scaling';
  const rope = new ConfigReader(reader.value(key) ?? {}, key);
  const partial = rope.has('partial_rotary_factor')
    ? rope.positive('partial_rotary_factor')
    : reader.positive('partial_rotary_factor', 1);
  if (partial !== 1) {
    throw unsupported(
      `partial_rotary_factor is ${partial}; only rotary embedding over the whole head (1) is supported`,
      'partial_rotary_factor',
    );
  }
  const theta = rope.has('rope_theta') ? rope.positive('rope_theta') : reader.positive('rope_theta', 10_000);
  return { theta, scaling: ropeScalingOf(rope, key, context) };
}

function ropeScalingOf(rope: ConfigReader, key: string, context: number): RopeScaling {
  const type = rope.text('rope_type') ?? rope.text('type') ?? 'default';
  switch (type) {
    case 'default':
      return { type: 'none' };
    case 'linear':
      return { type: 'linear', factor: rope.positive('factor') };
    case 'llama3': {
      const scaling = {
        type: 'llama3' as const,
        factor: rope.positive('factor'),
        lowFreqFactor: rope.positive('low_freq_factor'),
        highFreqFactor: rope.positive('high_freq_factor'),
        originalContext: rope.count('original_max_position_embeddings', context),
      };
      if (scaling.highFreqFactor <= scaling.lowFreqFactor) {
        throw invalid(
          `${key}.high_freq_factor ${scaling.highFreqFactor} must exceed low_freq_factor ${scaling.lowFreqFactor}`,
          key,
        );
      }
      return scaling;
    }
    default:
      throw unsupported(`${key}.rope_type is "${type}"; supported are default, linear and llama3`, key);
  }
}

function parseSpec(candidate: ModelSpec): ModelSpec {
  const parsed = modelSpecSchema.safeParse(candidate);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    const path = issue?.path.join('.') ?? '';
    throw invalid(
      `config.json gives ${path} = ${JSON.stringify(lookUp(candidate, issue?.path ?? []))}: ${issue?.message ?? 'invalid'}`,
      path,
    );
  }
  return parsed.data;
}

function lookUp(value: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (inner, key) => (typeof inner === 'object' && inner !== null ? Reflect.get(inner, key) : undefined),
    value,
  );
}

const invalid = (message: string, param: string) =>
  new ShoalError('MODEL_CONFIG_INVALID', message, { param });
const unsupported = (message: string, param: string) =>
  new ShoalError('MODEL_UNSUPPORTED', message, { param });
