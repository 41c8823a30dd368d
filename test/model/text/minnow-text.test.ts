/** The embedded model's tokenizer and chat template against what transformers made of them (tools/minnow/reference.py). */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { openModelDirectory } from '../../../src/model/directory.ts';
import { readModelText } from '../../../src/model/text/model-text-files.ts';

interface Reference {
  tokenizer_sha256: string;
  strings: {
    text: string;
    ids: number[];
    ids_with_bos: number[];
    decoded: string;
    decoded_without_specials: string;
  }[];
  chats: {
    messages: { role: string; content: string }[];
    add_generation_prompt: boolean;
    text: string;
    ids: number[];
  }[];
}

const reference: Reference = JSON.parse(
  readFileSync(new URL('../../fixtures/minnow/tokenizer.json', import.meta.url), 'utf8'),
);
const directory = new URL('../../../models/minnow/', import.meta.url);
const { tokenizer, chatTemplate } = await readModelText(await openModelDirectory(fileURLToPath(directory)));

it('has the reference of this very tokenizer', () => {
  const sha256 = createHash('sha256')
    .update(readFileSync(new URL('tokenizer.json', directory)))
    .digest('hex');
  expect(sha256).toBe(reference.tokenizer_sha256);
});

it('tokenizes and decodes as transformers does', () => {
  expect(reference.strings.length).toBeGreaterThan(10);
  for (const { text, ids, ids_with_bos, decoded, decoded_without_specials } of reference.strings) {
    expect(tokenizer.encode(text, { addSpecialTokens: false }), text).toEqual(ids);
    expect(tokenizer.idsForRawPrompt(text), text).toEqual(ids_with_bos);
    expect(tokenizer.decode(ids, { skipSpecialTokens: false }), text).toBe(decoded);
    expect(tokenizer.decode(ids), text).toBe(decoded_without_specials);
  }
});

it('renders chats as transformers does', () => {
  expect(reference.chats.length).toBeGreaterThan(1);
  for (const { messages, add_generation_prompt, text, ids } of reference.chats) {
    const rendered = chatTemplate?.render(messages, { addGenerationPrompt: add_generation_prompt });
    expect(rendered).toBe(text);
    expect(tokenizer.encode(text, { addSpecialTokens: false })).toEqual(ids);
  }
});
