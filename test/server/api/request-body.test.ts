import { once } from 'node:events';
import type { Server } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { Hono } from 'hono';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readJsonBody } from '../../../src/server/api/request-body.ts';
import { createHttpServer } from '../../../src/server/http/http-server.ts';

const MAX_BYTES = 64;
let server: Server;
let outcomes: unknown[];

beforeEach(async () => {
  outcomes = [];
  const app = new Hono();
  app.post('/', async (c) => {
    outcomes.push(await readJsonBody(c, { maxBytes: MAX_BYTES, maxValues: 3 }));
    return c.text('read');
  });
  app.onError((error, c) => {
    outcomes.push('code' in error ? error.code : error);
    return c.text('failed', 500);
  });
  server = createHttpServer({ fetch: app.fetch }, null);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
});
afterEach(() => new Promise((resolve) => server.close(resolve)));

async function send(text: string): Promise<void> {
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
  socket.write(`POST / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n${text}`);
  await expect.poll(() => outcomes.length, { timeout: 5_000 }).toBe(1);
  socket.destroy();
}

describe('readJsonBody', () => {
  it.each([
    ['of a told length', 'content-length: 7\r\n\r\n{"a":1}'],
    ['in chunks', 'transfer-encoding: chunked\r\n\r\n3\r\n{"a\r\n4\r\n":1}\r\n0\r\n\r\n'],
  ])('reads a body %s', async (_, text) => {
    await send(text);
    expect(outcomes).toEqual([{ body: { a: 1 }, text: '{"a":1}' }]);
  });

  it.each([
    ['before it is sent', 'content-length: 65\r\n\r\n'],
    ['as it comes', `transfer-encoding: chunked\r\n\r\n41\r\n${'x'.repeat(65)}\r\n`],
  ])('refuses one that is too large %s', async (_, text) => {
    await send(text);
    expect(outcomes).toEqual(['BODY_TOO_LARGE']);
  });

  it('refuses one of more values than it is read for', async () => {
    await send('content-length: 9\r\n\r\n[1,1,1,1]');
    expect(outcomes).toEqual(['INVALID_REQUEST']);
  });

  it('is no failure of the server when the client hangs up within it', async () => {
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
    const arrived = once(server, 'request');
    socket.write('POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 20\r\n\r\n{"a":');
    await arrived;
    socket.destroy();
    await expect.poll(() => outcomes, { timeout: 5_000 }).toEqual(['ABORTED']);
  });
});
