/** What the original library does with generated texts (make_tokenizer_parts.py), part by part. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { createNormalizer } from '../../../src/model/text/encoding/normalizers.ts';
import { createPreTokenizer } from '../../../src/model/text/encoding/pre-tokenizers.ts';
import { createDecodeStep } from '../../../src/model/text/token-decoder.ts';
import { loadTokenizer } from '../../../src/model/text/tokenizer.ts';

interface AddedTokensCase {
  readonly texts: readonly [string, number[]][];
}

interface BpeCase {
  readonly model: { readonly vocab: Readonly<Record<string, number>>; readonly byte_fallback: boolean };
  readonly pre_tokenizer: unknown;
  readonly texts: readonly [string, number[]][];
}

interface PostProcessorCase {
  readonly config: unknown;
  readonly texts: readonly [string, number[], number[]][];
}

function fixture<Content>(name: string): Content {
  const file = new URL(`../../fixtures/tokenizer-parts/${name}.json`, import.meta.url);
  return JSON.parse(readFileSync(file, 'utf8'));
}

function cases<Case>(name: string): Case[] {
  return fixture<{ cases: Case[] }>(name).cases;
}

interface PartCase<Input, Output> {
  readonly config: unknown;
  readonly texts: readonly [Input, Output][];
}

/** @returns what differs, with its configuration */
function differing<Input, Output>(
  name: string,
  run: (config: unknown) => (input: Input) => Output,
): unknown[] {
  return cases<PartCase<Input, Output>>(name).flatMap(({ config, texts }) => {
    const part = run(config);
    return texts
      .map(([input, wanted]) => ({ config, input, wanted, got: part(input) }))
      .filter(({ wanted, got }) => JSON.stringify(wanted) !== JSON.stringify(got));
  });
}

describe('as the original', () => {
  it('normalizes', () => {
    const difference = differing('normalizers', (config) => {
      const normalize = createNormalizer(config);
      return (text: string) => normalize({ text, isFirst: true }).text;
    });
    expect(difference).toEqual([]);
  });

  it('cuts into pieces', () => {
    const difference = differing('pre-tokenizers', (config) => {
      const preTokenize = createPreTokenizer(config);
      // Nothing comes of an empty text in a whole tokenizer; alone, the original's empty Sequence gives it back.
      return (text: string) =>
        text === '' && !isEmptySequence(config)
          ? []
          : preTokenize({ text, isFirst: true }).map((piece) => piece.text);
    });
    expect(difference).toEqual([]);
  });

  it('decodes', () => {
    const difference = differing('decoders', (config) => (tokens: string[]) => {
      const step = createDecodeStep(config);
      return [...tokens.flatMap((token) => step.push(token)), ...step.end()].join('');
    });
    expect(difference).toEqual([]);
  });

  it('finds added tokens of every flag', () => {
    // Characters as words, so that what is left between added tokens shows as it is.
    const vocab = Object.fromEntries(
      fixture<{ words: string[] }>('added-tokens').words.map((word, id) => [word, id]),
    );
    const difference = cases<AddedTokensCase>('added-tokens').flatMap(({ texts, ...parts }) => {
      const model = { type: 'BPE', vocab, merges: [], unk_token: '?' };
      const tokenizer = loadTokenizer({ tokenizerJson: { ...parts, model } });
      return texts
        .map(([text, wanted]) => ({
          parts,
          text,
          wanted,
          got: tokenizer.encode(text, { addSpecialTokens: false }),
        }))
        .filter(({ wanted, got }) => JSON.stringify(wanted) !== JSON.stringify(got));
    });
    expect(difference).toEqual([]);
  });

  it('merges', () => {
    const difference = cases<BpeCase>('bpe').flatMap(({ model, pre_tokenizer, texts }) => {
      const vocab = { ...model.vocab };
      if (model.byte_fallback) {
        const count = Object.keys(vocab).length;
        for (let byte = 0; byte < 256; byte++) {
          vocab[`<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`] = count + byte;
        }
      }
      const tokenizer = loadTokenizer({ tokenizerJson: { model: { ...model, vocab }, pre_tokenizer } });
      return texts
        .map(([text, wanted]) => ({
          model,
          text,
          wanted,
          got: tokenizer.encode(text, { addSpecialTokens: true }),
        }))
        .filter(({ wanted, got }) => JSON.stringify(wanted) !== JSON.stringify(got));
    });
    expect(difference).toEqual([]);
  });

  it('puts ids around a text', () => {
    const difference = cases<PostProcessorCase>('post-processors').flatMap(({ config, texts }) => {
      const tokenizer = loadTokenizer({
        tokenizerJson: {
          model: {
            type: 'WordLevel',
            vocab: { '?': 0, '<s>': 1, '</s>': 2, '<x>': 3, a: 4, b: 5 },
            unk_token: '?',
          },
          pre_tokenizer: { type: 'WhitespaceSplit' },
          post_processor: config,
        },
      });
      return texts
        .map(([text, ...wanted]) => ({
          config,
          text,
          wanted,
          got: [true, false].map((addSpecialTokens) => tokenizer.encode(text, { addSpecialTokens })),
        }))
        .filter(({ wanted, got }) => JSON.stringify(wanted) !== JSON.stringify(got));
    });
    expect(difference).toEqual([]);
  });
});

function isEmptySequence(config: unknown): boolean {
  const list = (config as { pretokenizers?: unknown[] }).pretokenizers;
  return list?.every(isEmptySequence) ?? false;
}
