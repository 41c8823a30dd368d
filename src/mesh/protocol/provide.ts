/**
 * The protocol by which a whole-model provider lends a backend to a server: JSON messages over a WebSocket of its own at
 * `/provide`. docs/PROTOCOL.md tells the order of messages. The server numbers the requests of a connection from 1.
 */
import { z } from 'zod';
import { PROVIDERS } from '../../config/backend-config.ts';
import {
  MAX_API_KEY_CHARS,
  MAX_MODEL_NAME_CHARS,
  MAX_NODE_CONCURRENT,
  MAX_PROVIDED_MODELS,
  MAX_SHOWN_PARAMETER_CHARS,
  MAX_TOLD_PARAMETERS,
  PROVIDE_WINDOW_BYTES,
} from '../../config/limits.ts';
import { modelDetailsSchema } from '../../model/model-details.ts';
import { wireErrorSchema } from './control.ts';

/** Rises with every change that an older side would misread. */
export const PROVIDE_VERSION = 1;
export const PROVIDE_PATH = '/provide';

const request = z.number().int().min(1).max(Number.MAX_SAFE_INTEGER);
/** Text that is shown to people, or goes into a header or a log. */
const line = (max: number) =>
  z
    .string()
    .max(max)
    .regex(/^\P{Cc}*$/u, 'must have no control characters');
const modelName = line(MAX_MODEL_NAME_CHARS).min(1);
const milliseconds = z.number().nonnegative();
const tokens = z.number().int().nonnegative();

/** As `AnswerReport` in src/backend/backend.ts. */
const reportSchema = z.object({
  model: z.string().max(MAX_MODEL_NAME_CHARS),
  outcome: z.enum(['stop', 'length', 'other', 'error', 'aborted']),
  promptTokens: tokens.nullable(),
  completionTokens: tokens.nullable(),
  timeToFirstTokenMs: milliseconds.nullable(),
  durationMs: milliseconds,
});

/** An error before the answer has begun: the server's client reads it as if the server had made it. */
const answerErrorSchema = wireErrorSchema.extend({
  param: z.string().max(MAX_MODEL_NAME_CHARS).optional(),
  retryAfterSeconds: z.number().nonnegative().max(86_400).optional(),
});

// — provider to server ——
export const providerMessageSchema = z.discriminatedUnion('type', [
  /** First message of a connection. `name` is shown to people; `key` is an API key of the server, where it wants one. */
  z.object({
    type: z.literal('hello'),
    version: z.number().int(),
    name: line(64).min(1),
    key: z.string().max(MAX_API_KEY_CHARS).optional(),
  }),
  /** What is lent from now on; replaces the offer before. */
  z.object({
    type: z.literal('offer'),
    provider: z.enum(PROVIDERS),
    models: z
      .array(
        z.object({
          id: modelName,
          created: z.number(),
          ownedBy: z.string().max(MAX_MODEL_NAME_CHARS),
          details: modelDetailsSchema.optional().catch(undefined),
        }),
      )
      .max(MAX_PROVIDED_MODELS),
    /** The provider answers whatever model is asked for (it has an alias). */
    anyModel: z.boolean(),
    maxConcurrent: z.number().int().min(1).max(MAX_NODE_CONCURRENT),
  }),
  /** Nothing is lent any more: new requests go elsewhere, those that run are answered to their end. */
  z.object({ type: z.literal('withdraw'), reason: line(200) }),
  /** The answer has begun. Its text follows in `chunk`s, then `end`. */
  z.object({
    type: z.literal('head'),
    request,
    /** An answer or an error: no redirect to elsewhere, and no status whose answers have no body. */
    status: z.union([z.literal(200), z.number().int().min(400).max(599)]),
    contentType: z.string().max(128),
    retryAfter: z
      .string()
      .max(64)
      .regex(/^[ -~]*$/, 'must be printable ASCII')
      .optional(),
    /** Paths of parameters that the backend does not know and ignored. */
    unknown: z.array(line(MAX_SHOWN_PARAMETER_CHARS)).max(MAX_TOLD_PARAMETERS).optional().catch(undefined),
  }),
  /** The next text of the answer, never cut within a character; its UTF-8 bytes are paid from the credit. */
  z.object({
    type: z.literal('chunk'),
    request,
    data: z.string().min(1).max(PROVIDE_WINDOW_BYTES),
  }),
  /** The answer is whole, or `error` says why not. `report` is the provider's own count. */
  z.object({
    type: z.literal('end'),
    request,
    error: answerErrorSchema.optional(),
    report: reportSchema.optional(),
  }),
  z.object({ type: z.literal('pong') }),
]);

// — server to provider ——
export const providingServerMessageSchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal('welcome'), version: z.number().int() }),
  /** Answer `body` as POST /v1/chat/completions or /v1/completions would. `credit`: bytes that may be sent at first. */
  z.object({
    type: z.literal('request'),
    request,
    path: z.enum(['chat', 'completions']),
    body: z.unknown(),
    credit: z.number().int().positive(),
  }),
  /** The client has gone: nothing more of this answer is read. */
  z.object({ type: z.literal('cancel'), request }),
  /** The client has read: so many bytes more may be sent. */
  z.object({ type: z.literal('credit'), request, bytes: z.number().int().positive() }),
  /** Answered with `pong` at once; a browser's page sees no WebSocket pings. */
  z.object({ type: z.literal('ping') }),
  /** Something the provider sent was refused; `fatal` closes the socket after it. */
  z.object({ type: z.literal('error'), error: wireErrorSchema, fatal: z.boolean() }),
]);

export type ProviderMessage = z.infer<typeof providerMessageSchema>;
export type ProvidingServerMessage = z.infer<typeof providingServerMessageSchema>;
export type Offer = Omit<Extract<ProviderMessage, { type: 'offer' }>, 'type'>;
export type ProvideRequest = Extract<ProvidingServerMessage, { type: 'request' }>;
export type AnswerEnd = Extract<ProviderMessage, { type: 'end' }>;
