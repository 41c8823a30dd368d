/**
 * The control protocol: JSON messages between a peer (a tab) and the server over one WebSocket at `/signal`.
 * docs/PROTOCOL.md tells the order of messages. The server stamps `from`; a peer never names itself.
 */
import { z } from 'zod';
import { ERROR_CODES, type ErrorCode } from '../../config/errors.ts';
import {
  MAX_CONTEXT_POSITIONS,
  MAX_LAYERS,
  MAX_MODEL_ID_CHARS,
  MAX_MODEL_PATH_CHARS,
  MAX_PROMPT_IDS_PER_MESSAGE,
} from '../../config/limits.ts';
import { samplingSchema, tokenLogprobsSchema, topLogprobsSchema } from '../../model/sampling.ts';
import { quantizationSchema, shardSchema } from '../../model/shard.ts';

/** Rises with every change that an older side would misread. */
export const CONTROL_VERSION = 2;

const u32 = z.number().int().min(0).max(0xffff_ffff);
const peerId = z.string().regex(/^[a-z0-9-]{4,40}$/);
const bytes = z.number().int().nonnegative().max(Number.MAX_SAFE_INTEGER);
const wireDtype = z.enum(['f16', 'f32']);
const position = z.number().int().min(0).max(MAX_CONTEXT_POSITIONS);

export const wireErrorSchema = z.object({
  code: z.enum(Object.keys(ERROR_CODES) as [ErrorCode, ...ErrorCode[]]),
  message: z.string().max(2_000),
});

/** What a worker can do; announced once a device was found, and anew after a device was lost. */
export const capabilitySchema = z.object({
  adapter: z.object({
    vendor: z.string().max(128),
    architecture: z.string().max(128),
    description: z.string().max(256),
    /** A software adapter: works, slowly; never to be shown as a GPU. */
    isFallback: z.boolean(),
  }),
  maxBufferBytes: bytes,
  maxStorageBindingBytes: bytes,
  /** What the contributor lends: weights, KV cache and scratch together. */
  memoryBudgetBytes: bytes,
  /** F16 weights that are not quantized are stored as f32 here, so they take twice the memory; absent: they are not. */
  storesF16AsF32: z.boolean().optional(),
  /** Multiply-accumulates per second of the fastest GEMV variant, measured on this adapter. */
  gemvMacsPerSecond: z.number().positive().max(1e18),
  userAgent: z.string().max(512),
});

/** One stage of a pipeline as everyone may know it. */
export const stageInfoSchema = z.object({ peer: peerId, name: z.string().max(64), shard: shardSchema });

/** What one decode step costs on a stage: means over the last steps. `wireRttMs` is the round trip of the link's pings. */
export const hopSchema = z.object({
  uploadMs: z.number().nonnegative(),
  computeMs: z.number().nonnegative(),
  readbackMs: z.number().nonnegative(),
  packMs: z.number().nonnegative(),
  unpackMs: z.number().nonnegative(),
  wireRttMs: z.number().nonnegative(),
  /** One decode row on the wire from this stage to the one it feeds, frame header included. */
  bytesPerToken: z.number().nonnegative(),
});

const loadPhase = z.enum(['download', 'verify', 'compile', 'connect']);

// — peer to server ——
export const peerMessageSchema = z.discriminatedUnion('type', [
  /** First message of a connection. `name` is shown to people ("tab 2"). */
  z.object({ type: z.literal('hello'), version: z.number().int(), name: z.string().max(64) }),
  /** The worker offers its device. Until then it is a spectator. */
  z.object({ type: z.literal('join'), capability: capabilitySchema }),
  /** The worker stops contributing (button, pagehide); the socket may stay. */
  z.object({ type: z.literal('leave'), reason: z.string().max(200) }),
  z.object({
    type: z.literal('load-progress'),
    epoch: u32,
    phase: loadPhase,
    bytesDone: bytes,
    bytesTotal: bytes,
  }),
  /** Weights are on the GPU and the links to the neighbours are open. */
  z.object({
    type: z.literal('ready'),
    epoch: u32,
    /** Bytes taken from the network (not from the cache) for this shard. */
    downloadedBytes: bytes,
    gpuBytes: bytes,
    loadMs: z.number().nonnegative(),
  }),
  /** `peer`: the link to this neighbour does not open; either end may be to blame. */
  z.object({
    type: z.literal('load-failed'),
    epoch: u32,
    error: wireErrorSchema,
    peer: peerId.optional(),
  }),
  /** WebRTC negotiation, relayed to `to`. `attempt` rises when a failed link is replaced. */
  z.object({
    type: z.literal('signal'),
    to: peerId,
    attempt: z.number().int().min(0).max(1_000),
    data: z.unknown(),
  }),
  z.object({ type: z.literal('opened'), epoch: u32, sequence: u32 }),
  /** From the last stage: the token at `position`; `finish` ends the sequence. */
  z.object({
    type: z.literal('token'),
    epoch: u32,
    sequence: u32,
    position,
    token: u32,
    finish: z.enum(['stop', 'length']).nullable(),
    /** Where `open` asked for them. */
    logprobs: tokenLogprobsSchema.optional(),
  }),
  /** A stage cannot go on with this sequence; the gateway decides (restart, other wire, error to the client). */
  z.object({ type: z.literal('sequence-failed'), epoch: u32, sequence: u32, error: wireErrorSchema }),
  /** A neighbour stopped answering. */
  z.object({ type: z.literal('link-down'), peer: peerId, epoch: u32, error: wireErrorSchema }),
  /** Once a second while serving. */
  z.object({
    type: z.literal('stats'),
    tokensPerSecond: z.number().nonnegative(),
    sequences: z.number().int().nonnegative(),
    bytesSent: bytes,
    bytesReceived: bytes,
    hop: hopSchema.nullable(),
  }),
]);

// — server to peer ——
export const serverMessageSchema = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('welcome'),
    version: z.number().int(),
    peer: peerId,
    iceServers: z.array(
      z.object({
        urls: z.union([z.string(), z.array(z.string())]),
        username: z.string().optional(),
        credential: z.string().optional(),
      }),
    ),
  }),
  /**
   * Hold this shard for pipeline `epoch`. A worker may hold several assignments while one replaces another.
   * The manifest lists exactly the shard's tensors. `stages` is in pipeline order; the receiver is `stages[index]`.
   */
  z.object({
    type: z.literal('assign'),
    epoch: u32,
    model: z.string().max(MAX_MODEL_ID_CHARS),
    /** Same-origin path, e.g. `/models/minnow/manifest?start=0&end=3&embedding=1&head=0`. */
    manifestPath: z.string().startsWith('/').max(MAX_MODEL_PATH_CHARS),
    /** Same-origin path below which the manifest's files lie, e.g. `/models/minnow/`. */
    filesPath: z.string().startsWith('/').max(MAX_MODEL_PATH_CHARS),
    quantization: quantizationSchema,
    index: z.number().int().min(0).max(MAX_LAYERS),
    stages: z.array(stageInfoSchema).min(1).max(MAX_LAYERS),
  }),
  /** Drop the assignment and its sequences. */
  z.object({ type: z.literal('unassign'), epoch: u32 }),
  z.object({
    type: z.literal('signal'),
    from: peerId,
    attempt: z.number().int().min(0).max(1_000),
    data: z.unknown(),
  }),
  /** Make room for a sequence; answered with `opened` or `sequence-failed`. */
  z.object({
    type: z.literal('open'),
    epoch: u32,
    sequence: u32,
    wire: wireDtype,
    maxPositions: position,
    /** The last stage stops after the token at position maxPositions − 1, or after one of these. */
    eosTokenIds: z.array(u32).max(16),
    sampling: samplingSchema,
    /** With it, the last stage tells log probabilities beside each token. */
    topLogprobs: topLogprobsSchema.optional(),
    /** Ids [0, promptTokens) are the prompt's; later ones were generated (they differ for penalties). */
    promptTokens: position,
  }),
  /**
   * Ids at [position, position + ids.length). Sent to stage 0, which computes them, and, where a penalty is set, to the
   * last stage, which notes them. `last`: the prompt is whole, go.
   */
  z.object({
    type: z.literal('prompt'),
    epoch: u32,
    sequence: u32,
    position,
    ids: z.array(u32).min(1).max(MAX_PROMPT_IDS_PER_MESSAGE),
    last: z.boolean(),
  }),
  /** Forget the sequence: finished, stopped by a stop string, or the client hung up. */
  z.object({ type: z.literal('close'), epoch: u32, sequence: u32 }),
  /** Something the peer sent was refused; `fatal` closes the socket after it. */
  z.object({ type: z.literal('error'), error: wireErrorSchema, fatal: z.boolean() }),
]);

export type Capability = z.infer<typeof capabilitySchema>;
export type StageInfo = z.infer<typeof stageInfoSchema>;
export type HopTimings = z.infer<typeof hopSchema>;
export type LoadPhase = z.infer<typeof loadPhase>;
export type PeerMessage = z.infer<typeof peerMessageSchema>;
export type ServerMessage = z.infer<typeof serverMessageSchema>;
