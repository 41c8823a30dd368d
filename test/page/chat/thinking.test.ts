import { describe, expect, it } from 'vitest';
import { splitThinking } from '../../../src/page/chat/thinking.ts';

const split = (text: string, reasoning = '') => {
  const { thinking, answer } = splitThinking(text, reasoning);
  return [thinking, answer];
};

describe('what a model thinks is no answer', () => {
  it.each([
    ['<think>\nHm.\n</think>\n\nYes.', 'Hm.', 'Yes.'],
    ['  <thinking>Hm.</thinking>Yes.', 'Hm.', 'Yes.'],
    ['<think>a</think><think>b</think>Yes.', 'a\n\nb', 'Yes.'],
    ['<think></think>Yes.', '', 'Yes.'],
    ['<think>Hm', 'Hm', ''],
    ['Hm.\n</think>\n\nYes.', 'Hm.', 'Yes.'],
    ['Yes.', '', 'Yes.'],
  ])('%j', (text, thinking, answer) => {
    expect(split(text)).toEqual([thinking, answer]);
  });

  it('stands before what the text holds itself', () => {
    expect(split('<think>b</think>Yes.', 'a')).toEqual(['a\n\nb', 'Yes.']);
  });

  it('is not what an answer says of the tags', () => {
    for (const text of [
      'Write `</think>` to end it.',
      '```\n</think>\n```\nso',
      'The tag <think> begins it.',
    ])
      expect(split(text)).toEqual(['', text]);
  });
});

it('shows no beginning of a tag while the answer comes in, and knows when it thinks', () => {
  const text = '<think>Hm.</think>Yes';
  const shown = Array.from({ length: text.length + 1 }, (_, end) =>
    splitThinking(text.slice(0, end), '', false),
  );
  expect(shown.map(({ answer }) => answer).filter((answer) => answer.includes('<'))).toEqual([]);
  expect(shown.map(({ isThinking }) => isThinking).indexOf(true)).toBe('<think>'.length);
  expect(shown.at(-1)).toEqual({ thinking: 'Hm.', answer: 'Yes', isThinking: false });
  expect(splitThinking('<', '', true).answer).toBe('<');
  expect(splitThinking('', 'Hm', false)).toEqual({ thinking: 'Hm', answer: '', isThinking: true });
});
