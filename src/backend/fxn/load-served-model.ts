import { MAX_MODEL_JSON_BYTES } from '../../config/limits.ts';
import type { ModelDirectory } from '../../model/directory.ts';
import { readJsonFile } from '../../model/directory-files.ts';
import { createTokenReader } from '../../model/text/token-reader.ts';
import { unpackTokens } from '../../model/text/token-table.ts';
import { samplingDefaults } from './sampling-defaults.ts';
import type { ServedModel } from './served-model.ts';
import { openThreadedPrompts } from './threaded-prompts.ts';

/**
 * What the gateway needs of a model: no weights. Its prompts are to be closed. Node only.
 *
 * @throws TOKENIZER_INVALID, MODEL_CONFIG_INVALID
 */
export async function loadServedModel(directory: ModelDirectory): Promise<ServedModel> {
  const { spec, path, model, defaultEosTokenId, chatTemplate } = directory;
  const defaults = samplingDefaults(await readJsonFile(path, 'generation_config.json', MAX_MODEL_JSON_BYTES));
  const { prompts, facts } = await openThreadedPrompts({
    id: model,
    path,
    spec,
    defaultEosTokenId,
    chatTemplate,
  });
  const { eosTokenId, hasChatTemplate, tokens } = facts;
  return {
    id: model,
    // Where the configs name no end of sequence, the tokenizer's is meant.
    spec:
      spec.eosTokenIds.length === 0 && eosTokenId !== null ? { ...spec, eosTokenIds: [eosTokenId] } : spec,
    tokens: createTokenReader(unpackTokens(tokens)),
    eosTokenId,
    prompts,
    hasChatTemplate,
    details: {
      architecture: directory.family,
      quantization: directory.dtype,
      format: 'safetensors',
    },
    defaults,
  };
}
