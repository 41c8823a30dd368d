import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Received {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: Record<string, unknown>;
}

type Handler = (response: ServerResponse, received: Received) => unknown;

/** Somebody's OpenAI-compatible server, on a real socket. */
export class UpstreamServer {
  readonly received: Received[] = [];
  /** Set per test. */
  handler: Handler = (response) => response.writeHead(500).end();
  /** Requests whose connection the other side closed before the answer was complete. */
  hangUps = 0;
  readonly #server = createServer(async (request, response) => {
    response.on('close', () => {
      if (!response.writableFinished) this.hangUps++;
    });
    let text = '';
    for await (const chunk of request) text += chunk;
    const received = {
      method: request.method!,
      path: request.url!,
      headers: request.headers,
      body: text === '' ? {} : JSON.parse(text),
    };
    this.received.push(received);
    await this.handler(response, received);
  });

  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  close(): Promise<void> {
    this.#server.closeAllConnections();
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }
}

export const json =
  (value: unknown, status = 200, headers: Record<string, string> = {}): Handler =>
  (response) => {
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(value));
  };

export const chunk = (content: string, finish: string | null = null) => ({
  id: 'chatcmpl-1',
  object: 'chat.completion.chunk',
  created: 1,
  model: 'llama3-8b',
  choices: [{ index: 0, delta: { content }, logprobs: null, finish_reason: finish }],
});

export const event = (value: unknown) => `data: ${JSON.stringify(value)}\n\n`;

/** Writes the pieces; `end` says how the connection is left. */
export const streams =
  (pieces: readonly (string | Uint8Array)[], end: 'end' | 'reset' | 'open' = 'end'): Handler =>
  async (response) => {
    response.writeHead(200, {
      'content-type': 'text/event-stream',
      'set-cookie': 'session=1',
      'x-request-id': 'r1',
    });
    for (const piece of pieces) await new Promise((resolve) => response.write(piece, resolve));
    if (end === 'end') response.end();
    if (end === 'reset') response.destroy();
  };
