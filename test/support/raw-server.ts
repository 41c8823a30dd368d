import { type AddressInfo, createServer, type Socket } from 'node:net';

/** A server that answers with whatever bytes it is told to, as no HTTP library would. */
export class RawServer {
  /** Set per test; called when a whole request has come. */
  script: (socket: Socket) => unknown = (socket) => socket.destroy();
  requests = 0;
  connections = 0;
  readonly #open = new Set<Socket>();
  readonly #server = createServer((socket) => {
    this.connections++;
    this.#open.add(socket);
    socket.on('close', () => this.#open.delete(socket));
    // Resets are part of the game.
    socket.on('error', () => {});
    let request = '';
    socket.on('data', (bytes) => {
      request += bytes.toString('latin1');
      const headEnd = request.indexOf('\r\n\r\n');
      if (headEnd === -1) return;
      const length = Number(/content-length: (\d+)/i.exec(request)?.[1] ?? 0);
      if (request.length < headEnd + 4 + length) return;
      request = request.slice(headEnd + 4 + length);
      this.requests++;
      this.script(socket);
    });
  });

  get open(): number {
    return this.#open.size;
  }

  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  close(): Promise<void> {
    for (const socket of this.#open) socket.destroy();
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }
}

export const head = (status: string, headers: Record<string, string | number>) =>
  `HTTP/1.1 ${status}\r\n${Object.entries(headers)
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join('')}\r\n`;

export const EVENTS_HEAD = head('200 OK', {
  'content-type': 'text/event-stream',
  'transfer-encoding': 'chunked',
});

/** One chunk of chunked transfer coding. */
export function chunked(data: string | Uint8Array): Buffer {
  const bytes = Buffer.from(data as string);
  return Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from('\r\n')]);
}
export const LAST_CHUNK = '0\r\n\r\n';

/** A whole response with the right length. */
export const whole = (status: string, type: string, body: string, headers: Record<string, string> = {}) =>
  head(status, { 'content-type': type, 'content-length': Buffer.byteLength(body), ...headers }) + body;
