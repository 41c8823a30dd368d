import type { ServedModel } from '../../src/backend/fxn/served-model.ts';
import type { ChatMessage } from '../../src/backend/openai/request-schema.ts';
import type { ModelSpec } from '../../src/model/spec.ts';
import { PLAIN_LLAMA } from './plain-llama.ts';
import { type ModelHere, servedHere } from './served-here.ts';

/** Ids 0–255 are UTF-8 bytes; the specials come behind. */
export const SPECIALS = {
  '<|bos|>': 256,
  '<|end|>': 257,
  '<|user|>': 258,
  '<|assistant|>': 259,
  '<|system|>': 260,
};
export const BOS = 256;
export const END = 257;

export const bytes = (text: string): number[] => [...new TextEncoder().encode(text)];

function encode(text: string): number[] {
  return text
    .split(/(<\|[a-z]+\|>)/)
    .flatMap((part) => SPECIALS[part as keyof typeof SPECIALS] ?? bytes(part));
}

export const byteTokenizer: ModelHere['tokenizer'] = {
  mostBytesPerToken: Math.max(...Object.keys(SPECIALS).map(({ length }) => length)),
  turnTokens: Object.keys(SPECIALS),
  eosTokenId: END,
  encode: (text, { addSpecialTokens }) => (addSpecialTokens ? [BOS, ...encode(text)] : encode(text)),
  encodeOrdinary: bytes,
  idsForRawPrompt: (text) => [BOS, ...encode(text)],
  tokenBytes: (id) =>
    id < 256
      ? Uint8Array.of(id)
      : new TextEncoder().encode(Object.entries(SPECIALS).find(([, special]) => special === id)?.[0] ?? ''),
  createDecoder() {
    const decoder = new TextDecoder();
    return {
      push: (id) => (id < 256 ? decoder.decode(Uint8Array.of(id), { stream: true }) : ''),
      flush: () => decoder.decode(),
    };
  },
};

export const CONTEXT = 200;

export const spec: ModelSpec = {
  layers: 2,
  hidden: 8,
  intermediate: 16,
  heads: 2,
  kvHeads: 1,
  headDim: 4,
  vocab: 261,
  contextLength: CONTEXT,
  ...PLAIN_LLAMA,
  bosTokenId: BOS,
  eosTokenIds: [END],
};

export const chatTemplate = {
  render: (messages: readonly ChatMessage[]) =>
    `<|bos|>${messages.map(({ role, content }) => `<|${role}|>${content}<|end|>`).join('')}<|assistant|>`,
};

export const modelHere: ModelHere = { id: 'fake', spec, tokenizer: byteTokenizer, chatTemplate };
export const fakeModel: ServedModel = servedHere(modelHere);
