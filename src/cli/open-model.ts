import { resolveModel } from '../config/catalogue.ts';
import { type ModelDirectory, openModelDirectory } from '../model/directory.ts';
import type { Quantization } from '../model/shard.ts';

/**
 * A model by its catalogue id or directory, as the catalogue says it is to be served.
 * @param quantization from the command line; it wins over the catalogue
 * @throws MODEL_NOT_FOUND, CONFIG_INVALID, and the model's own faults
 */
export async function openModel(
  idOrDirectory: string,
  quantization?: Quantization,
): Promise<{ readonly model: ModelDirectory; readonly quantization: Quantization }> {
  const { id, directory, entry } = resolveModel(idOrDirectory);
  const model = await openModelDirectory(directory, {
    model: id,
    ...(entry?.context !== undefined && { contextLength: entry.context }),
    ...(entry?.template !== undefined && { chatTemplate: entry.template }),
  });
  return { model, quantization: quantization ?? entry?.quantization ?? 'native' };
}
