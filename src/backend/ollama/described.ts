/** What an Ollama says of each of its models, asked once a model: its list names them only. */
import type { z } from 'zod';
import { MAX_DESCRIBED_MODELS, OLLAMA_DESCRIBE_MS } from '../../config/limits.ts';
import { CAPABILITIES, type ModelDetails, modelDetailsSchema } from '../../model/model-details.ts';
import type { Clock } from '../clock.ts';
import { unlessSilent } from '../openai/sse.ts';
import type { showSchema, tagsSchema } from './api.ts';

type Listed = z.infer<typeof tagsSchema>['models'][number];
type Shown = z.infer<typeof showSchema>;

export class DescribedModels {
  readonly #show: (name: string) => Promise<Shown>;
  readonly #clock: Clock;
  /** By digest, or by name where Ollama tells none: a model that is pulled anew is another. */
  readonly #known = new Map<string, ModelDetails>();
  #asking: Promise<void> | null = null;

  constructor(show: (name: string) => Promise<Shown>, clock: Clock) {
    this.#show = show;
    this.#clock = clock;
  }

  /** Those that are not known yet are asked for; whoever waits for the list waits for them no longer than OLLAMA_DESCRIBE_MS. */
  async describe(models: readonly Listed[]): Promise<void> {
    const few = models.slice(0, MAX_DESCRIBED_MODELS);
    const keys = new Set(few.map(keyOf));
    for (const key of this.#known.keys()) if (!keys.has(key)) this.#known.delete(key);
    const unknown = few.filter((model) => !this.#known.has(keyOf(model)));
    if (unknown.length === 0) return;
    this.#asking ??= this.#askAll(unknown).finally(() => {
      this.#asking = null;
    });
    await unlessSilent(this.#asking, this.#clock, OLLAMA_DESCRIBE_MS);
  }

  details(model: Listed): ModelDetails | undefined {
    const shown = this.#known.get(keyOf(model));
    if (shown === undefined && model.details === undefined) return undefined;
    const { family, quantization_level: quantization, format } = model.details ?? {};
    return modelDetailsSchema.parse({
      architecture: family,
      quantization,
      format,
      sizeBytes: model.size,
      ...shown,
    });
  }

  /** One after the other: it is one machine, and it may be answering. */
  async #askAll(models: readonly Listed[]): Promise<void> {
    for (const model of models) {
      try {
        this.#known.set(keyOf(model), read(await this.#show(model.name)));
      } catch {
        // Removed since, or away: the list stands without it, and it is asked again with the next.
      }
    }
  }
}

const keyOf = ({ digest, name }: Listed) => digest || name;

function read({ capabilities, model_info: info, parameters }: Shown): ModelDetails {
  const architecture = info?.['general.architecture'];
  const of = (key: string) =>
    typeof architecture === 'string' ? info?.[`${architecture}.${key}`] : undefined;
  const served = /^num_ctx\s+(\d+)\s*$/m.exec(parameters ?? '')?.[1];
  const words: readonly string[] = CAPABILITIES;
  const known = modelDetailsSchema.parse({
    // Without num_ctx in the Modelfile, Ollama serves fewer positions than the model has, by its own default.
    contextLength: served === undefined ? undefined : Number(served),
    trainedContextLength: of('context_length'),
    architecture,
    parameters: info?.['general.parameter_count'],
    embeddingLength: of('embedding_length'),
    blockCount: of('block_count'),
    feedForwardLength: of('feed_forward_length'),
    headCount: of('attention.head_count'),
    headCountKv: of('attention.head_count_kv'),
    vocabSize: of('vocab_size'),
    capabilities: capabilities?.filter((word) => words.includes(word)),
  });
  return Object.fromEntries(Object.entries(known).filter(([, value]) => value !== undefined));
}
