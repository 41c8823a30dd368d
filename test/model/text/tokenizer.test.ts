import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { loadTokenizer } from '../../../src/model/text/tokenizer.ts';

const fixture = (kind: string) =>
  JSON.parse(readFileSync(new URL(`../../fixtures/tokenizers/${kind}.json`, import.meta.url), 'utf8'))
    .tokenizer;
const llama = fixture('llama2-like');
const minnow = fixture('minnow-like');
const qwen = fixture('qwen2-like');

describe('special tokens', () => {
  const tokenizer = loadTokenizer({
    tokenizerJson: llama,
    tokenizerConfig: { bos_token: '<s>', eos_token: { content: '</s>' } },
  });

  it('have their ids from the config, and from the spec where it names none', () => {
    expect([tokenizer.bosTokenId, tokenizer.eosTokenId]).toEqual([1, 2]);
    const unnamed = loadTokenizer({ tokenizerJson: llama, bosTokenId: 7, eosTokenId: null });
    expect([unnamed.bosTokenId, unnamed.eosTokenId]).toEqual([7, null]);
  });

  it('count as such in a text, and vanish from decoded text', () => {
    expect(tokenizer.turnTokens).toEqual(['<s>', '</s>', '<|end|>']);
    const ids = tokenizer.encode('a</s>b', { addSpecialTokens: false });
    expect(ids).toContain(2);
    expect(tokenizer.decode(ids)).not.toContain('</s>');
    expect(tokenizer.decode(ids, { skipSpecialTokens: false })).toContain('</s>');
  });

  it('are also those that only the config names', () => {
    const added = loadTokenizer({ tokenizerJson: qwen, tokenizerConfig: { pad_token: '<tool>' } });
    const [id] = added.encode('<tool>', { addSpecialTokens: false });
    expect(loadTokenizer({ tokenizerJson: qwen }).decode([id!])).toBe('<tool>');
    expect(added.decode([id!])).toBe('');
  });
});

describe('ids for a raw prompt', () => {
  it('are BOS alone for an empty text', () => {
    for (const tokenizerJson of [llama, minnow, qwen]) {
      const tokenizer = loadTokenizer({ tokenizerJson, tokenizerConfig: { bos_token: '<s>' } });
      expect(tokenizer.idsForRawPrompt('')).toEqual([tokenizer.bosTokenId]);
    }
  });

  it('are refused for an empty text without a BOS', () => {
    expect(() => loadTokenizer({ tokenizerJson: qwen }).idsForRawPrompt('')).toThrow(
      expect.objectContaining({ code: 'INVALID_REQUEST' }),
    );
  });

  it('start as the post-processor says, or as add_bos_token asks', () => {
    const first = (tokenizerJson: unknown, more: object) =>
      loadTokenizer({ tokenizerJson, tokenizerConfig: { bos_token: '<s>', ...more } }).idsForRawPrompt(
        'Hello',
      )[0];
    const bosOf = (tokenizerJson: unknown) =>
      loadTokenizer({ tokenizerJson, tokenizerConfig: { bos_token: '<s>' } }).bosTokenId;
    expect(first(llama, {})).toBe(bosOf(llama));
    expect(first(qwen, {})).not.toBe(bosOf(qwen));
    expect(first(qwen, { add_bos_token: true })).toBe(bosOf(qwen));
    expect(
      loadTokenizer({
        tokenizerJson: llama,
        tokenizerConfig: { bos_token: '<s>', add_bos_token: true },
      }).idsForRawPrompt('a'),
    ).toEqual(loadTokenizer({ tokenizerJson: llama }).encode('a', { addSpecialTokens: true }));
  });
});

describe('a tokenizer.json that is not one', () => {
  it.each<[string, unknown, RegExp]>([
    ['a list', [], /not a JSON object/],
    ['nothing', {}, /model is not a JSON object/],
    ['no vocabulary', { ...llama, model: { type: 'BPE' } }, /no model\.vocab/],
    ['an empty vocabulary', { ...llama, model: { ...llama.model, vocab: {} } }, /vocabulary of 0/],
    ['an enormous id', { ...llama, model: { ...llama.model, vocab: { a: 2 ** 31 } } }, /id 2147483648/],
    ['a negative id', { ...llama, added_tokens: [{ id: -1, content: 'x' }] }, /id -1/],
    ['an unknown decoder', { ...llama, decoder: { type: 'CTC' } }, /decoder "CTC" is not supported/],
    [
      'an unknown decoder within',
      { ...llama, decoder: { type: 'Sequence', decoders: [{ type: 'x' }] } },
      /decoder "x"/,
    ],
    ['merges that are none', { ...llama, model: { ...llama.model, merges: 7 } }, /merges are not a list/],
    ['a merge of three', { ...llama, model: { ...llama.model, merges: ['a b c'] } }, /merge 0 is "a b c"/],
    [
      'a merge of unknown tokens',
      { ...llama, model: { ...llama.model, merges: [['~~', 'a']] } },
      /merge 0, "~~" and "a", has a token that the vocabulary lacks/,
    ],
    ['tokens left to chance', { ...llama, model: { ...llama.model, dropout: 0.1 } }, /dropout is 0\.1/],
    [
      'WordPiece',
      { ...llama, model: { ...llama.model, type: 'WordPiece' } },
      /model "WordPiece" is not supp/,
    ],
    [
      'an unknown token that is none',
      { ...llama, model: { ...llama.model, unk_token: '~~' } },
      /unk_token is "~~"/,
    ],
    [
      'SentencePiece’s table',
      { ...llama, normalizer: { type: 'Precompiled' } },
      /normalizer "Precompiled" is not/,
    ],
    [
      'an unknown pre-tokenizer',
      { ...llama, pre_tokenizer: { type: 'UnicodeScripts' } },
      /pre_tokenizer "UnicodeS/,
    ],
    [
      'an unknown behaviour',
      {
        ...llama,
        pre_tokenizer: { type: 'Split', pattern: { String: '-' }, behavior: 'removed', invert: false },
      },
      /behavior is "removed"; one of Removed, Isolated/,
    ],
    [
      'a pattern that is none',
      { ...llama, normalizer: { type: 'Replace', pattern: { Regex: '(' }, content: '' } },
      /normalizer Replace has the pattern \(, which cannot be read/,
    ],
    ['an unknown post-processor', { ...llama, post_processor: { type: 'x' } }, /post_processor "x" is not/],
    [
      'two that put tokens around a text',
      {
        ...llama,
        post_processor: { type: 'Sequence', processors: [llama.post_processor, llama.post_processor] },
      },
      /more than one part that adds tokens/,
    ],
    [
      'a flag that is none',
      { ...llama, added_tokens: [{ id: 1, content: 'x', single_word: 'no' }] },
      /single_word is "no"/,
    ],
  ])('is refused: %s', (_, tokenizerJson, message) => {
    expect(() => loadTokenizer({ tokenizerJson })).toThrow(
      expect.objectContaining({ code: 'TOKENIZER_INVALID', message: expect.stringMatching(message) }),
    );
  });
});
