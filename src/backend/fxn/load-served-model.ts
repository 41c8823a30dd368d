import { MAX_MODEL_JSON_BYTES } from '../../config/limits.ts';
import type { ModelDirectory } from '../../model/directory.ts';
import { readJsonFile } from '../../model/directory-files.ts';
import { loadModelText } from '../../model/model-text.ts';
import { samplingDefaults } from './sampling-defaults.ts';
import type { ServedModel } from './served-model.ts';

/**
 * What the gateway needs of a model: no weights. Node only.
 *
 * @throws TOKENIZER_INVALID, MODEL_CONFIG_INVALID
 */
export async function loadServedModel(directory: ModelDirectory): Promise<ServedModel> {
  const { spec, path } = directory;
  const { tokenizer, chatTemplate } = loadModelText(directory);
  return {
    id: directory.model,
    // Where the configs name no end of sequence, the tokenizer's is meant.
    spec:
      spec.eosTokenIds.length === 0 && tokenizer.eosTokenId !== null
        ? { ...spec, eosTokenIds: [tokenizer.eosTokenId] }
        : spec,
    tokenizer,
    chatTemplate,
    details: {
      architecture: directory.family,
      quantization: directory.dtype,
      format: 'safetensors',
    },
    defaults: samplingDefaults(await readJsonFile(path, 'generation_config.json', MAX_MODEL_JSON_BYTES)),
  };
}
