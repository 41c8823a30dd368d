/** From a request to the ids that the model sees. */
import { ShoalError } from '../../config/errors.ts';
import type { ModelSpec } from '../../model/spec.ts';
import type { ChatTemplate } from '../../model/text/chat-template.ts';
import type { Tokenizer } from '../../model/text/tokenizer.ts';
import type { ChatRequest } from '../openai/request-schema.ts';
import { checkIds, checkTextBytes } from './prompt-length.ts';

/** What turns a request into ids. It is large and slow: the server has it in threads of its own (`ThreadedPrompts`). */
export interface PromptModel {
  readonly id: string;
  readonly spec: Pick<ModelSpec, 'contextLength' | 'vocab'>;
  readonly tokenizer: PromptTokenizer;
  /** Null: the model came without one; chats are then refused, completions work. */
  readonly chatTemplate: Pick<ChatTemplate, 'render'> | null;
}

/** Of a chat request, what its prompt is made of. */
export type Conversation = Pick<ChatRequest, 'messages' | 'chat_template_kwargs'>;

export type PromptTokenizer = Pick<
  Tokenizer,
  'encode' | 'encodeOrdinary' | 'turnTokens' | 'idsForRawPrompt' | 'mostBytesPerToken'
>;

/**
 * @throws CHAT_TEMPLATE_MISSING, CONTEXT_LENGTH_EXCEEDED, INVALID_REQUEST (a conversation the template refuses)
 */
export function chatPrompt(
  model: PromptModel,
  { messages, chat_template_kwargs: variables = {} }: Conversation,
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
  const parts = model.chatTemplate.render(guarded, { variables: guardedVariables }).split(PARTS);
  const bytes = parts.reduce((sum, part = '') => sum + Buffer.byteLength(withoutMark(part)), 0);
  checkTextBytes(model, model.tokenizer.mostBytesPerToken, bytes, 'messages');
  return checkIds(model, encodeGuarded(parts, model.tokenizer), 'messages');
}

/**
 * Raw text, special tokens in it included (whoever sends raw text writes the template). An empty text is the BOS token alone.
 *
 * @throws CONTEXT_LENGTH_EXCEEDED, INVALID_REQUEST
 */
export function completionPrompt(model: PromptModel, prompt: string): number[] {
  checkTextBytes(model, model.tokenizer.mostBytesPerToken, Buffer.byteLength(prompt), 'prompt');
  return checkIds(model, model.tokenizer.idsForRawPrompt(prompt), 'prompt');
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

const withoutMark = (part: string) => (part.startsWith(ORDINARY) ? part.slice(ORDINARY.length) : part);

/** @param parts what lies between cuts */
function encodeGuarded(parts: readonly (string | undefined)[], tokenizer: PromptTokenizer): number[] {
  return parts.flatMap((part) =>
    part === undefined || part === ''
      ? []
      : part.startsWith(ORDINARY)
        ? tokenizer.encodeOrdinary(withoutMark(part))
        : tokenizer.encode(part, { addSpecialTokens: false }),
  );
}
