import { chatPrompt, completionPrompt, type PromptModel } from '../../src/backend/fxn/prompt.ts';
import type { AnswerTokens, ServedModel } from '../../src/backend/fxn/served-model.ts';
import type { ModelSpec } from '../../src/model/spec.ts';

export interface ModelHere extends PromptModel {
  readonly spec: ModelSpec;
  readonly tokenizer: PromptModel['tokenizer'] & AnswerTokens & { readonly eosTokenId: number | null };
}

/** A model whose prompts are read in this thread, for tests of what becomes of them. */
export function servedHere(model: ModelHere): ServedModel {
  return {
    id: model.id,
    spec: model.spec,
    tokens: model.tokenizer,
    eosTokenId: model.tokenizer.eosTokenId,
    hasChatTemplate: model.chatTemplate !== null,
    prompts: {
      chat: async (conversation) => chatPrompt(model, conversation),
      completion: async (prompt) => completionPrompt(model, prompt),
      close: async () => {},
    },
  };
}
