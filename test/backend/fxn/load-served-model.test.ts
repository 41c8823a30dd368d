/** What ends an answer, by what the files of a model name. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { loadServedModel } from '../../../src/backend/fxn/load-served-model.ts';
import type { ModelDirectory } from '../../../src/model/directory.ts';
import { defaultEosTokenId, specFromHfConfig } from '../../../src/model/hf-config.ts';

const path = mkdtempSync(join(tmpdir(), 'shoal-served-'));
afterAll(() => rmSync(path, { recursive: true, force: true }));

const llama = {
  architectures: ['LlamaForCausalLM'],
  hidden_size: 32,
  intermediate_size: 64,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  vocab_size: 8,
};
const tokenizerJson = {
  normalizer: null,
  pre_tokenizer: null,
  post_processor: null,
  decoder: null,
  model: { type: 'WordLevel', vocab: { a: 0, b: 1, '</s>': 2, '<|im_end|>': 3 }, unk_token: 'a' },
  added_tokens: [
    { id: 2, content: '</s>', special: true },
    { id: 3, content: '<|im_end|>', special: true },
  ],
};

async function ends(config: object, tokenizerConfig: object) {
  const directory: Partial<ModelDirectory> = {
    path,
    model: 'm',
    spec: specFromHfConfig({ ...llama, ...config }),
    defaultEosTokenId: defaultEosTokenId({ ...llama, ...config }),
    chatTemplate: undefined,
  };
  writeFileSync(join(path, 'tokenizer.json'), JSON.stringify(tokenizerJson));
  writeFileSync(join(path, 'tokenizer_config.json'), JSON.stringify(tokenizerConfig));
  const { spec, eosTokenId, prompts } = await loadServedModel(directory as ModelDirectory);
  await prompts.close();
  return { config: spec.eosTokenIds, tokenizer: eosTokenId };
}

it('keeps what the config names, and the tokenizer’s beside it', async () => {
  expect(await ends({ eos_token_id: 2 }, { eos_token: '<|im_end|>' })).toEqual({ config: [2], tokenizer: 3 });
});

it('takes the tokenizer’s where the config names none', async () => {
  expect(await ends({}, { eos_token: '<|im_end|>' })).toEqual({ config: [3], tokenizer: 3 });
  expect(await ends({ eos_token_id: null }, { eos_token: '<|im_end|>' })).toMatchObject({ config: [3] });
});

it('takes the family’s default where neither names one, and none where the config says null', async () => {
  expect(await ends({}, {})).toEqual({ config: [2], tokenizer: 2 });
  expect(await ends({ eos_token_id: null }, {})).toEqual({ config: [], tokenizer: null });
});
