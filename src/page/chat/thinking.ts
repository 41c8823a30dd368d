/** What a reasoning model writes before its answer, where its server leaves it in the text. */

export interface Thought {
  readonly thinking: string;
  readonly answer: string;
  /** It has not come to its answer yet. */
  readonly isThinking: boolean;
}

const OPENING = ['<think>', '<thinking>', '<|thinking|>'] as const;
const CLOSING: Record<(typeof OPENING)[number], string> = {
  '<think>': '</think>',
  '<thinking>': '</thinking>',
  '<|thinking|>': '<|/thinking|>',
};
/** A template that opens the block itself leaves only its end in the text, on a line of its own. */
const LONE_END = /^<\/think(?:ing)?>[ \t]*$/m;

/**
 * @param reasoning what the server told apart itself (`reasoning_content`)
 * @param isWhole nothing more of `text` comes; before that the beginning of a tag is not shown
 */
export function splitThinking(text: string, reasoning = '', isWhole = true): Thought {
  const thoughts = reasoning === '' ? [] : [reasoning.trim()];
  let rest = text;
  for (;;) {
    const begun = rest.trimStart();
    const tag = OPENING.find((opening) => begun.startsWith(opening));
    if (tag === undefined) break;
    const closing = CLOSING[tag];
    const end = begun.indexOf(closing, tag.length);
    if (end < 0) {
      thoughts.push(begun.slice(tag.length).trim());
      return { thinking: joined(thoughts), answer: '', isThinking: !isWhole };
    }
    thoughts.push(begun.slice(tag.length, end).trim());
    rest = begun.slice(end + closing.length).trimStart();
  }
  const lone = rest === text ? LONE_END.exec(text) : null;
  if (lone !== null && !isInFence(text.slice(0, lone.index))) {
    thoughts.push(text.slice(0, lone.index).trim());
    rest = text.slice(lone.index + lone[0].length).trimStart();
  }
  const mayBeTag = !isWhole && rest !== '' && OPENING.some((opening) => opening.startsWith(rest.trimStart()));
  const answer = mayBeTag ? '' : rest;
  const isThinking = !isWhole && answer.trim() === '' && thoughts.length > 0;
  return { thinking: joined(thoughts), answer, isThinking };
}

const joined = (thoughts: readonly string[]) => thoughts.filter((thought) => thought !== '').join('\n\n');
const isInFence = (before: string) => (before.match(/^ {0,3}(```|~~~)/gm)?.length ?? 0) % 2 === 1;
