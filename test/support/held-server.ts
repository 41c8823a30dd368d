import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A stream that has begun; `finish` sends the rest. */
export interface HeldStream {
  readonly isOpen: () => boolean;
  finish(rest?: string): void;
}

/** A small OpenAI-compatible server whose streams stand still after their first token until the test lets them go. */
export class HeldBackend {
  readonly streams: HeldStream[] = [];
  readonly name: string;
  readonly #server: Server;

  private constructor(name: string) {
    this.name = name;
    this.#server = createServer(async (request, response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      if (request.url === '/v1/models') {
        json(response, { object: 'list', data: [{ id: name, object: 'model', created: 0, owned_by: 't' }] });
      } else if (JSON.parse(String(Buffer.concat(chunks))).stream === true) this.#stream(response);
      else json(response, this.#answer('chat.completion', { message: { role: 'assistant', content: name } }));
    });
  }

  static async start(name: string): Promise<HeldBackend> {
    const backend = new HeldBackend(name);
    await new Promise<void>((resolve) => backend.#server.listen(0, '127.0.0.1', resolve));
    return backend;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
  }

  #stream(response: ServerResponse): void {
    const say = (content: string, finish: string | null) => {
      const chunk = this.#answer('chat.completion.chunk', { delta: { content } }, finish);
      response.write(`data: ${JSON.stringify(chunk)}\n\n`);
    };
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    say(`${this.name}: first`, null);
    this.streams.push({
      isOpen: () => !response.destroyed,
      finish: (rest = '') => {
        say(`${rest}, last`, 'stop');
        response.end('data: [DONE]\n\n');
      },
    });
  }

  #answer(object: string, choice: object, finish: string | null = 'stop'): object {
    const choices = [{ index: 0, ...choice, finish_reason: finish }];
    return { id: 'x', object, created: 0, model: this.name, choices };
  }
}

function json(response: ServerResponse, body: object): void {
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}
