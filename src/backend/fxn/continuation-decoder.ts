import type { AnswerTokens } from './served-model.ts';

/**
 * A decoder for what follows `prompt`: prompt and completion are one text, because some tokenizers (SentencePiece) drop
 * the space before a text's first word. What the decoder still holds back of the prompt is taken off the completion.
 */
export function continuationDecoder(
  tokens: AnswerTokens,
  prompt: readonly number[],
): ReturnType<AnswerTokens['createDecoder']> {
  const decoder = tokens.createDecoder();
  const whole = tokens.createDecoder();
  let given = '';
  let text = '';
  for (const id of prompt) {
    given += decoder.push(id);
    text += whole.push(id);
  }
  // A character that the prompt breaks off belongs to the completion, which makes it whole.
  let held = (text + whole.flush()).slice(given.length).replace(/\uFFFD+$/, '');
  const takeOff = (next: string): string => {
    let same = 0;
    while (same < next.length && same < held.length && next[same] === held[same]) same++;
    held = same === next.length ? held.slice(same) : '';
    return next.slice(same);
  };
  return { push: (id) => takeOff(decoder.push(id)), flush: () => takeOff(decoder.flush()) };
}
