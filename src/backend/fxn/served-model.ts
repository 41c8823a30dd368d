import type { ModelDetails } from '../../model/model-details.ts';
import type { SamplingParams } from '../../model/sampling.ts';
import type { ModelSpec } from '../../model/spec.ts';
import type { StreamDecoder } from '../../model/text/stream-decoder.ts';
import type { TokenReader } from '../../model/text/token-reader.ts';
import type { RequestContext } from '../backend.ts';
import type { Conversation } from './prompt.ts';

/** What the fxn backend needs to know of the model it serves. */
export interface ServedModel {
  /** The name in requests and answers. */
  readonly id: string;
  /** Its eos ids end raw completions, as in `generate` of Hugging Face; chats end at the tokenizer's, too. */
  readonly spec: ModelSpec;
  readonly tokens: AnswerTokens;
  readonly eosTokenId: number | null;
  readonly prompts: Prompts;
  /** Without one chats are refused, completions work. */
  readonly hasChatTemplate: boolean;
  /** From generation_config.json; what a request leaves out. */
  readonly defaults?: SamplingDefaults;
  /** What its lists say of it besides the spec. */
  readonly details?: Pick<ModelDetails, 'architecture' | 'quantization' | 'format' | 'sizeBytes'>;
}

/** Ids of an answer to text, one at a time. */
export interface AnswerTokens extends Pick<TokenReader, 'tokenBytes'> {
  createDecoder(): Pick<StreamDecoder, 'push' | 'flush'>;
}

/**
 * From a request to the ids that the model sees. How long that takes is the client's choice, so it is done elsewhere
 * (`openThreadedPrompts`).
 */
export interface Prompts {
  /** @throws CHAT_TEMPLATE_MISSING, CONTEXT_LENGTH_EXCEEDED, INVALID_REQUEST, PROMPT_TOO_COSTLY, OVERLOADED, ABORTED */
  chat(conversation: Conversation, context: PromptContext): Promise<number[]>;
  /** @throws as `chat` */
  completion(prompt: string, context: PromptContext): Promise<number[]>;
  /** Idempotent. */
  close(): Promise<void>;
}

export type PromptContext = Pick<RequestContext, 'client' | 'signal'>;

export type SamplingDefaults = Partial<Omit<SamplingParams, 'seed' | 'logitBias'>>;
