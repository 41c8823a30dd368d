/** `GET /v1/models` as the many servers that speak OpenAI's API answer it: each tells more of a model in its own words. */
import { z } from 'zod';
import { MAX_MODEL_NAME_CHARS } from '../../config/limits.ts';
import type { ModelDetails } from '../../model/model-details.ts';
import type { ModelInfo } from '../backend.ts';

const count = z.number().int().positive().optional().catch(undefined);
const words = z.array(z.string()).catch([]);
const object = <T extends z.ZodRawShape>(shape: T) => z.object(shape).nullish().catch(null);

const modelListSchema = z.object({
  data: z.array(
    z.object({
      id: z.string().max(MAX_MODEL_NAME_CHARS),
      created: z.number().catch(0),
      owned_by: z.string().max(MAX_MODEL_NAME_CHARS).catch('custom'),
      /** vLLM, SGLang. */
      max_model_len: count,
      /** OpenRouter, Together. */
      context_length: count,
      /** Groq. */
      context_window: count,
      /** Mistral; LM Studio means what the model was made for. */
      max_context_length: count,
      /** llama.cpp; `n_ctx` in its newer versions only. */
      meta: object({
        n_ctx: count,
        n_ctx_train: count,
        n_vocab: count,
        n_embd: count,
        n_params: count,
        size: count,
      }),
      /** Mistral. */
      capabilities: object({ function_calling: z.boolean().catch(false), vision: z.boolean().catch(false) }),
      /** OpenRouter. */
      supported_parameters: words,
      architecture: object({ input_modalities: words }),
    }),
  ),
  /** llama.cpp tells beside the list, in Ollama's form, what the model can. */
  models: z.array(z.object({ model: z.string(), capabilities: words })).catch([]),
});

type Entry = z.infer<typeof modelListSchema>['data'][number];

/** @returns null for what is no list */
export function readModelList(value: unknown): readonly ModelInfo[] | null {
  const list = modelListSchema.safeParse(value);
  if (!list.success) return null;
  const said = new Map(list.data.models.map(({ model, capabilities }) => [model, capabilities]));
  return list.data.data.map((entry) => ({
    id: entry.id,
    created: entry.created,
    ownedBy: entry.owned_by,
    details: detailsOf(entry, said.get(entry.id) ?? []),
  }));
}

function detailsOf(entry: Entry, said: readonly string[]): ModelDetails {
  const { meta, capabilities, supported_parameters: parameters, architecture } = entry;
  const sees =
    capabilities?.vision || architecture?.input_modalities.includes('image') || said.includes('multimodal');
  const calls = capabilities?.function_calling || parameters.includes('tools');
  return {
    contextLength:
      entry.max_model_len ??
      meta?.n_ctx ??
      entry.context_length ??
      entry.context_window ??
      entry.max_context_length,
    trainedContextLength: meta?.n_ctx_train,
    embeddingLength: meta?.n_embd,
    vocabSize: meta?.n_vocab,
    parameters: meta?.n_params,
    sizeBytes: meta?.size,
    capabilities: [
      'completion',
      ...(calls ? (['tools'] as const) : []),
      ...(sees ? (['vision'] as const) : []),
    ],
  };
}
