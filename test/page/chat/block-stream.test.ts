import { describe, expect, it } from 'vitest';
import { type Block, BlockStream } from '../../../src/page/chat/block-stream.ts';
import { seededRandom } from '../../mesh/seeded.ts';

const TEXTS: Record<string, string> = {
  paragraphs: 'One line\nand another.\n\nA second one.\n\n\nA third.',
  'a setext heading': 'Text\n\nTitle\n===\n\nmore\n- \n- item\n\nend',
  'a fence with blank lines': 'Before\n\n```js\na\n\n\nb\n```\n\nafter\n\n~~~\nopen\n\nstill open',
  'three backticks that are no fence': 'A\n\ntext\n```js` inline\nmore\n\nB',
  'lists that go on':
    '- a\n\n- b\n\n  more of b\n- c\n\nend\n\n1. x\n2. y\n\n   ```\n   code\n   ```\n3. z\n\nend',
  'a task list': '- [x] done\n- [ ] not\n\nend',
  'a table': 'Intro\n\n| a | b |\n|---|--:|\n| 1 | 2 |\n\nend\n\n| no table | yet\n',
  'a quote': '> one\n> two\nlazy\n\n> - a\n>\n> - b\n\nend',
  html: 'a\n\n<div>\n\n**x**\n\n</div>\n\n<img src=x onerror=y>\n\n<!-- open\n\nend',
  'indented code': 'a\n\n    code\n\n    more\n\nend\n\n\tcode',
  rules: 'a\n\n---\n\n***\n\nb',
};

/** In pieces of 1 to 7 characters, with what was shown after each. */
function streamed(
  text: string,
  random: () => number,
): { shown: (readonly Block[])[]; whole: readonly Block[] } {
  const stream = new BlockStream();
  const shown: (readonly Block[])[] = [];
  for (let end = 0; end < text.length; ) {
    end = Math.min(text.length, end + 1 + Math.floor(random() * 7));
    shown.push(stream.update(text.slice(0, end), false));
  }
  return { shown, whole: stream.update(text, true) };
}

const htmlOf = (blocks: readonly Block[]) => blocks.map(({ html }) => html).join('');

describe('an answer that grows', () => {
  it.each(Object.entries(TEXTS))('is in the end what it is at once, wherever it was cut: %s', (_, text) => {
    const atOnce = htmlOf(new BlockStream().update(text, true));
    const random = seededRandom(7);
    for (let round = 0; round < 20; round++) {
      const { shown, whole } = streamed(text, random);
      expect(htmlOf(whole)).toBe(atOnce);
      expect(
        shown
          .at(-1)!
          .map(({ raw }) => raw)
          .join(''),
      ).toBe(text);
    }
  });

  it('never replaces a finished block', () => {
    const text = Object.values(TEXTS).join('\n\nNext.\n\n').repeat(2);
    const { shown, whole } = streamed(text, seededRandom(3));
    const last = shown.at(-1)!;
    for (const blocks of shown) {
      // The last one or two may still change.
      for (const [i, block] of blocks.slice(0, -2).entries()) {
        expect(last[i]).toBe(block);
        expect(whole[i]).toBe(block);
      }
    }
    expect(last.length).toBeGreaterThan(40);
  });

  it('reads no more than what is not finished', () => {
    const stream = new BlockStream();
    let text = '';
    const live: number[] = [];
    for (let i = 0; i < 500; i++) {
      text += `Paragraph ${i}.\n\n- a list\n- of two\n\n`;
      const before = stream.update(text, false);
      const after = stream.update(`${text}More`, false);
      live.push(after.filter((block) => !before.includes(block)).length);
      text += 'More.\n\n';
    }
    expect(Math.max(...live)).toBeLessThanOrEqual(2);
  });

  it('resolves a reference whose definition comes later, in its block alone', () => {
    const stream = new BlockStream();
    const text = 'See [it][1].\n\nPlain.\n\n[1]: https://example.org\n';
    const before = stream.update('See [it][1].\n\nPlain.\n\nMore\n', false);
    expect(before[0]!.html).not.toContain('href');
    const early = stream.update(text, false);
    const whole = stream.update(text, true);
    expect(whole[0]!.html).toContain('href="https://example.org"');
    expect(whole[1]).toBe(early[1]);
  });

  it('of a server that ends lines with CRLF loses and repeats nothing', () => {
    const text = 'One.\r\n\r\n- a\r\n- b\r\n\r\n```\r\ncode\r\n```\r\n\r\nEnd.';
    const { shown, whole } = streamed(text, seededRandom(5));
    const plain = text.replaceAll('\r\n', '\n');
    for (const blocks of [shown.at(-1)!, whole]) expect(blocks.map(({ raw }) => raw).join('')).toBe(plain);
  });

  it('starts anew for another text', () => {
    const stream = new BlockStream();
    stream.update('One.\n\nTwo.\n\nThree', false);
    expect(htmlOf(stream.update('Other', false))).toBe('<p>Other</p>\n');
  });
});
