import { expect, it } from 'vitest';
import { packTokens, unpackTokens } from '../../../src/model/text/token-table.ts';

it('gives each token back as it was, however long, and none where there is none', () => {
  const words = ['a', '', '🐟', 'x'.repeat(300_000), undefined, '\ud800'];
  const source = { token: (id: number) => words[id], isSpecial: (id: number) => id === 0, decoder: null };
  const packed = unpackTokens(packTokens(source, words.length));
  expect(words.map((_, id) => packed.token(id) === words[id])).toEqual(words.map(() => true));
  expect(words.map((_, id) => packed.isSpecial(id))).toEqual(words.map((_, id) => id === 0));
});
