import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';

export interface ResumedAnswer {
  readonly text: string;
  /** Connections that it took. */
  readonly connections: number;
  /** The longest time between two pieces, ms. */
  readonly longestPauseMs: number;
}

interface Event {
  readonly error?: { readonly message: string; readonly code?: string };
  readonly choices?: readonly { readonly delta?: { readonly content?: string } }[];
}

/**
 * A chat that is streamed over as many connections as it takes: the same POST with the same `Idempotency-Key`, and with the
 * `Last-Event-ID` of what has come already.
 * @param onPiece hears each piece with its number, from 1
 * @throws the server's error event or status; a timeout after `deadlineMs`
 */
export async function resumableChat(
  url: string,
  body: Record<string, unknown>,
  deadlineMs: number,
  onPiece: (count: number) => void = () => {},
): Promise<ResumedAnswer> {
  const key = randomUUID();
  const endsAt = performance.now() + deadlineMs;
  let [text, lastEventId, connections, count] = ['', '', 0, 0];
  let [heardAt, longestPauseMs] = [performance.now(), 0];
  while (performance.now() < endsAt) {
    connections++;
    try {
      const response = await fetch(`${url}/v1/chat/completions`, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          'idempotency-key': key,
          ...(lastEventId !== '' && { 'last-event-id': lastEventId }),
        },
        body: JSON.stringify({ stream: true, ...body }),
        signal: AbortSignal.timeout(Math.max(1, Math.ceil(endsAt - performance.now()))),
      });
      if (response.status === 503 || response.status === 429) {
        await response.body?.cancel();
        await delay(250);
        continue;
      }
      if (!response.ok) throw new ServerError(`${response.status}: ${await response.text()}`);
      for await (const { id, data } of eventsOf(response.body!)) {
        if (id !== '') lastEventId = id;
        if (data === '[DONE]') return { text, connections, longestPauseMs };
        const event = JSON.parse(data) as Event;
        if (event.error) throw new ServerError(event.error.message);
        const piece = event.choices?.[0]?.delta?.content ?? '';
        if (piece === '') continue;
        text += piece;
        longestPauseMs = Math.max(longestPauseMs, performance.now() - heardAt);
        heardAt = performance.now();
        onPiece(++count);
      }
    } catch (thrown) {
      if (thrown instanceof ServerError) throw thrown;
      // The server is away.
      await delay(200);
    }
  }
  throw new Error(`no whole answer in ${deadlineMs} ms; ${count} pieces over ${connections} connections`);
}

export class ServerError extends Error {}

/** Server-sent events: each one's id ('' without) and data. */
async function* eventsOf(body: ReadableStream<Uint8Array>): AsyncGenerator<{ id: string; data: string }> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const bytes of body) {
    rest += decoder.decode(bytes, { stream: true });
    const blocks = rest.split('\n\n');
    rest = blocks.pop()!;
    for (const block of blocks) {
      const field = (name: string) =>
        block
          .split('\n')
          .find((line) => line.startsWith(`${name}:`))
          ?.slice(name.length + 1)
          .trim() ?? '';
      const data = field('data');
      if (data !== '') yield { id: field('id'), data };
    }
  }
}
