import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib';
import { Agent } from 'undici';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createDispatchedFetch } from '../../../src/backend/proxy/dispatched-fetch.ts';
import type { BodyReader, UpstreamResponse } from '../../../src/backend/proxy/upstream-fetch.ts';
import { UpstreamServer } from '../../support/upstream-server.ts';

let server: UpstreamServer;
let url: string;
let agent: Agent;
let abort: AbortController;

beforeEach(async () => {
  server = new UpstreamServer();
  url = await server.listen();
  agent = new Agent();
  abort = new AbortController();
});
afterEach(async () => {
  await agent.destroy();
  await server.close();
});

const get = (): Promise<UpstreamResponse> =>
  createDispatchedFetch(agent)(url, {
    method: 'GET',
    headers: {},
    redirect: 'manual',
    signal: abort.signal,
  });

async function bytes(reader: BodyReader): Promise<number> {
  let all = 0;
  for (let part = await reader.read(); !part.done; part = await reader.read()) all += part.value.length;
  return all;
}

describe('createDispatchedFetch', () => {
  it('gives every byte of a body, however slowly it is read, and the connection keeps no more of it than a part', async () => {
    const size = 32 * 1024 * 1024;
    let sent = 0;
    server.handler = async (response) => {
      for (; sent < size; sent += 65_536) {
        if (!response.write(Buffer.alloc(65_536))) {
          await new Promise((resolve) => response.once('drain', resolve));
        }
      }
      response.end();
    };
    const reader = (await get()).body!.getReader();
    await reader.read();
    await new Promise((resolve) => setTimeout(resolve, 200));
    // What the kernel's buffers hold beside the part.
    expect(sent).toBeLessThan(size / 2);
    expect(await bytes(reader)).toBeGreaterThan(size / 2);
    expect(sent).toBe(size);
  });

  it.each([
    ['gzip', gzipSync],
    ['deflate', deflateSync],
    ['br', brotliCompressSync],
  ])('reads %s, though it was not asked for', async (encoding, compress) => {
    server.handler = (response) =>
      response.writeHead(200, { 'content-encoding': encoding }).end(compress(Buffer.alloc(1_000_000)));
    expect(await bytes((await get()).body!.getReader())).toBe(1_000_000);
  });

  it('is ended by its signal before the headers, and the server sees that', async () => {
    let hungUp = false;
    server.handler = (response) => {
      response.on('close', () => {
        hungUp = true;
      });
      abort.abort(new Error('enough'));
    };
    await expect(get()).rejects.toThrow('enough');
    await expect.poll(() => hungUp).toBe(true);
    await expect(get()).rejects.toThrow('enough');
  });

  it('is ended by its signal within the body', async () => {
    server.handler = (response) => response.writeHead(200).write('first');
    const reader = (await get()).body!.getReader();
    expect((await reader.read()).done).toBe(false);
    const read = reader.read();
    abort.abort(new Error('enough'));
    await expect(read).rejects.toThrow('enough');
  });

  it('tells why a body broke off, after what came of it', async () => {
    server.handler = (response) => {
      response.writeHead(200).write('first');
      setTimeout(() => response.destroy(), 20);
    };
    const reader = (await get()).body!.getReader();
    expect((await reader.read()).done).toBe(false);
    await expect(reader.read()).rejects.toMatchObject({ cause: { code: 'UND_ERR_SOCKET' } });
  });

  it('uses a connection again once its answer was read', async () => {
    const ports = new Set<number | undefined>();
    server.handler = (response) => {
      ports.add(response.socket?.remotePort);
      response.end('all');
    };
    for (let n = 0; n < 6; n++) await bytes((await get()).body!.getReader());
    // A second where the next request came before the end of the answer was dealt with.
    expect(ports.size).toBeLessThanOrEqual(2);
  });
});
