import { z } from 'zod';
import { MAX_MODEL_ID_CHARS } from '../../config/limits.ts';
import { modelSpecSchema } from '../spec.ts';

/** Number formats a weight file may hold; all little-endian. */
export const fileDtypeSchema = z.enum(['F32', 'F16', 'BF16']);
export type FileDtype = z.infer<typeof fileDtypeSchema>;
export const FILE_DTYPE_BYTES: Record<FileDtype, number> = { F32: 4, F16: 2, BF16: 2 };

/** Where one tensor's bytes lie and what they hash to. */
export const tensorEntrySchema = z.object({
  /** Path of the file below the model's URL, e.g. `model-00001-of-00002.safetensors`. */
  file: z.string().min(1).max(256),
  /** Byte range [start, end) in the file. */
  start: z.number().int().nonnegative(),
  end: z.number().int().positive(),
  dtype: fileDtypeSchema,
  shape: z.array(z.number().int().positive()).min(1).max(2),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
});

/** What a worker needs to fetch and check the tensors of its shard. Keys are Hugging Face tensor names. */
export const weightManifestSchema = z.object({
  version: z.literal(1),
  model: z.string().min(1).max(MAX_MODEL_ID_CHARS),
  spec: modelSpecSchema,
  tensors: z.record(z.string().max(256), tensorEntrySchema),
});

export type TensorEntry = z.infer<typeof tensorEntrySchema>;
export type WeightManifest = z.infer<typeof weightManifestSchema>;

/** One tensor, read and checked, on its way to the GPU. The bytes are as in the file, row-major, little-endian. */
export interface LoadedTensor {
  readonly name: string;
  readonly dtype: FileDtype;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}
