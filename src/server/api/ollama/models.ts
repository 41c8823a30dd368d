/** Models as Ollama describes them (https://github.com/ollama/ollama/blob/main/docs/api.md). */
import { createHash } from 'node:crypto';
import type { Backend, ModelInfo } from '../../../backend/backend.ts';
import { ShoalError } from '../../../config/errors.ts';

const LATEST = ':latest';

/** @throws MODEL_NOT_FOUND in Ollama's words, which its own client looks for */
export async function listedModel(backend: Backend, name: string, signal: AbortSignal): Promise<ModelInfo> {
  const models = await backend.models(signal);
  const model = models.find(({ id }) => id === name) ?? models.find(({ id }) => isSame(id, name));
  if (model !== undefined) return model;
  throw new ShoalError('MODEL_NOT_FOUND', `model '${name}' not found`, { param: 'model' });
}

/** Ollama's clients write out the tag that Ollama's names mean without one: `name:latest`, which no other engine lists. */
export async function backendsName(backend: Backend, name: string, signal: AbortSignal): Promise<string> {
  if (!name.endsWith(LATEST)) return name;
  const short = name.slice(0, -LATEST.length);
  const models = await backend.models(signal).catch(() => []);
  const isListed = (id: string) => models.some((model) => model.id === id);
  return !isListed(name) && isListed(short) ? short : name;
}

const isSame = (id: string, name: string) => id === `${name}${LATEST}` || `${id}${LATEST}` === name;

/** @throws INVALID_REQUEST */
export function modelName(body: unknown): string {
  const { model, name } = (body ?? {}) as { model?: unknown; name?: unknown };
  const given = model ?? name;
  if (typeof given === 'string' && given !== '') return given.slice(0, 256);
  throw new ShoalError('INVALID_REQUEST', 'model: name the model', { param: 'model' });
}

/**
 * In the place of a manifest's SHA-256: that of what is told of the model. Ollama's own command cuts twelve characters off it for a
 * column, and crashes where there are fewer.
 */
const digestOf = ({ id, details }: ModelInfo) =>
  createHash('sha256')
    .update(JSON.stringify([id, details ?? null]))
    .digest('hex');

/** An entry of `/api/tags`. What is not known is empty, as clients want the keys to be there. */
export function listed(info: ModelInfo) {
  const { id, created, details = {} } = info;
  return {
    name: id,
    model: id,
    modified_at: new Date(created * 1000).toISOString(),
    size: details.sizeBytes ?? 0,
    digest: digestOf(info),
    details: {
      parent_model: '',
      format: details.format ?? '',
      family: details.architecture ?? '',
      families: details.architecture === undefined ? [] : [details.architecture],
      parameter_size: details.parameters === undefined ? '' : shortCount(details.parameters),
      quantization_level: details.quantization ?? '',
    },
  };
}

/** Models here stay. */
const NEVER = '9999-12-31T00:00:00Z';

/** An entry of `/api/ps`. */
export const loaded = (model: ModelInfo) => ({
  ...listed(model),
  expires_at: NEVER,
  size_vram: model.details?.sizeBytes ?? 0,
  ...(model.details?.contextLength !== undefined && { context_length: model.details.contextLength }),
});

/** `/api/show`. Clients look up `general.architecture` and then the context by it, so there is one. */
export function shown(model: ModelInfo): object {
  const { details = {} } = model;
  const { architecture = 'unknown' } = details;
  const info = {
    'general.architecture': architecture,
    'general.parameter_count': details.parameters,
    [`${architecture}.attention.head_count`]: details.headCount,
    [`${architecture}.attention.head_count_kv`]: details.headCountKv,
    [`${architecture}.block_count`]: details.blockCount,
    // What is served, where that is known: it is what a conversation may fill.
    [`${architecture}.context_length`]: details.contextLength ?? details.trainedContextLength,
    [`${architecture}.embedding_length`]: details.embeddingLength,
    [`${architecture}.feed_forward_length`]: details.feedForwardLength,
    [`${architecture}.vocab_size`]: details.vocabSize,
  };
  const { modified_at, details: described } = listed(model);
  return {
    modelfile: `FROM ${model.id}\n`,
    parameters: '',
    template: '',
    details: described,
    model_info: Object.fromEntries(Object.entries(info).filter(([, value]) => value !== undefined)),
    capabilities: details.capabilities ?? ['completion'],
    modified_at,
  };
}

/** As Ollama writes it: `596.05M`, `8.0B`. */
function shortCount(count: number): string {
  if (count >= 1e9) return `${(count / 1e9).toFixed(1)}B`;
  if (count >= 1e6) return `${(count / 1e6).toFixed(2)}M`;
  return count >= 1e3 ? `${(count / 1e3).toFixed(2)}K` : String(count);
}

/** What Ollama says while it pulls; of a model that is served all is there already. */
export const PULLED = ['pulling manifest', 'verifying sha256 digest', 'writing manifest', 'success'].map(
  (status) => ({ status }),
);
