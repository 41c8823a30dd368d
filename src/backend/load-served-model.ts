import { MAX_MODEL_JSON_BYTES } from '../config/limits.ts';
import { loadChatTemplate } from '../model/chat-template.ts';
import type { ModelDirectory } from '../model/directory.ts';
import { readJsonFile } from '../model/directory-files.ts';
import { loadTokenizer } from '../model/tokenizer.ts';
import { samplingDefaults } from './sampling-defaults.ts';
import type { ServedModel } from './served-model.ts';

/**
 * What the gateway needs of a model: no weights. Node only.
 *
 * @throws TOKENIZER_INVALID, MODEL_CONFIG_INVALID
 */
export async function loadServedModel(directory: ModelDirectory): Promise<ServedModel> {
  const { spec, tokenizerJson, tokenizerConfig, chatTemplate: source, path } = directory;
  const tokenizer = loadTokenizer({
    tokenizerJson,
    tokenizerConfig,
    bosTokenId: spec.bosTokenId,
    eosTokenId: spec.eosTokenIds[0] ?? null,
  });
  const written = (id: number | null) => (id === null ? undefined : tokenizer.token(id));
  return {
    id: directory.model,
    // Where config.json names no end of sequence, the tokenizer's is meant.
    spec:
      spec.eosTokenIds.length === 0 && tokenizer.eosTokenId !== null
        ? { ...spec, eosTokenIds: [tokenizer.eosTokenId] }
        : spec,
    tokenizer,
    chatTemplate:
      source === undefined
        ? null
        : loadChatTemplate({
            source,
            bosToken: written(tokenizer.bosTokenId),
            eosToken: written(tokenizer.eosTokenId),
          }),
    defaults: samplingDefaults(await readJsonFile(path, 'generation_config.json', MAX_MODEL_JSON_BYTES)),
  };
}
