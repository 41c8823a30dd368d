import type { ChatTemplate } from '../../model/chat-template.ts';
import type { ModelDetails } from '../../model/model-details.ts';
import type { SamplingParams } from '../../model/sampling.ts';
import type { ModelSpec } from '../../model/spec.ts';
import type { StreamDecoder } from '../../model/stream-decoder.ts';
import type { Tokenizer } from '../../model/tokenizer.ts';

/** What the fxn backend needs to know of the model it serves. */
export interface ServedModel {
  /** The name in requests and answers. */
  readonly id: string;
  /** Its eos ids end raw completions, as in `generate` of Hugging Face; chats end at the tokenizer's, too. */
  readonly spec: ModelSpec;
  readonly tokenizer: PromptTokenizer;
  /** Null: the model came without one; chats are then refused, completions work. */
  readonly chatTemplate: Pick<ChatTemplate, 'render'> | null;
  /** From generation_config.json; what a request leaves out. */
  readonly defaults?: SamplingDefaults;
  /** What its lists say of it besides the spec. */
  readonly details?: Pick<ModelDetails, 'architecture' | 'quantization' | 'format' | 'sizeBytes'>;
}

export interface PromptTokenizer
  extends Pick<
    Tokenizer,
    'encode' | 'encodeOrdinary' | 'turnTokens' | 'idsForRawPrompt' | 'eosTokenId' | 'tokenBytes'
  > {
  createDecoder(): Pick<StreamDecoder, 'push' | 'flush'>;
}

export type SamplingDefaults = Partial<Omit<SamplingParams, 'seed' | 'logitBias'>>;
