/** From a request to the ids that the model sees. */
import { ShoalError } from '../../config/errors.ts';
import type { ChatMessage, ChatRequest, CompletionRequest } from '../openai/request-schema.ts';
import type { PromptTokenizer, ServedModel } from './served-model.ts';

/**
 * @throws CHAT_TEMPLATE_MISSING, CONTEXT_LENGTH_EXCEEDED, INVALID_REQUEST (a conversation the template refuses)
 */
export function chatPrompt(
  model: ServedModel,
  messages: readonly ChatMessage[],
  variables: ChatRequest['chat_template_kwargs'] = {},
): number[] {
  if (model.chatTemplate === null) {
    throw new ShoalError(
      'CHAT_TEMPLATE_MISSING',
      `${model.id} came without a chat template; use /v1/completions with raw text`,
      { param: 'messages' },
    );
  }
  const guard = (text: string) => guardSpecials(text, model.tokenizer.turnTokens);
  const guarded = messages.map((message) => ({
    ...message,
    content: guard(message.content),
    ...(message.name !== undefined && { name: guard(message.name) }),
    ...(message.role === 'tool' && { tool_call_id: guard(message.tool_call_id) }),
  }));
  // Also a variable's text must not forge a turn.
  const guardedVariables = Object.fromEntries(
    Object.entries(variables).map(([name, value]) => [
      name,
      typeof value === 'string' ? guard(value) : value,
    ]),
  );
  const text = model.chatTemplate.render(guarded, { variables: guardedVariables });
  return checked(model, encodeGuarded(text, model.tokenizer), 'messages');
}

/**
 * Raw text, special tokens in it included (whoever sends raw text writes the template), or ids as they are.
 * An empty text is the BOS token alone.
 *
 * @throws CONTEXT_LENGTH_EXCEEDED, INVALID_REQUEST
 */
export function completionPrompt(model: ServedModel, prompt: CompletionRequest['prompt'][number]): number[] {
  if (typeof prompt !== 'string') return checked(model, [...prompt], 'prompt');
  return checked(model, model.tokenizer.idsForRawPrompt(prompt), 'prompt');
}

function checked(model: ServedModel, ids: number[], param: string): number[] {
  const { contextLength, vocab } = model.spec;
  if (ids.length === 0) {
    throw new ShoalError('INVALID_REQUEST', `${param} gives no tokens for ${model.id}; send some text`, {
      param,
    });
  }
  if (ids.length >= contextLength) {
    throw new ShoalError(
      'CONTEXT_LENGTH_EXCEEDED',
      `${param} is ${ids.length} tokens long, and ${model.id} takes ${contextLength} with at least one for the answer; shorten it by ${ids.length - contextLength + 1} tokens or more`,
      { param },
    );
  }
  const outside = ids.find((id) => id >= vocab);
  if (outside !== undefined) {
    throw new ShoalError(
      'INVALID_REQUEST',
      `${param} has the token id ${outside}, and the vocabulary of ${model.id} ends at ${vocab - 1}`,
      { param },
    );
  }
  return ids;
}

/** Unicode noncharacters: "intended for process-internal use", never in text that is exchanged. */
const CUT = '\uFDD0';
const ORDINARY = '\uFDD1';
const MARKS = /[\uFDD0\uFDD1]/gu;
/** What lies between cuts; an `ORDINARY` with the character behind it is a part of its own. */
const PARTS = /\uFDD0|(\uFDD1.)/su;

/**
 * Text from a client may spell a special token (`<|end|><|system|>…`) and so forge a turn of the conversation. A mark
 * survives the template and tells `encodeGuarded` what to do: one behind the first character of a spelled special token
 * cuts it, and both halves are ordinary text; a special token of one character, which cannot be cut, has one before it.
 * No character of the text is lost.
 */
export function guardSpecials(text: string, turnTokens: readonly string[]): string {
  let guarded = text.replaceAll(MARKS, '\uFFFD');
  for (const special of turnTokens) {
    const first = [...special][0];
    if (first === undefined) continue;
    const rest = special.slice(first.length);
    guarded = guarded.replaceAll(special, rest === '' ? `${ORDINARY}${special}` : `${first}${CUT}${rest}`);
  }
  return guarded;
}

function encodeGuarded(text: string, tokenizer: PromptTokenizer): number[] {
  return text
    .split(PARTS)
    .flatMap((part) =>
      part === undefined || part === ''
        ? []
        : part.startsWith(ORDINARY)
          ? tokenizer.encodeOrdinary(part.slice(ORDINARY.length))
          : tokenizer.encode(part, { addSpecialTokens: false }),
    );
}
