/** Whole model directories against what transformers made of them (reference.json, written by tools/reference). */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { openModelDirectory } from '../../src/model/directory.ts';
import { checkManifest } from '../../src/model/fetch/check-manifest.ts';
import { wholeModel } from '../../src/model/tensors.ts';
import { readModelText } from '../../src/model/text/model-text-files.ts';

interface Reference {
  config: Record<string, unknown>;
  logits: { prompts: { text: string; add_special_tokens: boolean; ids: number[] }[] };
  greedy: {
    prompt: string;
    add_special_tokens: boolean;
    prompt_ids: number[];
    new_ids: number[];
    text: string;
    full_text: string;
  }[];
}

const fixtures = fileURLToPath(new URL('../fixtures/', import.meta.url));
/** The embedded model's files lie in models/, only its reference among the fixtures. */
const directoryOf = (name: string) =>
  existsSync(`${fixtures}${name}/config.json`)
    ? `${fixtures}${name}`
    : fileURLToPath(new URL(`../../models/${name}`, import.meta.url));
const models = readdirSync(fixtures).filter((name) => existsSync(`${fixtures}${name}/reference.json`));

it('finds the fixtures', () => {
  expect(models).toEqual(
    expect.arrayContaining(['minnow', 'odd-llama', 'odd-llama-bias', 'odd-llama-rope3', 'odd-llama-stories']),
  );
});

describe.each(models)('%s', (name) => {
  const reference: Reference = JSON.parse(readFileSync(`${fixtures}${name}/reference.json`, 'utf8'));

  it('is read as its config says, with all its tensors', async () => {
    const model = await openModelDirectory(directoryOf(name));
    const { config } = reference;
    expect(model.spec).toMatchObject({
      hidden: config.hidden_size,
      layers: config.num_hidden_layers,
      heads: config.num_attention_heads,
      kvHeads: config.num_key_value_heads,
      headDim: config.head_dim,
      intermediate: config.intermediate_size,
      vocab: config.vocab_size,
      tiedEmbeddings: config.tie_word_embeddings,
      normEps: config.rms_norm_eps,
      contextLength: config.max_position_embeddings,
      bosTokenId: config.bos_token_id,
    });
    const whole = wholeModel(model.spec);
    expect(() => checkManifest({ version: 1, model: name, spec: model.spec, tensors: {} }, whole)).toThrow(
      /lacks/,
    );
    checkManifest(await model.manifest(whole), whole);
  });

  it('tokenizes prompts and writes answers as transformers does', async () => {
    const { tokenizer } = await readModelText(await openModelDirectory(directoryOf(name)));
    const prompts = [
      ...reference.logits.prompts.map(({ text, add_special_tokens, ids }) => ({
        text,
        add_special_tokens,
        ids,
      })),
      ...reference.greedy.map(({ prompt, add_special_tokens, prompt_ids }) => ({
        text: prompt,
        add_special_tokens,
        ids: prompt_ids,
      })),
    ];
    for (const { text, add_special_tokens, ids } of prompts) {
      const got = add_special_tokens
        ? tokenizer.idsForRawPrompt(text)
        : tokenizer.encode(text, { addSpecialTokens: false });
      expect(got, text).toEqual(ids);
    }
    for (const { prompt_ids, new_ids, text, full_text } of reference.greedy) {
      const decoder = tokenizer.createDecoder({ skipSpecialTokens: false });
      expect(new_ids.map((id) => decoder.push(id)).join('') + decoder.flush()).toBe(text);
      expect(tokenizer.decode([...prompt_ids, ...new_ids])).toBe(full_text);
    }
  });
});
