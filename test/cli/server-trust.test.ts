import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { fetchStatus } from '../../src/cli/api-client.ts';
import { lossReason } from '../../src/cli/browser/tab-state.ts';
import { commandName } from '../../src/cli/command-name.ts';
import { fingerprint } from '../../src/cli/option-values.ts';
import { trustLines } from '../../src/cli/serve.ts';
import { agentWith, fetchWith, pinnedCertificate, type TrustFlags } from '../../src/cli/server-trust.ts';
import { makeSelfSigned } from '../../src/server/http/self-signed.ts';
import { fingerprintOf } from '../../src/server/http/tls.ts';

const STATUS = {
  provider: 'custom',
  ready: true,
  detail: 'here',
  model: null,
  pipeline: null,
  workers: [],
  nodes: [],
  requestsInFlight: 0,
};
const OTHER = `sha256:${'0'.repeat(64)}`;

let server: Server;
let url: string;
let right: string;
/** What reached the server, however it was refused. */
const seen: string[] = [];

beforeAll(async () => {
  // Made for another name: a fingerprint holds for any.
  const certificate = await makeSelfSigned('elsewhere.example');
  right = fingerprintOf(certificate.cert);
  server = createServer(certificate, (request, response) => {
    seen.push(request.url!);
    if (request.url === '/away') response.writeHead(302, { location: url.replace('https', 'http') });
    response.end(JSON.stringify(STATUS));
  });
  const sockets = new WebSocketServer({ server });
  sockets.on('connection', () => seen.push('socket'));
  await once(server.listen(0, '127.0.0.1'), 'listening');
  url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => {
  server.close();
  server.closeAllConnections();
});

const status = (trust: TrustFlags, baseUrl = url) =>
  fetchStatus({ baseUrl, fetch: fetchWith(baseUrl, trust) }, AbortSignal.timeout(20_000));
const opened = (trust: TrustFlags) =>
  new Promise<string>((resolve) => {
    const socket = new WebSocket(url.replace('https', 'wss'), { agent: agentWith(url, trust) });
    socket.once('open', () => resolve('open'));
    socket.once('error', (error) => resolve(`${error}`));
  });

describe('a self-signed server', () => {
  it('is taken with its fingerprint, over HTTP and as a WebSocket, again and again', async () => {
    for (const _ of [1, 2]) expect(await status({ tlsFingerprint: right })).toMatchObject({ detail: 'here' });
    expect(await opened({ tlsFingerprint: right })).toBe('open');
    expect(fingerprintOf(await pinnedCertificate(url, right))).toBe(right);
  });

  it('that sends the client on to one without TLS is not followed there', async () => {
    const fetched = fetchWith(url, { tlsFingerprint: right })(`${url}/away`, {});
    await expect(fetched).rejects.toMatchObject({
      cause: { code: 'CERTIFICATE_REFUSED', message: expect.stringContaining('without TLS') },
    });
  });

  it('with another fingerprint is sent nothing, and both are named', async () => {
    seen.length = 0;
    const refused = { code: 'CERTIFICATE_REFUSED', message: expect.stringContaining(OTHER) };
    await expect(status({ tlsFingerprint: OTHER })).rejects.toMatchObject(refused);
    await expect(status({ tlsFingerprint: OTHER, insecure: true })).rejects.toThrow(right);
    await expect(pinnedCertificate(url, OTHER)).rejects.toMatchObject(refused);
    expect(await opened({ tlsFingerprint: OTHER })).toMatch(/CERTIFICATE_REFUSED/);
    expect(seen).toEqual([]);
  });

  it('is refused without a flag, and the flag to give is named, with what it has', async () => {
    await expect(status({})).rejects.toMatchObject({
      code: 'BACKEND_FAILED',
      message: expect.stringMatching(
        new RegExp(
          `not trusted here \\(\\w+\\).*the same fingerprint.*--tls-fingerprint ${right}.*--insecure`,
        ),
      ),
    });
    expect(await opened({})).toMatch(/self-signed/);
  });

  it('is taken with --insecure, whatever it shows', async () => {
    expect(await status({ insecure: true })).toMatchObject({ detail: 'here' });
    expect(await opened({ insecure: true })).toBe('open');
  });
});

it('tells http from https, and a server that is not there', async () => {
  expect(() => fetchWith('http://h', { tlsFingerprint: right })).toThrow(/https:\/\//);
  await expect(status({}, url.replace('https', 'http'))).rejects.toThrow(/does it want https/);
  const plain = createHttpServer((_, response) => response.end('{}')).listen(0, '127.0.0.1');
  await once(plain, 'listening');
  const plainUrl = `https://127.0.0.1:${(plain.address() as AddressInfo).port}`;
  await expect(status({}, plainUrl)).rejects.toThrow(/speaks no TLS; say http/);
  plain.close();
  plain.closeAllConnections();
  await expect(status({ tlsFingerprint: right }, 'https://127.0.0.1:1')).rejects.toThrow(
    'is the server running there?',
  );
  await expect(pinnedCertificate('https://127.0.0.1:1', right)).rejects.toThrow(/ECONNREFUSED/);
});

it('reads a fingerprint as browsers and the server print it', () => {
  const digits = 'AB'.repeat(32);
  const lower = `sha256:${digits.toLowerCase()}`;
  expect(fingerprint(lower)).toBe(lower);
  expect(fingerprint(digits.replaceAll(/..(?=.)/g, '$&:'))).toBe(lower);
  expect(fingerprint(`SHA256:${digits}`)).toBe(lower);
  for (const wrong of ['', 'sha256:', digits.slice(1), `sha1:${digits}`])
    expect(() => fingerprint(wrong)).toThrow('64 hex digits');
});

it('the server prints commands to copy, with its fingerprint and an address for others', async () => {
  const { cert } = await makeSelfSigned('127.0.0.1');
  const selfSigned = { pem: cert, fingerprint: fingerprintOf(cert) };
  const lines = trustLines({ selfSigned, urls: ['https://127.0.0.1:1', 'https://192.0.2.7:1'] });
  expect(lines[0]).toContain(selfSigned.fingerprint);
  expect(new X509Certificate(cert).fingerprint256.replaceAll(':', '').toLowerCase()).toBe(
    selfSigned.fingerprint.slice('sha256:'.length),
  );
  for (const command of ['worker', 'chat'])
    expect(lines.join('\n')).toContain(
      `${command} --server https://192.0.2.7:1 --tls-fingerprint ${selfSigned.fingerprint}`,
    );
  expect(trustLines({ selfSigned: null, urls: ['http://h'] })).toEqual([]);
});

it('names the command as it was started', () => {
  expect(commandName('/usr/local/bin/shoal', '/tmp')).toBe('shoal');
  expect(commandName('/home/me/.npm/_npx/1/node_modules/.bin/shoal', '/tmp')).toBe('npx shoal');
  expect(commandName('/src/shoal/bin/shoal.mjs', '/src/shoal')).toBe('node bin/shoal.mjs');
});

it('a tab that does not open says why in words', () => {
  expect(lossReason('net::ERR_CERT_AUTHORITY_INVALID at https://h:1/?auto=1')).toMatch(
    /not trusted here \(ERR_CERT_AUTHORITY_INVALID\).*--tls-fingerprint.*--insecure/,
  );
  expect(lossReason('net::ERR_CONNECTION_REFUSED at http://h')).toMatch(/nothing listens/);
  expect(lossReason('the tab crashed')).toBe('the tab crashed');
});
