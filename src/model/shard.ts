import { z } from 'zod';
import { MAX_LAYERS } from '../config/limits.ts';

/**
 * The part of a model that one worker holds: layers [start, end), at least one layer,
 * with the token embedding (first stage) or the final norm and LM head (last stage).
 */
export const shardSchema = z
  .object({
    start: z.number().int().min(0).max(MAX_LAYERS),
    end: z.number().int().min(1).max(MAX_LAYERS),
    embedding: z.boolean(),
    head: z.boolean(),
  })
  .refine((shard) => shard.end > shard.start, 'a shard holds at least one layer');

export type Shard = z.infer<typeof shardSchema>;

/** What a weight is stored as on the GPU. `native`: as in the file (f32, f16 or bf16); `q8`, `q4`: symmetric blocks of 32. */
export const quantizationSchema = z.enum(['native', 'q8', 'q4']);
export type Quantization = z.infer<typeof quantizationSchema>;

/** Layers [start, end) as people count them: `layers 0–2`, `layer 3`. */
export function layersText(start: number, end: number): string {
  return end - start === 1 ? `layer ${start}` : `layers ${start}–${end - 1}`;
}
