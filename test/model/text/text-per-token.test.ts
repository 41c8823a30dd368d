import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { mostBytesPerToken } from '../../../src/model/text/text-per-token.ts';
import { loadTokenizer } from '../../../src/model/text/tokenizer.ts';

const read = (name: string) =>
  JSON.parse(readFileSync(new URL(`../../fixtures/tokenizers/${name}.json`, import.meta.url), 'utf8'))
    .tokenizer;
const bytesOf = (text: string) => new TextEncoder().encode(text).length;

/** Every character, alone: no surrogates. */
function* characters(): Generator<string> {
  for (let point = 0; point <= 0x10ffff; point++) {
    if (point < 0xd800 || point > 0xdfff) yield String.fromCodePoint(point);
  }
}

describe('the most text of a token', () => {
  it('is that of the longest token, where all text ends up in tokens', () => {
    const minnow = JSON.parse(readFileSync('models/minnow/tokenizer.json', 'utf8'));
    const longest = Math.max(...Object.keys(minnow.model.vocab).map((token) => token.length));
    expect(mostBytesPerToken(minnow)).toBe(longest);
    // SentencePiece's bytes: its tokens are counted as they are written.
    const llama = read('llama2-like');
    expect(mostBytesPerToken(llama)).toBe(
      Math.max(...Object.keys(llama.model.vocab).map((token) => bytesOf(token))),
    );
  });

  it.each(['minnow-like', 'llama2-like', 'qwen2-like', 'llama3-like', 'gpt2-like'])(
    'holds for whatever text: %s',
    (name) => {
      const tokenizer = loadTokenizer({ tokenizerJson: read(name) });
      expect(tokenizer.mostBytesPerToken).toBeLessThan(1_000);
      const texts = [
        ' '.repeat(500),
        'the '.repeat(200),
        'e\u0301'.repeat(300),
        '\u212A\u1100\u1161\u11A8'.repeat(100),
        '\u0390\u03B9\u0308\u0301'.repeat(100),
        '🐟\u{1D400}'.repeat(100),
        '\0\uFDD0\u200B'.repeat(100),
      ];
      for (const text of texts) {
        const ids = tokenizer.encode(text, { addSpecialTokens: false });
        expect(ids.length, text.slice(0, 9)).toBeGreaterThanOrEqual(
          bytesOf(text) / tokenizer.mostBytesPerToken,
        );
      }
    },
  );

  it('is multiplied by what normalizers shrink', () => {
    const base = read('minnow-like');
    const plain = mostBytesPerToken({ ...base, normalizer: null });
    const withNormalizer = (normalizer: unknown) => mostBytesPerToken({ ...base, normalizer }) / plain;
    expect(withNormalizer({ type: 'NFC' })).toBe(9);
    expect(withNormalizer({ type: 'Sequence', normalizers: [{ type: 'NFKC' }, { type: 'Lowercase' }] })).toBe(
      36,
    );
    expect(withNormalizer({ type: 'Replace', pattern: { String: ' ' }, content: '▁' })).toBe(1);
  });

  it.each([
    ['a normalizer that strips', { normalizer: { type: 'Strip', strip_left: true, strip_right: true } }],
    ['a normalizer that takes accents off', { normalizer: { type: 'StripAccents' } }],
    [
      'a replacement that is shorter',
      { normalizer: { type: 'Replace', pattern: { String: '  ' }, content: ' ' } },
    ],
    [
      'a replacement by an expression',
      { normalizer: { type: 'Replace', pattern: { Regex: ' +' }, content: '▁' } },
    ],
    ['a pre-tokenizer that drops spaces', { pre_tokenizer: { type: 'WhitespaceSplit' } }],
    [
      'a split that removes',
      {
        pre_tokenizer: {
          type: 'Sequence',
          pretokenizers: [
            { type: 'Split', pattern: { String: ' ' }, behavior: 'Removed', invert: false },
            { type: 'ByteLevel', add_prefix_space: false, use_regex: false },
          ],
        },
      },
    ],
    ['a token that takes the space beside it', { added_tokens: [{ id: 0, content: '<s>', rstrip: true }] }],
  ])('has no bound with %s', (_, change) => {
    expect(mostBytesPerToken({ ...read('minnow-like'), ...change })).toBe(Number.POSITIVE_INFINITY);
  });

  it('has no bound where unknown text may be one token, or none', () => {
    for (const name of ['unigram', 'word-level', 'no-unknown']) {
      expect(mostBytesPerToken(read(name)), name).toBe(Number.POSITIVE_INFINITY);
    }
    const { model, ...rest } = read('minnow-like');
    const { Ā: _nul, ...vocab } = model.vocab;
    expect(mostBytesPerToken({ ...rest, model: { ...model, vocab } })).toBe(Number.POSITIVE_INFINITY);
  });

  it('rests on what is true of every character of Unicode', () => {
    const most = { decomposed: 0, composed: 0, compatible: 0, small: 0 };
    const raise = (name: keyof typeof most, ratio: number) => {
      if (ratio > most[name]) most[name] = ratio;
    };
    for (const char of characters()) {
      const bytes = bytesOf(char);
      const canonical = char.normalize('NFD');
      raise('decomposed', bytes / bytesOf(canonical));
      raise('composed', bytesOf(canonical) / bytes);
      raise('compatible', bytes / bytesOf(char.normalize('NFKD')));
      raise('small', bytes / bytesOf(char.toLowerCase()));
    }
    expect(most).toEqual({ decomposed: 3, composed: 3, compatible: 4, small: 3 });
  }, 60_000);
});
