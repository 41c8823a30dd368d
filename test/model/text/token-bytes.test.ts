import { describe, expect, it } from 'vitest';
import { createTokenBytes } from '../../../src/model/text/token-bytes.ts';

const text = (bytes: Uint8Array) => new TextDecoder('utf-8', { fatal: true }).decode(bytes);

describe('what a token stands for', () => {
  it('with ByteLevel: its bytes, half a character too; special tokens as they are written', () => {
    const bytesOf = createTokenBytes({ type: 'Sequence', decoders: [{ type: 'ByteLevel' }] });
    expect(text(bytesOf('Ġthe'))).toBe(' the');
    expect([...bytesOf('ðŁ')]).toEqual([0xf0, 0x9f]);
    expect(text(bytesOf('<｜end｜>'))).toBe('<｜end｜>');
  });

  it('with SentencePiece: its space stays, a byte token is its byte', () => {
    const llama = {
      type: 'Sequence',
      decoders: [
        { type: 'Replace', pattern: { String: '▁' }, content: ' ' },
        { type: 'ByteFallback' },
        { type: 'Fuse' },
        { type: 'Strip', content: ' ', start: 1, stop: 0 },
      ],
    };
    expect(text(createTokenBytes(llama)('▁the'))).toBe(' the');
    expect([...createTokenBytes(llama)('<0xF0>')]).toEqual([0xf0]);
    expect(text(createTokenBytes({ type: 'Metaspace', replacement: '▁' })('▁<0xF0>'))).toBe(' <0xF0>');
  });

  it('with a word’s suffix, a pattern, or nothing', () => {
    expect(text(createTokenBytes({ type: 'BPEDecoder', suffix: '</w>' })('end</w>'))).toBe('end ');
    expect(text(createTokenBytes({ type: 'Replace', pattern: { Regex: 'a+' }, content: '$&' })('baab'))).toBe(
      'b$&b',
    );
    expect(text(createTokenBytes(null)('word'))).toBe('word');
  });
});
