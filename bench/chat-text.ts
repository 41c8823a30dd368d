/** What a model may answer, of a given length, by kind: each asks something else of a page that draws it as it comes. */

const SENTENCE =
  'The **quick** brown fox jumps over the `lazy` dog, and [reads on](https://example.org/about). ';

const MIXED = [
  '## A heading\n\n',
  `${SENTENCE.repeat(3)}\n\n`,
  '- an item with *some* words\n- another one\n  - and one below it\n- [x] done\n\n',
  '```js\nconst a = [1, 2, 3].map((x) => x * 2);\nfor (const b of a) console.log(b);\n```\n\n',
  '| name | value | note |\n|---|--:|---|\n| one | 1 | first |\n| two | 2 | second |\n\n',
  `> ${SENTENCE}\n\n`,
].join('');

export const TEXTS = {
  /** Blocks of every kind, 700 characters together. */
  mixed: (chars: number) => repeated(MIXED, chars),
  /** One block that never ends: nothing of it is finished. */
  'one list': (chars: number) => repeated(`- ${SENTENCE}\n`, chars),
  'one code block': (chars: number) =>
    `\`\`\`\n${repeated('for (const b of a) console.log(b);\n', chars - 4)}`,
} as const;

const repeated = (text: string, chars: number) => text.repeat(Math.ceil(chars / text.length)).slice(0, chars);
