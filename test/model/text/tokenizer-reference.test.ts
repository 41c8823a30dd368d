import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { loadTokenizer } from '../../../src/model/text/tokenizer.ts';

interface Reference {
  tokenizer: unknown;
  reference: {
    /** [text, ids, ids without special tokens] */
    encoded: [string, number[], number[]][];
    /** [ids, text, text with special tokens] */
    decoded: [number[], string, string][];
  };
}

const folder = new URL('../../fixtures/tokenizers/', import.meta.url);
const kinds = readdirSync(folder).filter((name) => name.endsWith('.json'));

describe.each(kinds)('as the original tokenizes: %s', (kind) => {
  const { tokenizer: tokenizerJson, reference } = JSON.parse(
    readFileSync(new URL(kind, folder), 'utf8'),
  ) as Reference;
  const tokenizer = loadTokenizer({ tokenizerJson });

  it('encodes', () => {
    const differing = reference.encoded
      .map(([text, ids, plainIds]) => ({
        text,
        wanted: { ids, plainIds },
        got: {
          ids: tokenizer.encode(text, { addSpecialTokens: true }),
          plainIds: tokenizer.encode(text, { addSpecialTokens: false }),
        },
      }))
      .filter(({ wanted, got }) => JSON.stringify(wanted) !== JSON.stringify(got));
    expect(differing).toEqual([]);
  });

  it('decodes', () => {
    const differing = reference.decoded
      .map(([ids, text, whole]) => ({
        ids,
        wanted: [text, whole],
        got: [tokenizer.decode(ids), tokenizer.decode(ids, { skipSpecialTokens: false })],
      }))
      .filter(({ wanted, got }) => JSON.stringify(wanted) !== JSON.stringify(got));
    expect(differing).toEqual([]);
  });
});
