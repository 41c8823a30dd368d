import type { AnswerTokens } from './served-model.ts';

type Decoder = ReturnType<AnswerTokens['createDecoder']>;

/** Tokens of all decoders that are pushed in one go, a millisecond or two; then others get a turn. */
const SLICE_TOKENS = 1_024;

/**
 * Decoders for `count` texts that follow `prompt`: prompt and completion are one text, because some tokenizers
 * (SentencePiece) drop the space before a text's first word. What a decoder still holds back of the prompt is taken off the
 * completion.
 */
export async function continuationDecoders(
  tokens: AnswerTokens,
  prompt: readonly number[],
  count: number,
): Promise<Decoder[]> {
  const decoders = Array.from({ length: count }, () => tokens.createDecoder());
  const ended = tokens.createDecoder();
  const sliceIds = Math.max(1, Math.floor(SLICE_TOKENS / (count + 1)));
  for (const [at, id] of prompt.entries()) {
    if (at > 0 && at % sliceIds === 0) await new Promise((resolve) => setImmediate(resolve));
    for (const decoder of decoders) decoder.push(id);
    ended.push(id);
  }
  // A character that the prompt breaks off belongs to the completion, which makes it whole.
  const held = ended.flush().replace(/\uFFFD+$/, '');
  return decoders.map((decoder) => takingOff(held, decoder));
}

function takingOff(given: string, decoder: Decoder): Decoder {
  let held = given;
  const takeOff = (next: string): string => {
    let same = 0;
    while (same < next.length && same < held.length && next[same] === held[same]) same++;
    held = same === next.length ? held.slice(same) : '';
    return next.slice(same);
  };
  return { push: (id) => takeOff(decoder.push(id)), flush: () => takeOff(decoder.flush()) };
}
