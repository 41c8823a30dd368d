import type { Server } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { afterEach, expect, it } from 'vitest';
import { createHttpServer, listen } from '../../../src/server/http/http-server.ts';
import { until } from '../socket-timers.ts';

/** Short where the test waits for them to pass, and shorter than the answer that must survive them. */
const TIMES = { headers: 100, request: 200, keepAlive: 1_000, check: 20 };
let server: Server;

afterEach(async () => {
  await new Promise((resolve) => {
    server.close(resolve);
    server.closeAllConnections();
  });
});

async function start(answer: (request: Request) => Promise<Response>): Promise<number> {
  server = createHttpServer({ fetch: answer }, null, TIMES);
  await listen(server, 0, '127.0.0.1');
  return (server.address() as AddressInfo).port;
}

/** Writes raw bytes and collects what comes back until the server closes. */
function raw(port: number, ...pieces: readonly string[]) {
  const socket = connect(port, '127.0.0.1');
  let received = '';
  socket.setEncoding('utf8').on('data', (text) => {
    received += text;
  });
  socket.on('error', () => {});
  for (const piece of pieces) socket.write(piece);
  const closed = new Promise<string>((resolve) => socket.on('close', () => resolve(received)));
  return { socket, closed };
}

it('cuts off a client that is slow with its headers: 408', async () => {
  const port = await start(async () => new Response('never'));
  const { socket, closed } = raw(port, 'POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n');
  const drip = setInterval(() => socket.write('x-slow: 1\r\n'), 20);
  expect(await closed).toMatch(/^HTTP\/1\.1 408 /);
  clearInterval(drip);
});

it('cuts off a client that is slow with its body: 408, and the handler is told', async () => {
  let outcome = '';
  const port = await start(async (request) => {
    await request.text().catch(() => {
      outcome = 'cut off';
    });
    return new Response('too late');
  });
  const { socket, closed } = raw(
    port,
    'POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n',
  );
  const drip = setInterval(() => socket.write('x'), 20);
  expect(await closed).toMatch(/^HTTP\/1\.1 408 /);
  clearInterval(drip);
  await until(() => outcome === 'cut off');
});

it('cuts no answer off, however long it takes', async () => {
  let say: (text: string) => void = () => {};
  let end = () => {};
  const port = await start(async (request) => {
    await request.text();
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        say = (text) => controller.enqueue(new TextEncoder().encode(text));
        end = () => controller.close();
      },
    });
    return new Response(body);
  });
  const response = await fetch(`http://127.0.0.1:${port}/`, { method: 'POST', body: '{}' });
  // Three times every bound on what a client sends.
  for (let i = 0; i < 6; i++) {
    await new Promise((resolve) => setTimeout(resolve, TIMES.request / 2));
    say(`${i}`);
  }
  end();
  expect(await response.text()).toBe('012345');
});

it('refuses headers that are too large: 431', async () => {
  const port = await start(async () => new Response('never'));
  const { closed } = raw(port, `GET / HTTP/1.1\r\nHost: localhost\r\nx-large: ${'x'.repeat(20_000)}\r\n\r\n`);
  expect(await closed).toMatch(/^HTTP\/1\.1 431 /);
});

it.each([
  ['1.1', /transfer-encoding: chunked\r\n.*\r\n\r\n9\r\ndata: 1\n\n\r\n9\r\ndata: 2\n\n\r\n0\r\n\r\n$/s],
  // Which knows no chunks.
  ['1.0', /^(?!.*chunked).*\r\n\r\ndata: 1\n\ndata: 2\n\n$/s],
])('sends a stream as it comes, without waiting to learn its length: HTTP/%s', async (version, expected) => {
  const port = await start(async () => {
    const events = ['data: 1\n\n', 'data: 2\n\n'];
    const body = new ReadableStream({
      pull(controller) {
        const event = events.shift();
        if (event === undefined) controller.close();
        else controller.enqueue(new TextEncoder().encode(event));
      },
    });
    return new Response(body, { headers: { 'content-type': 'text/event-stream; charset=utf-8' } });
  });
  const { closed } = raw(port, `GET / HTTP/${version}\r\nHost: localhost\r\nConnection: close\r\n\r\n`);
  expect(await closed).toMatch(expected);
});
