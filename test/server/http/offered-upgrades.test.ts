import { execFile } from 'node:child_process';
import type { Server } from 'node:http';
import { type AddressInfo, connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { promisify } from 'node:util';
import { afterEach, describe, expect, it } from 'vitest';
import { createHttpServer, listen } from '../../../src/server/http/http-server.ts';
import { makeSelfSigned } from '../../../src/server/http/self-signed.ts';
import { refuseUpgrade } from '../../../src/server/http/web-sockets.ts';
import { until } from '../socket-timers.ts';

const OFFER =
  'Host: localhost\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n';
const WEB_SOCKET =
  'GET /signal HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
  'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n';
const LAST = 'GET /last HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n';
const get = (path: string) => `GET ${path} HTTP/1.1\r\n${OFFER}\r\n`;

let server: Server;
const sockets: Socket[] = [];
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await new Promise((resolve) => {
    server.close(resolve);
    server.closeAllConnections();
  });
});

/** Answers with what it was asked, and takes no WebSocket. */
async function start(isTls = false): Promise<number> {
  const certificate = isTls ? await makeSelfSigned('127.0.0.1') : null;
  server = createHttpServer(
    {
      fetch: async (request) => {
        const text = await request.text();
        const said = text.length > 20 ? `${text.slice(0, 20)}… (${text.length})` : text;
        return new Response(`<${request.method} ${new URL(request.url).pathname} ${said}>`);
      },
    },
    certificate,
  );
  server.on('upgrade', (request, socket) => {
    refuseUpgrade(socket, request.url === '/signal' ? '426 Upgrade Required' : '404 Not Found');
  });
  await listen(server, 0, '127.0.0.1');
  return (server.address() as AddressInfo).port;
}

/** Writes each piece in a packet of its own. @returns everything that comes back, once it holds `awaited` */
async function said(
  port: number,
  pieces: readonly string[],
  awaited: RegExp,
  isTls = false,
): Promise<string> {
  const socket: Socket = isTls
    ? connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false })
    : connectTcp(port, '127.0.0.1');
  sockets.push(socket);
  let received = '';
  socket.setEncoding('utf8').on('data', (text) => {
    received += text;
  });
  socket.on('error', () => {});
  await new Promise((resolve) => socket.once(isTls ? 'secureConnect' : 'connect', resolve));
  for (const piece of pieces) {
    socket.write(piece);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  await until(() => awaited.test(received) || socket.closed);
  return received;
}

/** The status of each answer, and what was asked. */
const answers = (received: string) =>
  [...received.matchAll(/HTTP\/1\.1 (\d+)|<([^>]*)>/g)].map(([, status, asked]) => asked ?? status);

describe.each([false, true])('an offer that is not wanted (over TLS: %s)', (isTls) => {
  it.each(['GET', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH'])('is ignored: %s', async (method) => {
    const port = await start(isTls);
    const body = '{"model":"minnow"}';
    const hasBody = method !== 'GET' && method !== 'OPTIONS';
    const request =
      `${method} /v1/any HTTP/1.1\r\n${OFFER}` +
      (hasBody ? `Content-Length: ${body.length}\r\n\r\n${body}` : '\r\n');
    const received = await said(port, [request, LAST], /\/last/, isTls);
    expect(answers(received)).toEqual([
      '200',
      `${method} /v1/any ${hasBody ? body : ''}`,
      '200',
      'GET /last ',
    ]);
    expect(received.split('\r\n\r\n')[0]).toMatch(/connection: keep-alive/i);
  });

  it.each([
    [
      'in a head that comes in pieces',
      ['GET /a HTTP/1.1\r\nHost: loc', `alhost\r\n${OFFER.slice(17)}\r`, '\n', LAST],
      ['GET /a '],
    ],
    [
      'with a body in chunks',
      [
        `POST /a HTTP/1.1\r\n${OFFER}Transfer-Encoding: chunked\r\n\r\n3\r\nab`,
        `c\r\n2\r\nde\r\n0\r\n\r\n`,
        LAST,
      ],
      ['POST /a abcde'],
    ],
    [
      'with a large body',
      [`POST /a HTTP/1.1\r\n${OFFER}Content-Length: 1000000\r\n\r\n`, `${'x'.repeat(1_000_000)}${LAST}`],
      [`POST /a ${'x'.repeat(20)}… (1000000)`],
    ],
    ['with an empty body', [`POST /a HTTP/1.1\r\n${OFFER}Content-Length: 0\r\n\r\n`, LAST], ['POST /a ']],
    ['again and again', [get('/a'), get('/b'), get('/c'), LAST], ['GET /a ', 'GET /b ', 'GET /c ']],
    [
      'again and again in one packet',
      [get('/a') + get('/b') + get('/c') + LAST],
      ['GET /a ', 'GET /b ', 'GET /c '],
    ],
    [
      'before half of a request whose body looks like one',
      [
        `${get('/a')}POST /b HTTP/1.1\r\nHost: localhost\r\nContent-Length: 28\r\n\r\nGET `,
        `/x HTTP/1.1\r\nHost: a\r\n\r\n${LAST}`,
      ],
      ['GET /a ', 'POST /b GET /x HTTP/1.1\r\nHos… (28)'],
    ],
    [
      'with chunks, before a request in the same packet',
      [
        `POST /a HTTP/1.1\r\n${OFFER}Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n${get('/b')}${LAST}`,
      ],
      ['POST /a a', 'GET /b '],
    ],
  ])('is ignored %s', async (_, pieces, asked) => {
    const port = await start(isTls);
    const received = await said(port, pieces, /\/last/, isTls);
    expect(answers(received).filter((text) => text !== '200')).toEqual([...asked, 'GET /last ']);
  });

  it('is ignored before a WebSocket handshake in the same packet', async () => {
    const port = await start(isTls);
    expect(await said(port, [get('/a') + get('/b') + WEB_SOCKET], / 4\d\d /, isTls)).toMatch(
      /HTTP\/1\.1 426 /,
    );
  });
});

it.each(['TLS/1.0', 'h2c, websocket', 'websocket, h2c', 'HTTP/2.0', 'websocketx', 'foo/2', ''])(
  'ignores an offer of "%s"',
  async (offer) => {
    const port = await start();
    const request = `GET /a HTTP/1.1\r\nHost: localhost\r\nConnection: upgrade\r\nUpgrade: ${offer}\r\n\r\n`;
    expect(answers(await said(port, [request, LAST], /\/last/))).toEqual([
      '200',
      'GET /a ',
      '200',
      'GET /last ',
    ]);
  },
);

it('takes a POST for what it is, whatever it offers: a WebSocket begins with a GET', async () => {
  const port = await start();
  const request = `POST /a HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 2\r\n\r\nhi`;
  expect(answers(await said(port, [request, LAST], /\/last/))).toContain('POST /a hi');
});

it.each(['websocket', 'WebSocket'])('leaves a handshake to who takes WebSockets: %s', async (protocol) => {
  const port = await start();
  const received = await said(port, [WEB_SOCKET.replace('websocket', protocol)], / 4\d\d /);
  expect(answers(received)).toEqual(['426']);
});

it.each([
  ['in the same packet', [`${get('/a')}NONSENSE\r\n\r\n`]],
  ['in the next', [get('/a'), 'NONSENSE\r\n\r\n']],
  ['as a chunk', [`POST /a HTTP/1.1\r\n${OFFER}Transfer-Encoding: chunked\r\n\r\n`, 'zz\r\n']],
])('still refuses what is no HTTP behind an offer: %s', async (_, pieces) => {
  const port = await start();
  expect(await said(port, pieces, /HTTP\/1\.1 400 /)).toMatch(/HTTP\/1\.1 400 /);
});

it('gives its connections’ parsers back as they were', async () => {
  const port = await start();
  for (let i = 0; i < 20; i++) {
    const received = await said(port, [get(`/${i}`), i % 2 ? LAST : get('/last')], /\/last/);
    expect(answers(received)).toEqual(['200', `GET /${i} `, '200', 'GET /last ']);
    for (const socket of sockets.splice(0)) socket.destroy();
  }
});

it('is read by curl, which offers h2c', async () => {
  const port = await start();
  const args = ['--http2', '-sS', '-m', '20', '-w', ' %{http_code} %{http_version}', '-d', '{}'];
  const found = await promisify(execFile)('curl', [...args, `http://127.0.0.1:${port}/a`]).catch(
    (error: NodeJS.ErrnoException & { stderr?: string }) => {
      // No curl, or one without HTTP/2: the offers above are the same bytes.
      if (error.code === 'ENOENT' || /http2|unsupported/i.test(error.stderr ?? '')) return null;
      throw error;
    },
  );
  if (found !== null) expect(found.stdout).toBe('<POST /a {}> 200 1.1');
});
