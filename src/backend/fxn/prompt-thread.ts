/** What a thread does that reads prompts, and what it says of its model. */

import type { ModelSpec } from '../../model/spec.ts';
import type { ModelText } from '../../model/text/model-text.ts';
import { type ModelTextPlace, readModelText } from '../../model/text/model-text-files.ts';
import { packTokens, type TokenTable } from '../../model/text/token-table.ts';
import type { Work } from '../threads/serve-jobs.ts';
import { type Conversation, chatPrompt, completionPrompt } from './prompt.ts';

export interface PromptThreadData extends ModelTextPlace {
  /** The model's name in messages. */
  readonly id: string;
  readonly spec: ModelSpec;
}

export type PromptJob =
  | { readonly kind: 'chat'; readonly conversation: Conversation }
  | { readonly kind: 'completion'; readonly prompt: string };

/** What the server has to know of a model's text to answer with it: no tables that encode, no template. */
export interface PromptFacts {
  readonly tokens: TokenTable;
  readonly eosTokenId: number | null;
  readonly hasChatTemplate: boolean;
  readonly mostBytesPerToken: number;
}

/** @throws TOKENIZER_INVALID, MODEL_CONFIG_INVALID */
export async function openPromptThread(
  data: PromptThreadData,
): Promise<Work<PromptJob, PromptFacts, Uint32Array<ArrayBuffer>>> {
  const model = { ...data, ...(await readModelText(data)) };
  return {
    facts: promptFacts(model, data.spec.vocab),
    work: (job) =>
      Uint32Array.from(
        job.kind === 'chat' ? chatPrompt(model, job.conversation) : completionPrompt(model, job.prompt),
      ),
    transfer: (ids) => [ids.buffer],
  };
}

export function promptFacts({ tokenizer, chatTemplate }: ModelText, vocab: number): PromptFacts {
  return {
    tokens: packTokens(tokenizer, vocab),
    eosTokenId: tokenizer.eosTokenId,
    hasChatTemplate: chatTemplate !== null,
    mostBytesPerToken: tokenizer.mostBytesPerToken,
  };
}
