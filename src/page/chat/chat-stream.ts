import { EventSourceParserStream } from 'eventsource-parser/stream';
import { z } from 'zod';
import { LENDERS_HEADER, readServedBy, SERVED_BY_HEADER } from '../../backend/served-by.ts';
import { lossSchema } from '../../mesh/protocol/status.ts';

export interface ChatMessage {
  readonly role: 'system' | 'user' | 'assistant';
  readonly content: string;
}

/** The mesh's own report of an answer. */
export const servedSchema = z.object({
  stages: z.array(
    z.object({ peer: z.string(), name: z.string(), layers: z.tuple([z.number(), z.number()]) }),
  ),
  restarts: z.number(),
  losses: z.array(lossSchema).nullish(),
  crossings: z.number().nullish(),
  time_to_first_token_ms: z.number().nullish(),
  tokens_per_second: z.number().nullish(),
});
export type Served = z.infer<typeof servedSchema>;

/** Which node answered, and who lends it. */
export const answeredBySchema = z.object({
  name: z.string(),
  lender: z.object({ id: z.string(), name: z.string() }).optional(),
});
export type AnsweredBy = z.infer<typeof answeredBySchema>;

const errorSchema = z.object({
  message: z.string(),
  code: z.union([z.string(), z.number()]).nullish(),
  type: z.string().nullish(),
});

const chunk = z.object({
  choices: z
    .array(
      z.object({
        delta: z
          .object({
            content: z.string().nullish(),
            /** DeepSeek's name and vLLM's; then OpenRouter's and Ollama's. */
            reasoning_content: z.string().nullish(),
            reasoning: z.string().nullish(),
          })
          .nullish(),
        finish_reason: z.string().nullish(),
      }),
    )
    .default([]),
  usage: z.object({ prompt_tokens: z.number(), completion_tokens: z.number() }).nullish(),
  shoal: servedSchema.nullish(),
  // Backends write an empty one beside their choices, in any form.
  error: errorSchema
    .extend({ message: z.string().min(1) })
    .nullish()
    .catch(null),
});

export type ChatEvent =
  | { readonly type: 'by'; readonly by: AnsweredBy }
  | { readonly type: 'text'; readonly text: string }
  | { readonly type: 'reasoning'; readonly text: string }
  | { readonly type: 'served'; readonly served: Served }
  | { readonly type: 'usage'; readonly promptTokens: number; readonly completionTokens: number }
  | { readonly type: 'finish'; readonly reason: string };

export interface ChatRequest {
  readonly model: string;
  readonly messages: readonly ChatMessage[];
  /** Ids of the lenders that may read it. */
  readonly lenders: readonly string[];
  /** Not every server knows how to be asked for it. */
  readonly wantsUsage: boolean;
  /** Empty: none is sent. */
  readonly apiKey: string;
}

/** The server's sentence. */
export class ChatError extends Error {
  override readonly name = 'ChatError';
  /** `key`: for want of a valid one; `context`: the conversation is too long; `gone`: nobody may answer for the model. */
  readonly kind: 'key' | 'context' | 'gone' | 'other';

  constructor(message: string, kind: ChatError['kind']) {
    super(message);
    this.kind = kind;
  }
}

/**
 * Streams one answer from this server's `/v1/chat/completions`.
 * @throws ChatError; AbortError when `signal` fires
 */
export async function* streamChat(request: ChatRequest, signal: AbortSignal): AsyncGenerator<ChatEvent> {
  const { model, messages, lenders, wantsUsage, apiKey } = request;
  const response = await fetch('v1/chat/completions', {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      [LENDERS_HEADER]: lenders.join(','),
      ...(apiKey !== '' && { authorization: `Bearer ${apiKey}` }),
    },
    body: JSON.stringify({
      model,
      messages,
      stream: true,
      ...(wantsUsage && { stream_options: { include_usage: true } }),
    }),
    signal,
  }).catch(lost);
  if (!response.ok || response.body === null) {
    const body = z.object({ error: errorSchema }).safeParse(await response.json().catch(() => null));
    if (body.success) throw chatError(body.data.error, response.status);
    throw chatError({ message: `The server answered ${response.status}.` }, response.status);
  }
  const by = readServedBy(response.headers.get(SERVED_BY_HEADER));
  if (by !== null) yield { type: 'by', by };
  const events = response.body
    .pipeThrough(new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>)
    .pipeThrough(new EventSourceParserStream())
    .getReader();
  let isFinished = false;
  // Not `for await`: Safari has no async iteration of streams before 26.
  while (true) {
    const { done, value: event } = await events.read().catch(lost);
    if (done && !isFinished) throw new ChatError('The answer broke off. Ask again.', 'other');
    if (done || event.data === '[DONE]') return;
    const parsed = readChunk(event.data);
    if (parsed.error) throw chatError(parsed.error, 200);
    const choice = parsed.choices[0];
    const reasoning = choice?.delta?.reasoning_content || choice?.delta?.reasoning;
    if (reasoning) yield { type: 'reasoning', text: reasoning };
    if (choice?.delta?.content) yield { type: 'text', text: choice.delta.content };
    if (parsed.shoal) yield { type: 'served', served: parsed.shoal };
    if (choice?.finish_reason) {
      isFinished = true;
      yield { type: 'finish', reason: choice.finish_reason };
    }
    if (parsed.usage) {
      const { prompt_tokens: promptTokens, completion_tokens: completionTokens } = parsed.usage;
      yield { type: 'usage', promptTokens, completionTokens };
    }
  }
}

/** What a parser says of it tells a reader nothing. */
function readChunk(data: string): z.infer<typeof chunk> {
  try {
    return chunk.parse(JSON.parse(data));
  } catch {
    throw new ChatError(
      'The server sent a part of the answer that this page cannot read. Ask again.',
      'other',
    );
  }
}

/** What fetch says of a connection differs by browser, and tells nobody anything. */
function lost(thrown: unknown): never {
  if (!(thrown instanceof TypeError)) throw thrown;
  throw new ChatError('The connection to the server was lost. Ask again once it is back.', 'other');
}

/** Other servers tell of a conversation that is too long in their own words: llama.cpp by `type`, vLLM by its sentence. */
function chatError({ message, code, type }: z.infer<typeof errorSchema>, status: number): ChatError {
  if (status === 401) return new ChatError(message, 'key');
  const says = `${code ?? ''} ${type ?? ''}`;
  if (/context_length_exceeded|exceed_context_size/.test(says) || TOO_LONG.test(message))
    return new ChatError(message, 'context');
  return new ChatError(message, code === 'model_not_found' ? 'gone' : 'other');
}

const TOO_LONG = /(maximum|exceeds?|available) .{0,40}context (length|size|window)|maximum model length/i;
