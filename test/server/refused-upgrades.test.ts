import { connect, type Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { pino } from 'pino';
import { afterEach, expect, it } from 'vitest';
import { type RunningServer, startServer } from '../../src/server/server.ts';
import { proxyNode, StreamingBackend } from '../support/streaming-backend.ts';

const pageDirectory = fileURLToPath(new URL('./no-page', import.meta.url));
let server: RunningServer;
afterEach(() => server.close());

async function start(): Promise<void> {
  const node = proxyNode(new StreamingBackend('m'));
  server = await startServer({ node, port: 0, pageDirectory, log: pino({ level: 'silent' }) });
}

const handshake = (path: string) =>
  `GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
  'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n';

/** Keeps its own end open, whatever the server does with its. */
function open(): Promise<Socket> {
  return new Promise((resolve) => {
    const socket = connect({ port: server.port, host: '127.0.0.1', allowHalfOpen: true }, () =>
      resolve(socket),
    );
  });
}

it('survives clients that reset the connection right after they asked for a WebSocket that is not there', async () => {
  await start();
  // An error that nobody listens to ends the process; here it fails the run.
  for (let i = 0; i < 200; i++) {
    const socket = await open();
    socket.write(handshake('/nowhere'), () => socket.resetAndDestroy());
    await new Promise((resolve) => socket.once('close', resolve));
  }
  expect((await fetch(`${server.url}/health/live`)).status).toBe(200);
});

it.each(['/nowhere', '/provide?', '/signal'])(
  'keeps no connection of who was refused at %s',
  async (path) => {
    await start();
    const socket = await open();
    const host = path === '/provide?' ? 'evil.example' : 'localhost';
    socket.write(handshake(path).replace('localhost', host));
    let answer = '';
    socket.on('data', (data) => {
      answer += data;
    });
    await new Promise((resolve) => socket.once('end', resolve));
    expect(answer).toMatch(/^HTTP\/1\.1 40[34] /);
    // A connection that still stood would take this.
    const reset = new Promise((resolve) => socket.once('error', resolve));
    const knock = setInterval(() => socket.write('x'), 20);
    expect(await reset).toMatchObject({ code: expect.stringMatching(/EPIPE|ECONNRESET/) });
    clearInterval(knock);
  },
);
