import type { SamplingParams } from '../model/sampling.ts';
import type { ModelSpec } from '../model/spec.ts';
import type { ChatMessage } from './openai-schema.ts';

/** What the fxn backend needs to know of the model it serves. */
export interface ServedModel {
  /** The name in requests and answers. */
  readonly id: string;
  readonly spec: ModelSpec;
  readonly tokenizer: PromptTokenizer;
  /** Null: the model came without one; chats are then refused, completions work. */
  readonly chatTemplate: PromptTemplate | null;
  /** From generation_config.json; what a request leaves out. `do_sample: false` is temperature 0. */
  readonly defaults?: SamplingDefaults;
}

export type SamplingDefaults = Partial<Omit<SamplingParams, 'seed'>>;

export interface PromptTokenizer {
  /** Special tokens written out in `text` become their ids. `addSpecialTokens`: also those the tokenizer itself puts around a text, such as BOS. */
  encode(text: string, options: { readonly addSpecialTokens: boolean }): number[];
  /** The written form of every special token, such as `<|end|>`. */
  readonly specialTokens: readonly string[];
  createDecoder(): TokenDecoder;
}

/** Turns ids into text as they come; characters that span tokens are held back until they are whole. */
export interface TokenDecoder {
  push(id: number): string;
  flush(): string;
}

export interface PromptTemplate {
  /** The conversation as the model saw it in training, ending where its answer begins. */
  render(messages: readonly ChatMessage[]): string;
}
