import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { createDecodeStep } from '../../../src/model/text/token-decoder.ts';
import { loadTokenizer } from '../../../src/model/text/tokenizer.ts';

const folder = new URL('../../fixtures/tokenizers/', import.meta.url);
const read = (name: string) => JSON.parse(readFileSync(new URL(name, folder), 'utf8'));

function stream(tokenizer: ReturnType<typeof loadTokenizer>, ids: readonly number[]): string[] {
  const decoder = tokenizer.createDecoder();
  return [...ids.map((id) => decoder.push(id)), decoder.flush()];
}

describe.each(readdirSync(folder))('text as it comes: %s', (name) => {
  const { tokenizer: tokenizerJson, reference } = read(name);
  const tokenizer = loadTokenizer({ tokenizerJson });

  it('joined is what the original decodes at once', () => {
    for (const [ids, text] of reference.decoded) expect(stream(tokenizer, ids).join('')).toBe(text);
  });

  it('has no half characters in any piece, where the whole has none', () => {
    for (const [ids, text] of reference.decoded) {
      if (text.includes('\uFFFD')) continue;
      for (const piece of stream(tokenizer, ids)) {
        expect(piece).not.toContain('\uFFFD');
        // A lone surrogate would not survive UTF-8.
        expect(Buffer.from(piece).toString()).toBe(piece);
      }
    }
  });
});

describe('what is held back', () => {
  const byteLevel = loadTokenizer({ tokenizerJson: read('minnow-like.json').tokenizer });
  const llama = loadTokenizer({ tokenizerJson: read('llama2-like.json').tokenizer });
  const llamaId = (token: string): number => {
    for (let id = 0; id < llama.vocabSize; id++) if (llama.token(id) === token) return id;
    throw new Error(`no token ${token}`);
  };
  const bytes = (text: string) =>
    Array.from(new TextEncoder().encode(text), (byte) =>
      llamaId(`<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`),
    );

  it('under ByteLevel is a character’s first bytes, and no more', () => {
    const ids = byteLevel.encode('x🐟y', { addSpecialTokens: false });
    expect(ids).toHaveLength(6);
    expect(stream(byteLevel, ids)).toEqual(['x', '', '', '', '🐟', 'y', '']);
  });

  it('comes out as U+FFFD when the text ends within a character', () => {
    const ids = byteLevel.encode('🐟', { addSpecialTokens: false });
    expect(stream(byteLevel, ids.slice(0, 3)).join('')).toBe('\uFFFD');
    expect(stream(llama, bytes('🐟').slice(0, 3)).join('')).toBe('\uFFFD\uFFFD\uFFFD');
  });

  it('under byte fallback is a run of bytes till it ends', () => {
    expect(stream(llama, [...bytes('🐟'), llamaId('a')])).toEqual(['', '', '', '', '🐟a', '']);
  });

  it('under byte fallback drops one leading space, of the first token only', () => {
    const ids = llama.encode('a a', { addSpecialTokens: false });
    expect(stream(llama, ids).join('')).toBe('a a');
    expect(stream(llama, ids)[0]?.startsWith(' ')).toBe(false);
  });

  it('ends with flush, after which nothing more comes', () => {
    const decoder = byteLevel.createDecoder();
    const [a] = byteLevel.encode('a', { addSpecialTokens: false });
    expect([decoder.push(a!), decoder.flush(), decoder.push(a!), decoder.flush()]).toEqual(['a', '', '', '']);
  });

  it('is nothing for ids beyond the vocabulary, which padded models can produce', () => {
    expect(stream(byteLevel, [99_999]).join('')).toBe('');
  });
});

describe('a chain of decoders', () => {
  const run = (config: unknown, tokens: string[]) => {
    const step = createDecodeStep(config);
    return [...tokens.map((token) => step.push(token).join('')), step.end().join('')];
  };
  const sequence = (...decoders: unknown[]) => ({ type: 'Sequence', decoders });

  it('strips a fused text at both its ends, holding back what may be the end', () => {
    const config = sequence({ type: 'Fuse' }, { type: 'Strip', content: ' ', start: 1, stop: 1 });
    expect(run(config, ['  a', ' ', 'b', ' '])).toEqual([' a', '', ' b', '', '']);
  });

  it('waits for the whole where a pattern may lie across tokens', () => {
    const config = sequence({ type: 'Fuse' }, { type: 'Replace', pattern: { String: 'ab' }, content: '-' });
    expect(run(config, ['xa', 'bx'])).toEqual(['', '', 'x-x']);
    const regex = sequence({ type: 'Replace', pattern: { Regex: ' +' }, content: '_' });
    expect(run(regex, ['a  b', ' '])).toEqual(['a_b', '_', '']);
  });

  it('joins tokens by spaces where there is none, and ends words at their suffix', () => {
    expect(run(null, ['a', 'b'])).toEqual(['a', ' b', '']);
    expect(run({ type: 'BPEDecoder', suffix: '</w>' }, ['a</w>', 'b', 'c</w>'])).toEqual([
      '',
      'a ',
      'b',
      'c',
    ]);
  });
});
