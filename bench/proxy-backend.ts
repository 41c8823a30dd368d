/**
 * The backend of the proxy bench, a process of its own: streams as many events as a request says, as fast as it says, and
 * notes when clients hang up.
 */
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** Keys of the request's body beside OpenAI's. */
export interface BenchRequest {
  readonly events: number;
  /** 0: as fast as the connection takes them. */
  readonly interval_ms: number;
  readonly event_bytes: number;
  readonly tag?: string;
}

/** `GET /noted`: by tag. */
export interface Noted {
  /** Milliseconds since 1970, with fractions. */
  readonly hungUpAt: Record<string, number>;
  readonly writtenBytes: Record<string, number>;
}

const noted: Noted = { hungUpAt: {}, writtenBytes: {} };
const epochMs = () => performance.timeOrigin + performance.now();

const server = createServer(async (request, response) => {
  if (request.method === 'GET') {
    const value = request.url === '/noted' ? noted : { object: 'list', data: [{ id: 'bench' }] };
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(value));
    return;
  }
  let text = '';
  for await (const chunk of request) text += chunk;
  const asked = JSON.parse(text) as BenchRequest;
  response.on('close', () => {
    if (!response.writableFinished && asked.tag !== undefined) noted.hungUpAt[asked.tag] = epochMs();
  });
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  await stream(response, asked);
});

async function stream(response: ServerResponse, asked: BenchRequest): Promise<void> {
  const content = 'x'.repeat(asked.event_bytes);
  for (let at = 0; at < asked.events && !response.destroyed; at++) {
    const finish = at === asked.events - 1 ? 'stop' : null;
    const event = `data: ${JSON.stringify({ id: 'chatcmpl-bench', object: 'chat.completion.chunk', created: 1, model: 'bench', choices: [{ index: 0, delta: { content }, logprobs: null, finish_reason: finish }] })}\n\n`;
    const hasRoom = response.write(event);
    if (asked.tag !== undefined) {
      noted.writtenBytes[asked.tag] = (noted.writtenBytes[asked.tag] ?? 0) + event.length;
    }
    if (!hasRoom) {
      await new Promise<void>((resolve) => {
        const goOn = () => {
          response.off('drain', goOn).off('close', goOn);
          resolve();
        };
        response.on('drain', goOn).on('close', goOn);
      });
    }
    if (asked.interval_ms > 0) await new Promise((resolve) => setTimeout(resolve, asked.interval_ms));
  }
  response.end('data: [DONE]\n\n');
}

server.listen(0, '127.0.0.1', () => {
  process.send?.(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
});
