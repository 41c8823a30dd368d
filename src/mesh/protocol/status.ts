/** `GET /api/status`: what the server tells everyone about the mesh. The page polls it once a second. */
import { z } from 'zod';
import { PROVIDERS } from '../../config/backend-config.ts';
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

/** As `NodeStatus` in src/backend/pool/node-pool.ts. */
const nodeStatusSchema = z.object({
  id: z.string(),
  /** `host:port` or a provider's name. */
  name: z.string(),
  provider: z.enum(PROVIDERS),
  /** `failing`: nothing is sent to it; `probing`: it is asked, or given one request, to see whether it is back. */
  state: z.enum(['ready', 'busy', 'failing', 'probing', 'unknown']),
  inFlight: z.number(),
  maxConcurrent: z.number(),
  /** The first of them. */
  models: z.array(z.string()).readonly(),
  /** Moving averages of its answers; null before the first. */
  timeToFirstTokenMs: z.number().nullable(),
  tokensPerSecond: z.number().nullable(),
  lastError: z.string().nullable(),
  /** Who lends it, where it is not the server's own. */
  lender: z.object({ id: z.string(), name: z.string() }).optional(),
});

export const statusSchema = z.object({
  provider: z.enum(PROVIDERS),
  ready: z.boolean(),
  /** One sentence: what is served, or what is missing. */
  detail: z.string(),
  model: z.object({ id: z.string(), layers: z.number(), contextLength: z.number() }).nullable(),
  /** The live pipeline in order, or null. */
  pipeline: z.object({ epoch: z.number(), stages: z.array(stageInfoSchema) }).nullable(),
  workers: z.array(workerStatusSchema),
  /** What requests are routed to: the mesh, the servers of the configuration, providers that joined. */
  nodes: z.array(nodeStatusSchema).readonly(),
  requestsInFlight: z.number(),
});

export type WorkerStatus = z.infer<typeof workerStatusSchema>;
export type Status = z.infer<typeof statusSchema>;
