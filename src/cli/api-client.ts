import { EventSourceParserStream } from 'eventsource-parser/stream';
import { z } from 'zod';
import type { AnsweringNode } from '../backend/backend.ts';
import { errorCodeOf } from '../backend/openai/error.ts';
import { readServedBy, SERVED_BY_HEADER } from '../backend/served-by.ts';
import { ShoalError } from '../config/errors.ts';
import type { Secret } from '../config/secret.ts';
import { lossSchema, type Status, statusSchema } from '../mesh/protocol/status.ts';
import { isUntrusted, type ServerFetch, untrustedHint } from './server-trust.ts';

/** What the command line asks of a server; a server in this process is asked without a socket. */
export interface ApiClient {
  readonly baseUrl: string;
  readonly fetch: ServerFetch;
  /** For a server that asks for one. */
  readonly apiKey?: Secret;
}

export type Question =
  | { readonly type: 'chat'; readonly messages: readonly ChatMessage[] }
  /** Completed as it is, without a chat template; '' starts from the BOS token alone. */
  | { readonly type: 'raw'; readonly text: string };

export interface ChatMessage {
  readonly role: 'system' | 'user' | 'assistant';
  readonly content: string;
}

export interface AskOptions {
  readonly temperature: number;
  readonly maxTokens?: number;
  readonly seed?: number;
}

export interface Answer {
  readonly text: string;
  readonly finishReason: string | null;
  /** Absent where a proxy backend answered. */
  readonly served: z.infer<typeof servedSchema> | null;
  /** Which of the server's nodes gave it; null where it does not say. */
  readonly node: AnsweringNode | null;
  /** Null where the backend does not count. */
  readonly usage: { readonly promptTokens: number; readonly completionTokens: number } | null;
  /** From the first piece of text to the last. */
  readonly streamMs: number;
}

export interface ListedModel {
  readonly id: string;
  /** Tokens of a conversation, where the server knows. */
  readonly contextLength?: number;
}

const servedSchema = z.object({
  stages: z.array(z.object({ name: z.string(), layers: z.tuple([z.number(), z.number()]) })),
  restarts: z.number(),
  /** A server of another version may tell them otherwise; the answer is there all the same. */
  losses: z.array(lossSchema).nullish().catch(null),
  crossings: z.number().nullish(),
  tokens_per_second: z.number().nullish(),
});

const errorSchema = z.object({ message: z.string(), code: z.union([z.string(), z.number()]).nullish() });

const chunkSchema = z.object({
  choices: z
    .array(
      z.object({
        text: z.string().nullish(),
        delta: z.object({ content: z.string().nullish() }).nullish(),
        finish_reason: z.string().nullish(),
      }),
    )
    .default([]),
  shoal: servedSchema.nullish(),
  // Counted in any form by others; none is none.
  usage: z.object({ prompt_tokens: z.number(), completion_tokens: z.number() }).nullish().catch(null),
  // Backends write an empty one beside their choices, in any form.
  error: errorSchema.nullish().catch(null),
});

const modelsSchema = z.object({
  data: z.array(z.object({ id: z.string(), max_model_len: z.number().nullish() })),
});

/** @throws BACKEND_FAILED where the server cannot be reached or answers something else */
export async function fetchStatus(client: ApiClient, signal: AbortSignal): Promise<Status> {
  const body = await getJson(client, '/api/status', signal).catch((error: unknown) => {
    if (error instanceof SyntaxError) return null;
    throw error;
  });
  const parsed = statusSchema.safeParse(body);
  if (parsed.success) return parsed.data;
  throw new ShoalError(
    'BACKEND_FAILED',
    `${client.baseUrl}/api/status answers something else than this version of Shoal knows; is it a Shoal server, of the same version?`,
  );
}

/** @throws BACKEND_FAILED */
export async function listModels(client: ApiClient, signal: AbortSignal): Promise<readonly ListedModel[]> {
  return modelsSchema
    .parse(await getJson(client, '/v1/models', signal))
    .data.map(({ id, max_model_len }) => ({
      id,
      ...(max_model_len != null && { contextLength: max_model_len }),
    }));
}

/** @throws BACKEND_FAILED; MODEL_NOT_FOUND where the server lists none */
export async function firstModel(client: ApiClient, signal: AbortSignal): Promise<string> {
  const [first] = await listModels(client, signal);
  if (first === undefined) throw new ShoalError('MODEL_NOT_FOUND', `${client.baseUrl} lists no model`);
  return first.id;
}

/**
 * Asks and streams the answer.
 * @param onText called with every piece as it comes
 * @throws ShoalError with the server's own code and sentence
 */
export async function ask(
  client: ApiClient,
  model: string,
  question: Question,
  { temperature, maxTokens, seed }: AskOptions,
  signal: AbortSignal,
  onText: (text: string) => void = () => {},
): Promise<Answer> {
  const common = {
    model,
    stream: true,
    stream_options: { include_usage: true },
    temperature,
    ...(maxTokens !== undefined && { max_tokens: maxTokens }),
    ...(seed !== undefined && { seed }),
  };
  const response =
    question.type === 'chat'
      ? await request(client, '/v1/chat/completions', signal, { ...common, messages: question.messages })
      : await request(client, '/v1/completions', signal, { ...common, prompt: question.text });
  let text = '';
  let finishReason: string | null = null;
  let served: Answer['served'] = null;
  let usage: Answer['usage'] = null;
  let firstMs: number | null = null;
  let lastMs = 0;
  for await (const data of serverSentData(response)) {
    if (data === '[DONE]') break;
    const chunk = chunkSchema.parse(JSON.parse(data));
    if (chunk.error?.message) throw fromApiError(chunk.error);
    const choice = chunk.choices[0];
    const piece = choice?.delta?.content ?? choice?.text ?? '';
    if (piece !== '') {
      text += piece;
      lastMs = performance.now();
      firstMs ??= lastMs;
      onText(piece);
    }
    // An empty one is not given.
    finishReason = choice?.finish_reason || finishReason;
    served = chunk.shoal ?? served;
    if (chunk.usage != null)
      usage = { promptTokens: chunk.usage.prompt_tokens, completionTokens: chunk.usage.completion_tokens };
  }
  if (finishReason === null)
    throw new ShoalError('BACKEND_FAILED', 'the answer ended without a finish reason');
  const node = readServedBy(response.headers.get(SERVED_BY_HEADER));
  return { text, finishReason, served, node, usage, streamMs: lastMs - (firstMs ?? lastMs) };
}

async function getJson(client: ApiClient, path: string, signal: AbortSignal): Promise<unknown> {
  return (await request(client, path, signal)).json();
}

async function request(
  { baseUrl, fetch, apiKey }: ApiClient,
  path: string,
  signal: AbortSignal,
  body?: object,
): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(`${baseUrl}${path}`, {
      signal,
      headers: {
        ...(body && { 'content-type': 'application/json' }),
        ...(apiKey && { authorization: `Bearer ${apiKey.reveal()}` }),
      },
      ...(body && { method: 'POST', body: JSON.stringify(body) }),
    });
  } catch (error) {
    if (signal.aborted) throw new ShoalError('ABORTED', 'interrupted', { cause: error });
    const cause = error instanceof Error ? error.cause : undefined;
    if (cause instanceof ShoalError) throw cause;
    throw new ShoalError('BACKEND_FAILED', `${baseUrl} cannot be reached; ${await hintAt(baseUrl, cause)}`, {
      cause: error,
    });
  }
  if (response.ok) return response;
  const parsed = z.object({ error: errorSchema }).safeParse(await response.json().catch(() => null));
  if (parsed.success) throw fromApiError(parsed.data.error);
  const hint = response.status === 404 ? '; is it a Shoal server, and the url without a path?' : '';
  throw new ShoalError('BACKEND_FAILED', `${baseUrl}${path} answered ${response.status}${hint}`);
}

async function hintAt(server: string, cause: unknown): Promise<string> {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
  if (code === 'ENOTFOUND') return 'its name has no address (ENOTFOUND); check the spelling';
  if (isUntrusted(code)) return untrustedHint(server, code);
  if (/WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG/.test(code)) return 'it speaks no TLS; say http://';
  if (code === 'UND_ERR_SOCKET' && server.startsWith('http:'))
    return 'it closed the connection; does it want https://?';
  return 'is the server running there?';
}

/** The API spells codes in lower case (OpenAI's custom). */
function fromApiError({ message, code }: z.infer<typeof errorSchema>): ShoalError {
  return new ShoalError(errorCodeOf(String(code ?? '')) ?? 'BACKEND_FAILED', message);
}

async function* serverSentData(response: Response): AsyncGenerator<string> {
  if (response.body === null) return;
  const events = response.body
    .pipeThrough(new TextDecoderStream() as unknown as TransformStream<Uint8Array, string>)
    .pipeThrough(new EventSourceParserStream());
  for await (const event of events) yield event.data;
}
