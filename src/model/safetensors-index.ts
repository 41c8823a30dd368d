import { z } from 'zod';
import { ShoalError } from '../config/errors.ts';
import { MAX_TENSOR_NAME_CHARS } from '../config/limits.ts';
import { isPlainFileName } from './file-name.ts';

const indexSchema = z.looseObject({
  weight_map: z.record(z.string().min(1).max(MAX_TENSOR_NAME_CHARS), z.string()),
});

/**
 * `model.safetensors.index.json`: which file holds which tensor. Only names come from it; sizes and places come from each file's
 * own header. File names are refused unless they name a file beside the index.
 *
 * @param index parsed JSON, not yet checked
 * @returns tensor name → file name
 * @throws SAFETENSORS_INVALID
 */
export function parseSafetensorsIndex(
  index: unknown,
  file = 'model.safetensors.index.json',
): Map<string, string> {
  const parsed = indexSchema.safeParse(index);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw new ShoalError(
      'SAFETENSORS_INVALID',
      `${file}: ${issue?.path.join('.') || 'the file'}: ${issue?.message}; it must map tensor names to file names under weight_map`,
    );
  }
  const map = new Map(Object.entries(parsed.data.weight_map));
  for (const [tensor, name] of map) {
    if (!isPlainFileName(name) || !name.endsWith('.safetensors')) {
      throw new ShoalError(
        'SAFETENSORS_INVALID',
        `${file}: tensor "${tensor}" lies in "${name.slice(0, 80)}"; only the plain name of a .safetensors file beside the index is allowed`,
        { param: tensor },
      );
    }
  }
  return map;
}
