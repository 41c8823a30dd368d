import { expect, it } from 'vitest';
import { forStdout, printable, printableJson, printableLines } from '../../src/cli/printable.ts';

const CLIPBOARD = 'a\u001b]52;c;cm0gLXJm\u0007b\u009b31m\r\n\tc';

it('keeps control characters from a terminal, and gives a program what was written', () => {
  expect(printable(CLIPBOARD)).toBe('a ]52;c;cm0gLXJm b 31m c');
  expect(printableLines(CLIPBOARD)).toBe('a]52;c;cm0gLXJmb31m\n\tc');
  expect(forStdout(CLIPBOARD, true)).toBe(printableLines(CLIPBOARD));
  expect(forStdout(CLIPBOARD, false)).toBe(CLIPBOARD);
  expect(printableLines('Zoë 🐟 שלום')).toBe('Zoë 🐟 שלום');
});

it.each([CLIPBOARD, '\\u001b \\\\u001b \\n "q"', '\\', '\u0000\u001f\u007f', '\ud800'])(
  'takes them out of JSON, and nothing else: %j',
  (text) => {
    expect(JSON.parse(printableJson(JSON.stringify({ [text]: [text] })))).toEqual({
      [printableLines(text)]: [printableLines(text)],
    });
  },
);
