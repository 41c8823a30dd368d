/** `GET /api/status`: what the server tells everyone about the mesh. The page polls it once a second. */
import { z } from 'zod';
import { capabilitySchema, hopSchema, stageInfoSchema } from './control.ts';

export const workerStatusSchema = z.object({
  peer: z.string(),
  name: z.string(),
  /** The registry's state of the worker, e.g. `joined`, `loading`, `serving`. */
  state: z.string(),
  /** Layers [start, end) in the live pipeline, or null for a spare. */
  layers: z.tuple([z.number(), z.number()]).nullable(),
  adapter: capabilitySchema.shape.adapter.nullable(),
  gemvMacsPerSecond: z.number().nullable(),
  tokensPerSecond: z.number(),
  downloadedBytes: z.number(),
  /** Null before the first decode step. */
  hop: hopSchema.nullable(),
  /** Why the worker holds nothing, for people. */
  problem: z.string().nullable(),
});

export const statusSchema = z.object({
  provider: z.enum(['fxn', 'custom', 'vllm', 'ollama']),
  ready: z.boolean(),
  /** One sentence: what is served, or what is missing. */
  detail: z.string(),
  model: z.object({ id: z.string(), layers: z.number(), contextLength: z.number() }).nullable(),
  /** The live pipeline in order, or null. */
  pipeline: z.object({ epoch: z.number(), stages: z.array(stageInfoSchema) }).nullable(),
  workers: z.array(workerStatusSchema),
  requestsInFlight: z.number(),
});

export type WorkerStatus = z.infer<typeof workerStatusSchema>;
export type Status = z.infer<typeof statusSchema>;
