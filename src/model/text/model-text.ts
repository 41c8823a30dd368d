import type { ModelSpec } from '../spec.ts';
import { type ChatTemplate, loadChatTemplate } from './chat-template.ts';
import { specialTokensFrom } from './chat-template-source.ts';
import { loadTokenizer, type Tokenizer } from './tokenizer.ts';

/** What of a model turns text into ids and back. */
export interface ModelText {
  readonly tokenizer: Tokenizer;
  /** null when the model came without one: raw completions work, chats do not. */
  readonly chatTemplate: ChatTemplate | null;
}

/** The part of `ModelDirectory` that is needed, from wherever it comes. */
export interface ModelTextFiles {
  readonly spec: ModelSpec;
  readonly defaultEosTokenId: number | null;
  readonly tokenizerJson: unknown;
  readonly tokenizerConfig: unknown;
  readonly chatTemplate: string | undefined;
}

/** @throws TOKENIZER_INVALID */
export function loadModelText(files: ModelTextFiles): ModelText {
  const { spec, defaultEosTokenId, tokenizerJson, tokenizerConfig, chatTemplate } = files;
  const tokenizer = loadTokenizer({
    tokenizerJson,
    tokenizerConfig,
    bosTokenId: spec.bosTokenId,
    eosTokenId: spec.eosTokenIds[0] ?? defaultEosTokenId,
  });
  const written = (id: number | null) => (id === null ? undefined : tokenizer.token(id));
  return {
    tokenizer,
    chatTemplate:
      chatTemplate === undefined
        ? null
        : loadChatTemplate({
            source: chatTemplate,
            bosToken: written(tokenizer.bosTokenId),
            eosToken: written(tokenizer.eosTokenId),
            specialTokens: specialTokensFrom(tokenizerConfig),
          }),
  };
}
