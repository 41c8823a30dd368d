import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { serve } from '@hono/node-server';
import { Hono } from 'hono';
import { type WebSocket, WebSocketServer } from 'ws';
import { CONTROL_VERSION, type ServerMessage } from '../../src/mesh/protocol/control.ts';
import type { Status } from '../../src/mesh/protocol/status.ts';
import { readPageFiles } from '../../src/server/files/page-files.ts';
import { pageResponse } from '../../src/server/files/page-response.ts';
import { securityHeaders } from '../../src/server/http/security-headers.ts';

/** The id that a page gets that joins. */
export const OWN_PEER = 'p-0123456789abcdef';

/**
 * The Web Worker's part of comlink's protocol without a GPU: it finds a device, and a load stays where the test has put it.
 */
const WORKER = `
let events;
addEventListener('message', ({ data }) => {
  if (data.type === 'events') events = data.port;
  if (data.type !== 'APPLY') return;
  const name = data.path[0];
  const adapter = { vendor: 'scripted', architecture: '', description: 'Scripted Graphics 9', isFallback: false };
  const capability = { adapter, maxBufferBytes: 1e9, maxStorageBindingBytes: 1e9, memoryBudgetBytes: 2e9,
    gemvMacsPerSecond: 2.4e9, userAgent: 'scripted' };
  const value = name === 'detect' ? { ok: true, capability } : undefined;
  postMessage({ id: data.id, type: 'RAW', value });
  const argument = data.argumentList[0]?.value;
  if (name === 'report') events.postMessage({ type: 'report', id: argument, held: [], links: [], running: [] });
  if (name !== 'command' || argument.type !== 'hold') return;
  const { shard } = argument;
  events.postMessage({ type: 'send', message:
    { type: 'load-progress', shard, phase: 'download', bytesDone: 1.2e6, bytesTotal: 4.1e6 } });
});`;

export interface ScriptedAnswer {
  /** Sent at once. */
  readonly begin: readonly object[];
  /** Sent when the test calls `finish`. */
  readonly end: readonly object[];
}

/** The built page before a server that says what a test has written down: every state of the mesh without a mesh. */
export class ScriptedMesh {
  readonly url: string;
  status: Status;
  answer: ScriptedAnswer = { begin: [], end: [] };
  /** Who joins has to bring it. */
  joinKey: string | null = null;
  readonly #server: Server;
  readonly #sockets: WebSocketServer;
  #finish: () => void = () => {};

  private constructor(server: Server, sockets: WebSocketServer, status: Status) {
    this.#server = server;
    this.#sockets = sockets;
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    this.status = status;
  }

  /** @param pageDirectory of the built page */
  static async start(pageDirectory: string, status: Status): Promise<ScriptedMesh> {
    const files = await readPageFiles(pageDirectory);
    const sockets = new WebSocketServer({ noServer: true });
    const app = new Hono();
    const server = await new Promise<Server>((resolve) => {
      const made = serve({ fetch: app.fetch, hostname: '127.0.0.1', port: 0 }, () => resolve(made as Server));
    });
    const mesh = new ScriptedMesh(server, sockets, status);
    app.use(securityHeaders);
    app.get('/api/status', (c) => c.json(mesh.status));
    app.post('/v1/chat/completions', () => mesh.#stream());
    app.get('/assets/:file{worker-.*\\.js}', (c) =>
      c.text(WORKER, 200, { 'content-type': 'text/javascript' }),
    );
    app.get('*', (c) => {
      const header = (name: string) => c.req.header(name);
      return pageResponse(files, { path: c.req.path, header }) ?? c.notFound();
    });
    server.on('upgrade', (request, socket, head) =>
      sockets.handleUpgrade(request, socket, head, (webSocket) => mesh.#greet(webSocket)),
    );
    return mesh;
  }

  /** To every page that is connected. */
  tell(message: ServerMessage): void {
    for (const socket of this.#sockets.clients) socket.send(JSON.stringify(message));
  }

  /** Lets the answer that is on its way go on to its end. */
  finish(): void {
    this.#finish();
  }

  async close(): Promise<void> {
    this.#finish();
    for (const socket of this.#sockets.clients) socket.terminate();
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
      if ('closeAllConnections' in this.#server) this.#server.closeAllConnections();
    });
  }

  #greet(socket: WebSocket): void {
    socket.on('message', (data) => {
      const { type, joinKey } = JSON.parse(String(data));
      if (type === 'drain') socket.send(JSON.stringify({ type: 'released' } satisfies ServerMessage));
      if (type !== 'hello') return;
      if (this.joinKey !== null && joinKey !== this.joinKey) {
        const error = {
          code: 'UNAUTHORIZED',
          message: 'this server takes workers with a join key only',
        } as const;
        socket.send(JSON.stringify({ type: 'error', error, fatal: true } satisfies ServerMessage));
        return;
      }
      const version = CONTROL_VERSION;
      const welcome: ServerMessage = { type: 'welcome', version, peer: OWN_PEER, iceServers: [] };
      socket.send(JSON.stringify(welcome));
    });
  }

  #stream(): Response {
    const { begin, end } = this.answer;
    const bytes = (events: readonly object[]) =>
      new TextEncoder().encode(events.map((event) => `data: ${JSON.stringify(event)}\n\n`).join(''));
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        controller.enqueue(bytes(begin));
        this.#finish = () => {
          this.#finish = () => {};
          controller.enqueue(bytes(end));
          controller.enqueue(new TextEncoder().encode('data: [DONE]\n\n'));
          controller.close();
        };
      },
    });
    return new Response(body, { headers: { 'content-type': 'text/event-stream' } });
  }
}
