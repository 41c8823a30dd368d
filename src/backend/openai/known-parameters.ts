/**
 * The parameters of OpenAI's, vLLM's, llama.cpp's and Ollama's APIs that not every backend acts on, with the values that ask
 * for nothing: clients that fill in defaults send those, and PHP's write an empty map as `[]`. Sources:
 * https://platform.openai.com/docs/api-reference, vllm/entrypoints/openai/protocol.py, llama.cpp's tools/server/README.md,
 * Ollama's api/types.go.
 */
import { z } from 'zod';

/** No effect on the text: billing, caching, scheduling, and how a server's operator runs the model. Accepted unread. */
export const HARMLESS: readonly string[] = [
  // OpenAI
  'metadata',
  'prompt_cache_key',
  'prompt_cache_options',
  'prompt_cache_retention',
  'safety_identifier',
  'service_tier',
  'store',
  'user',
  // vLLM
  'cache_salt',
  'guided_decoding_backend',
  'guided_whitespace_pattern',
  'include_reasoning',
  'priority',
  'request_id',
  'spaces_between_special_tokens',
  // llama.cpp
  'cache_prompt',
  'id_slot',
  'n_cache_reuse',
  'n_discard',
  'n_keep',
  'reasoning_format',
  'reasoning_in_content',
  'return_progress',
  'slot_id',
  'timings_per_token',
  // Ollama
  'draft_num_predict',
  'f16_kv',
  'keep_alive',
  'low_vram',
  'main_gpu',
  'num_batch',
  'num_ctx',
  'num_gpu',
  'num_keep',
  'num_thread',
  'numa',
  'shift',
  'truncate',
  'use_mlock',
  'use_mmap',
  'vocab_only',
  // Bounds of samplers that are switched on by another parameter, which is refused.
  'dry_allowed_length',
  'dry_base',
  'dry_penalty_last_n',
  'dry_sequence_breakers',
  'dynatemp_exponent',
  'mirostat_eta',
  'mirostat_tau',
  'xtc_threshold',
  // Open WebUI, LiteLLM
  'chat_id',
  'session_id',
];

export type Body = Readonly<Record<string, unknown>>;

export interface Known {
  /** The values that ask for nothing. */
  readonly neutral: z.ZodType;
  /** Why others are refused, and what to do instead. */
  readonly reason: string;
  /** What else in the request makes any value ask for nothing. */
  readonly moot?: (body: Body) => boolean;
}

const none = z.union([z.literal(''), z.array(z.unknown()).max(0), z.strictObject({})]);
const off = z.union([z.literal(false), none]);
const only = (...values: (string | number | boolean)[]) => z.union([z.literal(values), none]);
const never = z.never();

const NO_TOOLS = 'tool calls are not offered; describe the tool in the prompt and parse the text';
const TEXT_ONLY = 'only text goes in and out';
const NO_GRAMMAR = 'the sampler is not constrained by a grammar; ask for JSON in the prompt and check it';
const NO_SAMPLER = 'the sampler has nothing like it; temperature, top_k, top_p and min_p are there';
const NO_THINKING = 'the model is not told to think; leave it out';
const TEXT_TOKENS = 'text is answered, with log probabilities where they are asked for, and no token ids';
const OWN_TEMPLATE = 'the model’s own chat template is used; send raw text to /v1/completions';

/** 1 is off, and with it off it does not matter how far back it looks. */
const withoutRepetition = ({ repetition_penalty: penalty = 1 }: Body) => penalty === 1;
const toolsAreOff = ({ tool_choice: choice }: Body) => choice === 'none';

const SHARED: Record<string, Known> = {
  allowed_token_ids: { neutral: none, reason: 'use logit_bias' },
  bad_words: { neutral: none, reason: 'use logit_bias with their tokens' },
  best_of: { neutral: only(1), reason: 'every answer that is generated is sent; ask for them with n' },
  chat_template: { neutral: none, reason: OWN_TEMPLATE },
  context: { neutral: none, reason: 'send the conversation itself' },
  documents: { neutral: none, reason: 'put them into a message' },
  dry_multiplier: { neutral: only(0), reason: NO_SAMPLER },
  dynatemp_range: { neutral: only(0), reason: NO_SAMPLER },
  early_stopping: { neutral: off, reason: 'there is no beam search' },
  echo: { neutral: off, reason: 'the prompt is not repeated; put it before the text yourself' },
  enable_thinking: { neutral: off, reason: NO_THINKING },
  format: { neutral: only('text'), reason: NO_GRAMMAR },
  grammar: { neutral: none, reason: NO_GRAMMAR },
  guided_choice: { neutral: none, reason: NO_GRAMMAR },
  guided_grammar: { neutral: none, reason: NO_GRAMMAR },
  guided_json: { neutral: none, reason: NO_GRAMMAR },
  guided_regex: { neutral: none, reason: NO_GRAMMAR },
  image_data: { neutral: none, reason: TEXT_ONLY },
  images: { neutral: none, reason: TEXT_ONLY },
  include_stop_str_in_output: {
    neutral: off,
    reason: 'the text ends before the stop string; add it yourself',
  },
  json_schema: { neutral: none, reason: NO_GRAMMAR },
  length_penalty: { neutral: only(1), reason: 'there is no beam search' },
  logits_processors: { neutral: none, reason: 'use logit_bias' },
  lora: { neutral: none, reason: 'the model is served as it is' },
  max_new_tokens: { neutral: only(-1), reason: 'send max_tokens' },
  min_keep: { neutral: only(0, 1), reason: NO_SAMPLER },
  min_tokens: {
    neutral: only(0),
    reason: 'an answer ends where the model ends it; ignore_eos makes max_tokens its length',
  },
  mirostat: { neutral: only(0, false), reason: NO_SAMPLER },
  mirostat_mode: { neutral: only(0), reason: NO_SAMPLER },
  mm_processor_kwargs: { neutral: none, reason: TEXT_ONLY },
  multimodal_data: { neutral: none, reason: TEXT_ONLY },
  n_indent: { neutral: only(0), reason: 'the text is not formatted' },
  n_predict: { neutral: only(-1, -2), reason: 'send max_tokens' },
  n_probs: { neutral: only(0), reason: 'send logprobs' },
  num_predict: { neutral: only(-1, -2), reason: 'send max_tokens' },
  options: { neutral: none, reason: 'send its entries beside model, or use /api/chat' },
  penalize_newline: { neutral: off, reason: 'use logit_bias' },
  penalize_nl: { neutral: off, reason: 'use logit_bias' },
  post_sampling_probs: { neutral: off, reason: 'log probabilities are those before sampling' },
  prompt_logprobs: { neutral: off, reason: 'log probabilities are told of the answer only' },
  raw: { neutral: off, reason: 'send raw text to /v1/completions' },
  repeat_last_n: {
    neutral: only(-1),
    reason: 'repetition_penalty looks at the whole text',
    moot: withoutRepetition,
  },
  repeat_penalty: { neutral: only(1), reason: 'send repetition_penalty' },
  response_fields: { neutral: none, reason: 'answers are sent whole' },
  response_format: {
    neutral: z.union([z.object({ type: z.literal('text') }), none]),
    reason: NO_GRAMMAR,
  },
  return_token_ids: { neutral: off, reason: TEXT_TOKENS },
  return_tokens: { neutral: off, reason: TEXT_TOKENS },
  return_tokens_as_token_ids: { neutral: off, reason: TEXT_TOKENS },
  samplers: {
    neutral: none,
    reason: 'samplers run in one order: penalties, temperature, top_k, top_p, min_p',
  },
  skip_special_tokens: { neutral: only(true), reason: 'special tokens are not text' },
  stop_token_ids: { neutral: none, reason: 'use stop with their text' },
  structured_outputs: { neutral: none, reason: NO_GRAMMAR },
  system: { neutral: none, reason: 'send it as a message of the role system' },
  t_max_predict_ms: { neutral: only(0), reason: 'hang up when it takes too long' },
  template: { neutral: none, reason: OWN_TEMPLATE },
  tfs_z: { neutral: only(1), reason: NO_SAMPLER },
  think: { neutral: off, reason: NO_THINKING },
  thinking: {
    neutral: z.union([z.looseObject({ type: z.literal('disabled') }), off]),
    reason: NO_THINKING,
  },
  top_a: { neutral: only(0), reason: NO_SAMPLER },
  top_n_sigma: { neutral: only(-1, 0), reason: NO_SAMPLER },
  truncate_prompt_tokens: { neutral: none, reason: 'a prompt is never cut; send less' },
  typical_p: { neutral: only(1), reason: NO_SAMPLER },
  use_beam_search: { neutral: off, reason: 'there is no beam search' },
  vllm_xargs: { neutral: none, reason: 'no vLLM answers' },
  xtc_probability: { neutral: only(0), reason: NO_SAMPLER },
};

const CHAT_ONLY: Record<string, Known> = {
  add_generation_prompt: { neutral: only(true), reason: 'an answer is always begun' },
  add_special_tokens: { neutral: off, reason: 'the chat template writes them' },
  audio: { neutral: never, reason: TEXT_ONLY },
  continue_final_message: {
    neutral: off,
    reason: 'an answer is always begun; use /v1/completions to go on with a text',
  },
  function_call: { neutral: only('none', 'auto'), reason: NO_TOOLS },
  functions: { neutral: none, reason: NO_TOOLS, moot: ({ function_call: call }) => call === 'none' },
  modalities: { neutral: z.union([z.tuple([z.literal('text')]), none]), reason: TEXT_ONLY },
  moderation: { neutral: never, reason: 'nothing is moderated' },
  parallel_tool_calls: { neutral: z.boolean(), reason: NO_TOOLS },
  prediction: { neutral: never, reason: 'predicted outputs are not used' },
  // How long a model thinks, where it thinks at all: no model here has to be told not to.
  reasoning: {
    neutral: z.union([z.looseObject({ enabled: z.boolean().optional() }), none]),
    reason: 'send an object, such as {"effort": "low"}',
  },
  reasoning_effort: {
    neutral: only('none', 'minimal', 'low', 'medium', 'high', 'xhigh', 'max', 'default'),
    reason: 'it is one of none, minimal, low, medium, high, xhigh, max',
  },
  tool_choice: { neutral: only('none', 'auto'), reason: NO_TOOLS },
  tools: { neutral: none, reason: NO_TOOLS, moot: toolsAreOff },
  verbosity: {
    neutral: only('medium'),
    reason: 'the model has no verbosity control; ask for a short answer in the prompt',
  },
  web_search_options: { neutral: never, reason: 'nothing is searched' },
};

const COMPLETION_ONLY: Record<string, Known> = {
  prompt_embeds: { neutral: none, reason: 'a prompt is text or token ids' },
  suffix: { neutral: none, reason: 'text is generated after the prompt only' },
};

/** The same, of the other endpoint: also there they ask for something. */
const elsewhere = (known: Record<string, Known>, reason: string): Record<string, Known> =>
  Object.fromEntries(Object.entries(known).map(([name, given]) => [name, { ...given, reason }]));

export const CHAT: Record<string, Known> = {
  ...SHARED,
  ...elsewhere(COMPLETION_ONLY, 'it is for raw text; use /v1/completions'),
  ...CHAT_ONLY,
};

export const COMPLETION: Record<string, Known> = {
  ...SHARED,
  ...elsewhere(CHAT_ONLY, 'it is for chats; use /v1/chat/completions'),
  ...COMPLETION_ONLY,
  add_special_tokens: { neutral: only(true), reason: 'send the prompt as token ids' },
  chat_template_kwargs: { neutral: none, reason: 'raw text has no template' },
  max_completion_tokens: { neutral: only(-1, -2), reason: 'send max_tokens' },
  top_logprobs: { neutral: only(0), reason: 'send the number as logprobs' },
};

/** What clients send back with a message that they got, or keep beside it: it says nothing more than the text. */
export const HARMLESS_IN_MESSAGE: readonly string[] = [
  'annotations',
  'cache_control',
  'reasoning',
  'reasoning_content',
  'reasoning_details',
  'thinking',
];

/** Such a hint at caching stands in content parts, too. */
export const HARMLESS_IN_PART: readonly string[] = ['cache_control', 'annotations'];
