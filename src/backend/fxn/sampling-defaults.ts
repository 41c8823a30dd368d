import { z } from 'zod';
import { samplingSchema } from '../../model/sampling.ts';
import type { SamplingDefaults } from './served-model.ts';

const { temperature, topK, topP, minP, repetitionPenalty } = samplingSchema.shape;
/** A value out of range is as if it were absent: the model works without its author's taste. */
const lenient = <T extends z.ZodType>(type: T) => type.optional().catch(undefined);

const generationConfigSchema = z
  .object({
    do_sample: lenient(z.boolean()),
    temperature: lenient(temperature),
    top_k: lenient(topK),
    top_p: lenient(topP),
    min_p: lenient(minP),
    repetition_penalty: lenient(repetitionPenalty),
  })
  .catch({});

/**
 * What a model's author recommends in generation_config.json (Hugging Face). `do_sample: false` is greedy decoding.
 *
 * @param config the parsed file, unchecked; anything but an object recommends nothing
 */
export function samplingDefaults(config: unknown): SamplingDefaults {
  const given = generationConfigSchema.parse(config);
  const greedy = given.do_sample === false;
  return Object.fromEntries(
    Object.entries({
      temperature: greedy ? 0 : given.temperature,
      topK: given.top_k,
      topP: given.top_p,
      minP: given.min_p,
      repetitionPenalty: given.repetition_penalty,
    }).filter(([, value]) => value !== undefined),
  );
}
