/** A hub behind mirrors that only redirect, as HF_ENDPOINT may name one. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MAX_HUB_REDIRECTS } from '../../../src/config/limits.ts';
import { Secret } from '../../../src/config/secret.ts';
import { openModelDirectory } from '../../../src/model/directory.ts';
import { HubClient } from '../../../src/model/fetch/hub-client.ts';
import { pullModel } from '../../../src/model/fetch/pull-model.ts';
import { specFromHfConfig } from '../../../src/model/hf-config.ts';
import { shardTensors, wholeModel } from '../../../src/model/tensors.ts';
import { tensorFile } from '../safetensors-file.ts';
import { tinyConfig as config } from '../tiny-config.ts';
import { FakeHub } from './fake-hub.ts';

type Answer = (request: IncomingMessage, response: ServerResponse) => unknown;

const spec = specFromHfConfig(config);
const bytesOf = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));
const WEIGHTS = tensorFile(shardTensors(spec, wholeModel(spec)));

let hub: FakeHub;
let folder: string;
let servers: Server[];

beforeEach(async () => {
  servers = [];
  hub = await FakeHub.start();
  hub.files.set('config.json', bytesOf(config));
  hub.files.set('tokenizer.json', bytesOf({ model: { type: 'BPE' } }));
  hub.files.set('model.safetensors', WEIGHTS);
  folder = mkdtempSync(join(tmpdir(), 'shoal-mirror-'));
});
afterEach(async () => {
  for (const server of servers) {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
  await hub.close();
  rmSync(folder, { recursive: true });
});

/** @returns its endpoint */
async function serve(answer: Answer): Promise<string> {
  const server = createServer(answer);
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** Answers everything with one redirect, and a text of its own. */
const redirecting =
  (status: number, to: (url: string) => string): Answer =>
  ({ url = '' }, response) => {
    response.writeHead(status, { location: to(url), 'content-length': 18 }).end('Permanent Redirect');
  };

const client = (endpoint: string, token?: string) =>
  new HubClient({ endpoint, ...(token !== undefined && { token: new Secret(token) }) });
const signal = new AbortController().signal;
const pull = (endpoint: string, token?: string) =>
  pullModel({
    hub: client(endpoint, token),
    source: { kind: 'huggingface', repo: 'org/model', revision: 'main' },
    directory: join(folder, 'model'),
    signal,
    sleep: (_ms, stop) => new Promise((resolve) => stop.addEventListener('abort', () => resolve())),
  });
const stat = (endpoint: string, file = 'config.json') =>
  client(endpoint).stat('org/model', 'main', file, signal);

describe('a mirror that redirects to another hub', () => {
  it.each([301, 302, 303, 307, 308])('with %i gives the files, of their own size', async (status) => {
    const mirror = await serve(redirecting(status, (url) => `${hub.endpoint}${url}`));
    expect(await pull(mirror)).toMatchObject({ isNew: true, commit: hub.commit });
    expect(readFileSync(join(folder, 'model/model.safetensors'))).toEqual(Buffer.from(WEIGHTS));
    await openModelDirectory(join(folder, 'model'));
  });

  it('tells size, hash and commit, and asks no host of large files for what the hub has told', async () => {
    const mirror = await serve(redirecting(308, (url) => `${hub.endpoint}${url}`));
    expect(await stat(mirror, 'model.safetensors')).toEqual({
      bytes: WEIGHTS.length,
      sha256: expect.stringMatching(/^[0-9a-f]{64}$/),
      commit: hub.commit,
    });
    expect(hub.requests.map(({ host }) => host)).toEqual(['hub']);
    expect(await stat(mirror, 'none.json')).toBe(null);
  });

  it('relatively, over two steps, and to another path', async () => {
    const second = await serve(({ url = '' }, response) => {
      const location = url.startsWith('/there')
        ? `${hub.endpoint}${url.slice('/there'.length)}`
        : url.replace(/^\//, 'there/');
      response.writeHead(307, { location: location.startsWith('http') ? location : `/${location}` }).end();
    });
    const first = await serve(redirecting(308, (url) => `${second}${url}`));
    expect(await pull(first)).toMatchObject({ isNew: true });
  });

  it('is given the token, and no other host is', async () => {
    const seen: (string | undefined)[] = [];
    const mirror = await serve((request, response) => {
      seen.push(request.headers.authorization);
      redirecting(308, (url) => `${hub.endpoint}${url}`)(request, response);
    });
    await pull(mirror, 'hf_secret');
    expect(new Set(seen)).toEqual(new Set(['Bearer hf_secret']));
    expect(hub.requests.filter(({ headers }) => headers.authorization !== undefined)).toEqual([]);
  });

  it.each([
    ['in a circle', () => '/again', new RegExp(`redirects more than ${MAX_HUB_REDIRECTS} times`)],
    [
      'to another protocol',
      () => 'ftp://example.org/x',
      /redirects to ftp:\/\/example\.org; files are not fetched/,
    ],
    ['to a file', () => 'file:///etc/passwd', /redirects to file:/],
    ['to what is no address', () => 'http://[', /redirects to what is no address/],
  ])('is refused %s', async (_, to, message) => {
    const mirror = await serve(redirecting(302, to));
    await expect(stat(mirror)).rejects.toMatchObject({
      code: 'DOWNLOAD_FAILED',
      message: expect.stringMatching(message),
    });
  });

  it('is refused from https to http', async () => {
    const asked: string[] = [];
    const hubClient = new HubClient({
      endpoint: 'https://mirror.example',
      fetch: async (url) => {
        asked.push(String(url));
        return new Response(null, { status: 308, headers: { location: 'http://mirror.example/x' } });
      },
    });
    await expect(hubClient.stat('org/model', 'main', 'config.json', signal)).rejects.toThrow(
      'redirects to http://mirror.example; files are not fetched that way',
    );
    expect(asked).toHaveLength(1);
  });
});

describe('the size of a file', () => {
  const content = Buffer.from('{"a": "0123456789"}');
  const ranged: Answer = ({ headers }, response) => {
    const size = { 'content-range': `bytes 0-0/${content.length}`, 'content-length': 1 };
    response.writeHead(headers.range === undefined ? 200 : 206, headers.range === undefined ? {} : size);
    response.end(content.subarray(0, 1));
  };
  it.each<[string, Answer]>([
    [
      'is not that of its compressed form',
      (request, response) => {
        if (request.method === 'GET') return ranged(request, response);
        const bytes = gzipSync(content);
        response.writeHead(200, { 'content-encoding': 'gzip', 'content-length': bytes.length }).end();
      },
    ],
    [
      'is asked for by GET where HEAD is not answered',
      (request, response) => {
        if (request.method === 'GET') return ranged(request, response);
        response.writeHead(405).end();
      },
    ],
    [
      'is asked for by GET where HEAD does not tell it',
      (request, response) => {
        if (request.method === 'GET') return ranged(request, response);
        response.writeHead(200, { 'transfer-encoding': 'chunked' }).end();
      },
    ],
    [
      'is that of a server that knows no ranges',
      (_, response) => void response.writeHead(200, { 'content-length': content.length }).end(content),
    ],
  ])('%s', async (_, answer) => {
    expect((await stat(await serve(answer)))?.bytes).toBe(content.length);
  });

  it('is asked for by GET where a host that the mirror leads to refuses HEAD, as signed addresses do', async () => {
    const storage = await serve((request, response) => {
      if (request.method === 'GET') return ranged(request, response);
      response.writeHead(403).end();
    });
    expect((await stat(await serve(redirecting(302, () => storage))))?.bytes).toBe(content.length);
  });

  it.each([300, 304])('is not that of an answer that leads nowhere: %i', async (status) => {
    const mirror = await serve(
      (_, response) => void response.writeHead(status, { 'content-length': 18 }).end(),
    );
    await expect(stat(mirror)).rejects.toMatchObject({ code: 'DOWNLOAD_FAILED' });
  });

  it('is checked against what is sent: a mirror of another version is told', async () => {
    const mirror = await serve(({ method, headers }, response) => {
      const size = headers.range === undefined ? 100 : 120;
      const range = headers.range && { 'content-range': `bytes 0-99/${size}` };
      response.writeHead(range ? 206 : 200, { 'content-length': 100, 'x-repo-commit': 'c', ...range });
      response.end(method === 'HEAD' ? undefined : Buffer.alloc(100, 32));
    });
    await expect(pull(mirror)).rejects.toMatchObject({
      code: 'DOWNLOAD_FAILED',
      message: expect.stringContaining('should have 100 bytes, and the server that sends it says 120'),
    });
  });

  it('is no proof: a mirror that sends pages with status 200 gives no model', async () => {
    const page = Buffer.from('<!DOCTYPE html><title>Sign in</title>');
    const mirror = await serve(({ url = '', method, headers }, response) => {
      const name = url.split('/').at(-1) ?? '';
      const content = name === 'model.safetensors' ? page : hub.files.get(name);
      if (content === undefined) return response.writeHead(404).end();
      const range = headers.range && { 'content-range': `bytes 0-${content.length - 1}/${content.length}` };
      response.writeHead(range ? 206 : 200, { 'content-length': content.length, ...range });
      response.end(method === 'HEAD' ? undefined : content);
    });
    await expect(pull(mirror)).rejects.toThrow(/model\.safetensors in .* is a web page or an error/);
    await expect(openModelDirectory(join(folder, 'model'))).rejects.toThrow('no model directory');
  });
});
