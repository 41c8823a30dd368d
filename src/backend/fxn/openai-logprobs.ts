/** Log probabilities as OpenAI's clients read them: one form for chats, an older one for completions. */
import type { TextToken } from './token-alignment.ts';

/** The bytes that an id stands for; null where it stands for nothing (vocabularies are padded). */
export type TokenBytes = (id: number) => Uint8Array | null;

/** OpenAI's stand-in for what is too unlikely to matter. */
const LOWEST = -9999;

export function chatLogprobs(tokens: readonly TextToken[], bytesOf: TokenBytes) {
  const named = (id: number, logprob: number) => {
    const bytes = bytesOf(id);
    return {
      token: bytes === null ? '' : (textOf(bytes) ?? escaped(bytes)),
      logprob: Math.max(LOWEST, logprob),
      bytes: bytes === null ? null : [...bytes],
    };
  };
  return {
    content: tokens.map(({ id, logprobs }) => ({
      ...named(id, logprobs.picked),
      top_logprobs: logprobs.top.map(([other, logprob]) => named(other, logprob)),
    })),
    refusal: null,
  };
}

/** As in OpenAI's API, the picked token is in `top_logprobs` even where it is not among the likeliest. */
export function completionLogprobs(tokens: readonly TextToken[], bytesOf: TokenBytes) {
  const name = (id: number) => {
    const bytes = bytesOf(id);
    return bytes === null ? '' : (textOf(bytes) ?? `bytes:${escaped(bytes)}`);
  };
  return {
    tokens: tokens.map(({ id }) => name(id)),
    token_logprobs: tokens.map(({ logprobs }) => Math.max(LOWEST, logprobs.picked)),
    top_logprobs: tokens.map(({ id, logprobs }) => {
      const byName = new Map<string, number>();
      // Two ids may have one name; the likelier stands.
      for (const [other, logprob] of [...logprobs.top, [id, logprobs.picked] as const]) {
        if (!byName.has(name(other))) byName.set(name(other), Math.max(LOWEST, logprob));
      }
      return Object.fromEntries(byName);
    }),
    text_offset: tokens.map(({ offset }) => offset),
  };
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Null for bytes that are no characters by themselves. */
export function textOf(bytes: Uint8Array): string | null {
  try {
    return utf8.decode(bytes);
  } catch {
    return null;
  }
}

const escaped = (bytes: Uint8Array) =>
  Array.from(bytes, (byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join('');
