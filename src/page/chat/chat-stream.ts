import { EventSourceParserStream } from 'eventsource-parser/stream';
import { z } from 'zod';

export interface ChatMessage {
  readonly role: 'user' | 'assistant';
  readonly content: string;
}

const served = z.object({
  stages: z.array(
    z.object({ peer: z.string(), name: z.string(), layers: z.tuple([z.number(), z.number()]) }),
  ),
  restarts: z.number(),
  time_to_first_token_ms: z.number().nullish(),
  tokens_per_second: z.number().nullish(),
});
export type Served = z.infer<typeof served>;

const chunk = z.object({
  choices: z
    .array(
      z.object({
        delta: z.object({ content: z.string().nullish() }).nullish(),
        finish_reason: z.string().nullish(),
      }),
    )
    .default([]),
  shoal: served.optional(),
  // Backends write an empty one beside their choices, in any form.
  error: z
    .object({ message: z.string().min(1) })
    .nullish()
    .catch(null),
});

export type ChatEvent =
  | { readonly type: 'text'; readonly text: string }
  | { readonly type: 'served'; readonly served: Served }
  | { readonly type: 'finish'; readonly reason: string };

export interface ChatAccess {
  /** Empty: none is sent. */
  readonly apiKey: string;
  /** Called when the server refuses for want of a valid one. */
  readonly onKeyNeeded: () => void;
}

/**
 * Streams one answer from this server's `/v1/chat/completions`.
 * @throws Error with the server's sentence; AbortError when `signal` fires
 */
export async function* streamChat(
  model: string,
  messages: readonly ChatMessage[],
  signal: AbortSignal,
  { apiKey, onKeyNeeded }: ChatAccess,
): AsyncGenerator<ChatEvent> {
  const response = await fetch('v1/chat/completions', {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      ...(apiKey !== '' && { authorization: `Bearer ${apiKey}` }),
    },
    body: JSON.stringify({ model, messages, stream: true }),
    signal,
  });
  if (response.status === 401) onKeyNeeded();
  if (!response.ok || response.body === null) {
    const body = z
      .object({ error: z.object({ message: z.string() }) })
      .safeParse(await response.json().catch(() => null));
    throw new Error(body.success ? body.data.error.message : `The server answered ${response.status}.`);
  }
  const events = response.body
    .pipeThrough(new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>)
    .pipeThrough(new EventSourceParserStream())
    .getReader();
  // Not `for await`: Safari has no async iteration of streams before 26.
  while (true) {
    const { done, value: event } = await events.read();
    if (done || event.data === '[DONE]') return;
    const parsed = chunk.parse(JSON.parse(event.data));
    if (parsed.error) throw new Error(parsed.error.message);
    const choice = parsed.choices[0];
    if (choice?.delta?.content) yield { type: 'text', text: choice.delta.content };
    if (parsed.shoal) yield { type: 'served', served: parsed.shoal };
    if (choice?.finish_reason) yield { type: 'finish', reason: choice.finish_reason };
  }
}
