/** The tokenizer and the chat template of a model directory. Node only. */
import { MAX_MODEL_JSON_BYTES, MAX_TOKENIZER_BYTES } from '../../config/limits.ts';
import type { ModelDirectory } from '../directory.ts';
import { readJsonFile } from '../directory-files.ts';
import { loadModelText, type ModelText } from './model-text.ts';

/** The part of a `ModelDirectory` that says what to read; goes from thread to thread. */
export type ModelTextPlace = Pick<ModelDirectory, 'path' | 'spec' | 'defaultEosTokenId' | 'chatTemplate'>;

/** @throws TOKENIZER_INVALID, MODEL_CONFIG_INVALID (not JSON) */
export async function readModelText(place: ModelTextPlace): Promise<ModelText> {
  const { path, spec, defaultEosTokenId, chatTemplate } = place;
  const tokenizerJson = await readJsonFile(path, 'tokenizer.json', MAX_TOKENIZER_BYTES);
  const tokenizerConfig = (await readJsonFile(path, 'tokenizer_config.json', MAX_MODEL_JSON_BYTES)) ?? {};
  return loadModelText({ spec, defaultEosTokenId, tokenizerJson, tokenizerConfig, chatTemplate });
}
