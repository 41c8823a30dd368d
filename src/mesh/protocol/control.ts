/**
 * The control protocol: JSON messages between a peer (a tab) and the server over one WebSocket at `/signal`.
 * docs/PROTOCOL.md tells the order of messages. The server stamps `from`; a peer never names itself.
 */
import { z } from 'zod';
import { ERROR_CODES, type ErrorCode } from '../../config/errors.ts';
import {
  MAX_CONTEXT_POSITIONS,
  MAX_HELD_SHARDS,
  MAX_JOIN_KEY_CHARS,
  MAX_LAYERS,
  MAX_LINKS,
  MAX_MODEL_ID_CHARS,
  MAX_MODEL_PATH_CHARS,
  MAX_PEER_NAME_CHARS,
  MAX_PROMPT_IDS_PER_MESSAGE,
  MAX_RECEIPT_CHARS,
  MAX_RUNNING_PER_MESSAGE,
  MAX_TOKENS_PER_MESSAGE,
} from '../../config/limits.ts';
import { samplingSchema, tokenLogprobsSchema, topLogprobsSchema } from '../../model/sampling.ts';
import { quantizationSchema, shardSchema } from '../../model/shard.ts';

/** Rises with every change that an older side would misread. */
export const CONTROL_VERSION = 3;

const u32 = z.number().int().min(0).max(0xffff_ffff);
const peerId = z.string().regex(/^[a-z0-9-]{4,40}$/);
const receipt = z.string().max(MAX_RECEIPT_CHARS);
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
  /** Of the bits that its kernels give: adapters of one class compute the same tokens. Absent: not known. */
  class: z
    .string()
    .regex(/^[a-z0-9-]{1,64}$/)
    .optional(),
});

/** One stage of a pipeline as everyone may know it. */
export const stageInfoSchema = z.object({
  peer: peerId,
  name: z.string().max(MAX_PEER_NAME_CHARS),
  shard: shardSchema,
});

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

const loadPhase = z.enum(['download', 'verify', 'compile']);

/** Layers [start, end) that one worker of a route computes; with the embedding where start is 0, with the LM head where end is the model's last. */
export const routeStageSchema = z
  .object({
    peer: peerId,
    name: z.string().max(MAX_PEER_NAME_CHARS),
    start: z.number().int().min(0).max(MAX_LAYERS),
    end: z.number().int().min(1).max(MAX_LAYERS),
  })
  .refine(({ start, end }) => end > start, 'a stage computes at least one layer');

/** The workers that compute a sequence, in order; each begins where the one before it ends. */
export const routeSchema = z
  .array(routeStageSchema)
  .min(1)
  .max(MAX_LAYERS)
  .refine(
    (route) => route.every(({ start }, index) => start === (route[index - 1]?.end ?? 0)),
    'the stages of a route follow each other from layer 0 without a gap',
  );

/** A shard as its worker names it to a server that may not know it (any more). */
export const heldShardSchema = z.object({
  shard: u32,
  model: z.string().max(MAX_MODEL_ID_CHARS),
  quantization: quantizationSchema,
  layers: shardSchema,
  gpuBytes: bytes,
  /** As in `held`; absent: the server does not know what has room. */
  kvPositions: u32.optional(),
  /** As it came with `hold`. */
  receipt: receipt.optional(),
});

/** A sequence as a stage names it to a server that may not know it (any more). */
export const runningSequenceSchema = z.object({
  sequence: u32,
  epoch: u32,
  shard: u32,
  index: z.number().int().min(0).max(MAX_LAYERS),
  route: routeSchema,
  wire: wireDtype,
});

const pickedSchema = z.object({
  token: u32,
  finish: z.enum(['stop', 'length']).nullable(),
  /** Where `open` asked for them. */
  logprobs: tokenLogprobsSchema.optional(),
});

/** The token at `position`; `finish` ends the sequence. */
export const toldTokenSchema = pickedSchema.extend({ sequence: u32, epoch: u32, position });

// — peer to server ——
export const peerMessageSchema = z.discriminatedUnion('type', [
  /**
   * First message of a connection. `name` is shown to people ("tab 2"). The peer's id follows from `key`, a secret that it
   * draws once and keeps: whoever has it is that peer, on this connection and the next. `joinKey`: where the server asks for one.
   */
  z.object({
    type: z.literal('hello'),
    version: z.number().int(),
    name: z.string().max(MAX_PEER_NAME_CHARS),
    key: z.string().regex(/^[A-Za-z0-9_-]{43}$/),
    joinKey: z.string().max(MAX_JOIN_KEY_CHARS).optional(),
  }),
  /**
   * The worker offers its device, and says what it holds: after every `welcome`, and when the device has changed. `running` follows.
   * Until the first it is a spectator.
   */
  z.object({
    type: z.literal('join'),
    capability: capabilitySchema,
    held: z.array(heldShardSchema).max(MAX_HELD_SHARDS),
    /** Peers to which a link is open, and that were heard lately. */
    links: z.array(peerId).max(MAX_LINKS),
  }),
  /** After `join`: the sequences that are open on it, in as many messages as they need. `last`: these are all. */
  z.object({
    type: z.literal('running'),
    sequences: z.array(runningSequenceSchema).max(MAX_RUNNING_PER_MESSAGE),
    last: z.boolean(),
  }),
  /** The worker stops contributing (pagehide); the socket may stay. Nothing of it may be counted on any more. */
  z.object({ type: z.literal('leave'), reason: z.string().max(200) }),
  /** The worker wishes to stop: its sequences move to others first, then comes `released`. */
  z.object({ type: z.literal('drain'), reason: z.string().max(200) }),
  /** A sign of life, which the Web Worker makes and the page hands on: the browser's own pings prove neither. */
  z.object({ type: z.literal('alive') }),
  z.object({
    type: z.literal('load-progress'),
    shard: u32,
    phase: loadPhase,
    bytesDone: bytes,
    bytesTotal: bytes,
  }),
  /** The shard's weights are on the GPU. */
  z.object({
    type: z.literal('held'),
    shard: u32,
    /** Bytes taken from the network (not from the cache) for this shard. */
    downloadedBytes: bytes,
    gpuBytes: bytes,
    loadMs: z.number().nonnegative(),
    /** Positions of all sequences together that its KV cache has room for. */
    kvPositions: bytes,
  }),
  /** The shard could not be loaded, or is gone (its engine failed). Whoever sends it does not hold the shard. */
  z.object({ type: z.literal('load-failed'), shard: u32, error: wireErrorSchema }),
  /** WebRTC negotiation, relayed to `to`. `attempt` rises when a failed link is replaced. */
  z.object({
    type: z.literal('signal'),
    to: peerId,
    attempt: z.number().int().min(0).max(1_000),
    data: z.unknown(),
  }),
  /** Of a link that the server wants: it opened; it is silent, though nothing says that it is gone; it is gone, or never came. */
  z.object({
    type: z.literal('link'),
    peer: peerId,
    state: z.enum(['up', 'silent', 'down']),
    error: wireErrorSchema.optional(),
  }),
  /** The stage has room for the sequence: it holds positions [0, position), and still has the rows that it sent from `keptFrom` on. */
  z.object({ type: z.literal('opened'), sequence: u32, epoch: u32, position, keptFrom: position }),
  /** From the last stage. */
  toldTokenSchema.extend({ type: z.literal('token') }),
  /** From the last stage: those that one micro-batch gave, of different sequences. */
  z.object({
    type: z.literal('tokens'),
    tokens: z.array(toldTokenSchema).min(1).max(MAX_TOKENS_PER_MESSAGE),
  }),
  /**
   * Answers `retell`, in as many messages as it takes: the tokens from `position` on, which in the first is what was asked for, or beyond
   * it where those before are not here. `last`: the next one to come is told as any other.
   */
  z.object({
    type: z.literal('retold'),
    sequence: u32,
    epoch: u32,
    position,
    tokens: z.array(pickedSchema).max(MAX_TOKENS_PER_MESSAGE),
    last: z.boolean(),
  }),
  /** A stage cannot go on with this sequence; the server decides (another route, other wire, error to the client). `peer`: whose link or frame it was. */
  z.object({
    type: z.literal('sequence-failed'),
    sequence: u32,
    epoch: u32,
    error: wireErrorSchema,
    peer: peerId.optional(),
  }),
  /** Once a second while it holds a shard. */
  z.object({
    type: z.literal('stats'),
    tokensPerSecond: z.number().nonnegative(),
    sequences: z.number().int().nonnegative(),
    bytesSent: bytes,
    bytesReceived: bytes,
    hop: hopSchema.nullable(),
    /** Rows a second of prefill while it prefilled, as a mean; null before the first. */
    prefillRowsPerSecond: z.number().nonnegative().nullable(),
    /** Of its KV caches together. */
    freePositions: bytes,
    /** Round trips of its open links. */
    links: z.array(z.object({ peer: peerId, rttMs: z.number().nonnegative() })).max(MAX_LINKS),
  }),
]);

// — server to peer ——
const iceServers = z.array(
  z.object({
    urls: z.union([z.string(), z.array(z.string())]),
    username: z.string().optional(),
    credential: z.string().optional(),
  }),
);

export const serverMessageSchema = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('welcome'),
    version: z.number().int(),
    peer: peerId,
    /** Those that anyone may use. */
    iceServers,
  }),
  /**
   * For the links from here on, in place of those before. After the first `join` where there are some with credentials, which are for
   * workers alone; and again, before they end.
   */
  z.object({ type: z.literal('ice'), iceServers }),
  /** Load this shard and keep it until `drop`. The manifest lists exactly the shard's tensors. */
  z.object({
    type: z.literal('hold'),
    shard: u32,
    model: z.string().max(MAX_MODEL_ID_CHARS),
    /** Same-origin path, e.g. `/models/minnow/manifest?start=0&end=3&embedding=1&head=0`. */
    manifestPath: z.string().startsWith('/').max(MAX_MODEL_PATH_CHARS),
    /** Same-origin path below which the manifest's files lie, e.g. `/models/minnow/`. */
    filesPath: z.string().startsWith('/').max(MAX_MODEL_PATH_CHARS),
    quantization: quantizationSchema,
    layers: shardSchema,
    /** Proof that this server asked for it, opaque to the worker: goes back with the shard in every `join`. */
    receipt: receipt.optional(),
  }),
  /** Free the shard; sequences that run on it fail. */
  z.object({ type: z.literal('drop'), shard: u32 }),
  /** The peers to keep links to, all of them: others go a while later. Signals are relayed between linked peers only. */
  z.object({
    type: z.literal('links'),
    peers: z.array(z.object({ peer: peerId, name: z.string().max(MAX_PEER_NAME_CHARS) })).max(MAX_LINKS),
  }),
  z.object({
    type: z.literal('signal'),
    from: peerId,
    attempt: z.number().int().min(0).max(1_000),
    data: z.unknown(),
  }),
  /**
   * Make room for a sequence; answered with `opened` or `sequence-failed`. The receiver is `route[index]` and computes its
   * layers of the route with `shard`. With a higher epoch it is another route for a sequence that may be open already: the stage
   * keeps the positions below `known` − 1 that it holds, and from here on refuses frames of the epochs before.
   */
  z.object({
    type: z.literal('open'),
    sequence: u32,
    epoch: u32,
    shard: u32,
    index: z.number().int().min(0).max(MAX_LAYERS),
    route: routeSchema,
    wire: wireDtype,
    maxPositions: position,
    /** The last stage stops after the token at position maxPositions − 1, or after one of these. */
    eosTokenIds: z.array(u32).max(16),
    sampling: samplingSchema,
    /** With it, the last stage tells log probabilities beside each token. */
    topLogprobs: topLogprobsSchema.optional(),
    /** Ids [0, promptTokens) are the prompt's; later ones were generated (they differ for penalties). */
    promptTokens: position,
    /** Ids that are known: the first token to come stands at this position. */
    known: position,
    /** Send nothing to the next stage before `resume` says from where. */
    awaitsResume: z.boolean(),
  }),
  /**
   * The stages of the new route are open. The stage holds exactly [0, position) from here on, and sends the next one the rows
   * from `next` on: those that it has kept, and those that it computes. `ids`, to a last stage that held nothing: the newest that were
   * generated, up to what `open` says is known. It tells them again as its own, to a server that was away.
   */
  z.object({
    type: z.literal('resume'),
    sequence: u32,
    epoch: u32,
    position,
    next: position,
    ids: z.array(u32).max(MAX_PROMPT_IDS_PER_MESSAGE).optional(),
  }),
  /**
   * Ids at [position, position + ids.length). To stage 0, which computes them; the first part begins where it resumes (at 0 for
   * a new sequence). Where a penalty is set to the last stage too, which notes them, from 0. `last`: all that are known are there, go.
   */
  z.object({
    type: z.literal('prompt'),
    sequence: u32,
    epoch: u32,
    position,
    ids: z.array(u32).min(1).max(MAX_PROMPT_IDS_PER_MESSAGE),
    last: z.boolean(),
  }),
  /** To the last stage: send the tokens from `position` on again, as `retold`. The server has been away. */
  z.object({ type: z.literal('retell'), sequence: u32, epoch: u32, position }),
  /** Forget the sequence, whatever its epoch: finished, stopped by a stop string, the client hung up, or the route leads past this worker now. */
  z.object({ type: z.literal('close'), sequence: u32 }),
  /** The answer to `drain`: nothing runs here any more. */
  z.object({ type: z.literal('released') }),
  /** Something the peer sent was refused; `fatal` closes the socket after it. */
  z.object({ type: z.literal('error'), error: wireErrorSchema, fatal: z.boolean() }),
]);

export type Capability = z.infer<typeof capabilitySchema>;
export type StageInfo = z.infer<typeof stageInfoSchema>;
export type Route = z.infer<typeof routeSchema>;
export type HeldShard = z.infer<typeof heldShardSchema>;
export type ToldToken = z.infer<typeof toldTokenSchema>;
export type RunningSequence = z.infer<typeof runningSequenceSchema>;
export type HopTimings = z.infer<typeof hopSchema>;
export type LoadPhase = z.infer<typeof loadPhase>;
export type PeerMessage = z.infer<typeof peerMessageSchema>;
export type ServerMessage = z.infer<typeof serverMessageSchema>;
