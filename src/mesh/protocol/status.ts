/** `GET /api/status`: what the server tells everyone about the mesh. The page polls it once a second, and more rarely the more workers there are; `?peer=` asks for one's own rows. */
import { z } from 'zod';
import { PROVIDERS } from '../../config/backend-config.ts';
import { capabilitySchema, hopSchema, routeSchema, stageInfoSchema } from './control.ts';

/** Why a worker holds no layers, where it is not out for a failure (`problem`); what would change it follows from it. */
export const spareReasonSchema = z.discriminatedUnion('why', [
  /** Layers are about to be handed out. */
  z.object({ why: z.literal('placing') }),
  /** The first placement waits for so many workers. */
  z.object({ why: z.literal('expecting'), joined: z.number(), expected: z.number() }),
  /** The workers together lend too little; null where it is not the sum that is missing (`detail` says what). */
  z.object({ why: z.literal('missing'), missingBytes: z.number().nullable() }),
  /** Others load, or shards that are wanted no more finish their answers; what exists by then is looked at anew. */
  z.object({ why: z.literal('later') }),
  /** A route with this worker is better, and waits until nothing runs: it needs the memory of what is held. */
  z.object({ why: z.literal('answers-first') }),
  /** As many stages as the layers, or the operator, allow, and no copy of one is wanted that this worker's memory could hold. */
  z.object({ why: z.literal('full'), stages: z.number() }),
  /** The route is complete, and not a tenth faster with this worker. */
  z.object({ why: z.literal('no-gain') }),
  z.object({ why: z.literal('slow') }),
  /** Each layer is held by so many workers already, which is enough for the requests that there are. */
  z.object({ why: z.literal('replicated'), replicas: z.number() }),
  z.object({ why: z.literal('small-memory'), neededBytes: z.number(), lentBytes: z.number() }),
  z.object({ why: z.literal('small-buffers'), neededBytes: z.number(), lentBytes: z.number() }),
  /** It failed, and is left out for so long. */
  z.object({ why: z.literal('left-out'), seconds: z.number() }),
]);

/** How the mesh lost a worker, or an answer the route that it ran on. */
export const lossSchema = z.object({
  /** Its name; null where no single worker is to blame. */
  worker: z.string().nullable(),
  /** `precision`: values left the range of f16, the answer goes on with f32. `stalled`: no token came in time. */
  how: z.enum(['left', 'failed', 'precision', 'stalled']),
});

export const workerStatusSchema = z.object({
  peer: z.string(),
  name: z.string(),
  /** The registry's state of the worker, e.g. `joined`, `loading`, `serving`. */
  state: z.string(),
  /** Layers [start, end) that it holds, in the live route or as a replica; null for a spare. */
  layers: z.tuple([z.number(), z.number()]).nullable(),
  adapter: capabilitySchema.shape.adapter.nullable(),
  /** Adapters of one class give the same bits; null: not known. */
  class: z.string().nullish(),
  gemvMacsPerSecond: z.number().nullable(),
  tokensPerSecond: z.number(),
  downloadedBytes: z.number(),
  /** Null before the first decode step. */
  hop: hopSchema.nullable(),
  /** Rows a second while it prefilled; null before the first. */
  prefillRowsPerSecond: z.number().nullish(),
  /** Why the worker holds nothing, for people. */
  problem: z.string().nullable(),
  /** Null for who holds layers, or loads some. */
  spare: spareReasonSchema.nullish(),
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
  model: z
    .object({
      id: z.string(),
      layers: z.number(),
      contextLength: z.number(),
      /** What a worker's share is made of, in bytes: each layer, and what the first and last stage and every stage need beside. */
      share: z
        .object({
          layerGpuBytes: z.number(),
          layerFileBytes: z.number(),
          endsGpuBytes: z.number(),
          endsFileBytes: z.number(),
          scratchGpuBytes: z.number(),
          /** Stages at most, where the operator has set it. */
          maxStages: z.number().nullable(),
          /** Stages at least, though fewer would be quicker. */
          minStages: z.number().optional(),
          /** Workers that hold each layer, where memory allows. */
          replicas: z.number().optional(),
        })
        .nullish(),
    })
    .nullable(),
  /** The live route in order, or null. */
  pipeline: z.object({ epoch: z.number(), stages: z.array(stageInfoSchema) }).nullable(),
  /** The route that loads, beside the live one or while there is none. Bytes are those that were reported so far. */
  loading: z
    .object({
      stages: z.array(stageInfoSchema),
      ready: z.number(),
      bytesDone: z.number(),
      bytesTotal: z.number(),
    })
    .nullish(),
  /**
   * While the mesh, or an answer on it, gets over the loss of workers. `waiting`: too little is left, somebody has to join.
   * `resuming`: another route is there, and computes again what nobody has of the answers.
   */
  recovery: z
    .object({
      /** Rises with every loss. */
      id: z.number(),
      lost: z.array(lossSchema),
      step: z.enum(['placing', 'loading', 'resuming', 'waiting']),
      /** Names of those it goes on with. */
      with: z.array(z.string()),
    })
    .nullish(),
  /** What a request alone may expect of the route that serves: tokens a second, and the first one of a short question. */
  predicted: z.object({ tokensPerSecond: z.number(), firstTokenMs: z.number() }).nullish(),
  /** What requests alone then had on it, as moving averages; null before a token. */
  measured: z.object({ tokensPerSecond: z.number(), firstTokenMs: z.number().nullable() }).nullish(),
  /** Those of the routes that serve and load, who asks, and some of the others: of a large mesh not all (`workerStates` counts them). */
  workers: z.array(workerStatusSchema),
  /** How many there are in each state. */
  workerStates: z.record(z.string(), z.number()).nullish(),
  /** Of each layer of the model, how many workers can compute it now. */
  replicas: z.array(z.number()).nullish(),
  /** Layers × workers: what each holds or loads, of a large mesh not all. */
  layers: z
    .array(
      z.object({
        peer: z.string(),
        name: z.string(),
        /** [start, end). */
        layers: z.tuple([z.number(), z.number()]),
        /** `retiring`: goes when nobody uses it. `away`: its worker is expected back. */
        state: z.enum(['loading', 'held', 'retiring', 'away']),
        /** Whose route leads over it. */
        sequences: z.number(),
      }),
    )
    .nullish(),
  /** Routes that sequences run on, the busiest first. */
  routes: z
    .array(
      z.object({
        stages: routeSchema,
        sequences: z.number(),
        /** Of them, those whose tokens came from other classes of adapters before: their text may differ from an undisturbed one. */
        crossed: z.number().nullish(),
      }),
    )
    .nullish(),
  /** What requests are routed to: the mesh, the servers of the configuration, providers that joined. */
  nodes: z.array(nodeStatusSchema).readonly(),
  requestsInFlight: z.number(),
});

export type SpareReason = z.infer<typeof spareReasonSchema>;
export type Loss = z.infer<typeof lossSchema>;
export type WorkerStatus = z.infer<typeof workerStatusSchema>;
export type Status = z.infer<typeof statusSchema>;
