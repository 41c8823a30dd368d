import type { LookupAddress } from 'node:dns';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  createGuardedFetch,
  type GuardedFetch,
  type Resolve,
} from '../../../src/backend/proxy/guarded-fetch.ts';
import type { UpstreamInit, UpstreamResponse } from '../../../src/backend/proxy/upstream-fetch.ts';
import { ShoalError } from '../../../src/config/errors.ts';
import { json, UpstreamServer } from '../../support/upstream-server.ts';

let server: UpstreamServer;
let port: string;
let guarded: GuardedFetch | undefined;

beforeEach(async () => {
  server = new UpstreamServer();
  server.handler = json({ hello: true });
  port = new URL(await server.listen()).port;
});
afterEach(async () => {
  await guarded?.close();
  await server.close();
});

/** Names of this test; nothing leaves the machine. */
function names(answers: Record<string, readonly string[]>): { resolve: Resolve; asked: string[] } {
  const asked: string[] = [];
  return {
    asked,
    resolve: (hostname, _, callback) => {
      asked.push(hostname);
      const found = answers[hostname];
      if (found === undefined) {
        return callback(Object.assign(new Error('no such name'), { code: 'ENOTFOUND' }), []);
      }
      callback(
        null,
        found.map((address): LookupAddress => ({ address, family: address.includes(':') ? 6 : 4 })),
      );
    },
  };
}

/** The ShoalError behind what fetch throws. */
async function refusalOf(call: Promise<unknown>): Promise<ShoalError> {
  const thrown: unknown = await call.then(
    () => {
      throw new Error('the request went through');
    },
    (error: unknown) => error,
  );
  for (let error = thrown; error instanceof Error; error = error.cause) {
    if (error instanceof ShoalError) return error;
  }
  throw thrown;
}

async function text({ body }: UpstreamResponse): Promise<string> {
  const reader = body!.getReader();
  let all = '';
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    all += Buffer.from(part.value).toString();
  }
  return all;
}

const open = (allowAddresses: readonly string[] = [], resolve?: Resolve) => {
  guarded = createGuardedFetch({ allowAddresses, connectMs: 2_000, ...(resolve && { resolve }) });
  const { fetch: request } = guarded;
  return (url: string, init: Partial<UpstreamInit> = {}) =>
    request(url, {
      method: 'GET',
      headers: {},
      redirect: 'manual',
      signal: new AbortController().signal,
      ...init,
    });
};

describe('createGuardedFetch', () => {
  it.each(['localhost', '127.0.0.1'])('connects to %s, which is written as loopback', async (host) => {
    const response = await open()(`http://${host}:${port}/`);
    expect(JSON.parse(await text(response))).toEqual({ hello: true });
  });

  it('sends what it is given', async () => {
    const call = open()(`http://127.0.0.1:${port}/x?y=1`, {
      method: 'POST',
      headers: { 'x-mine': '1', 'content-type': 'application/json' },
      body: '{"a":1}',
    });
    await call;
    expect(server.received[0]).toMatchObject({ method: 'POST', path: '/x?y=1', body: { a: 1 } });
    expect(server.received[0]!.headers['x-mine']).toBe('1');
  });

  it.each([
    ['10.0.0.1', 'private'],
    ['192.168.1.1', 'private'],
    ['169.254.169.254', 'metadata'],
    ['169.254.1.1', 'link-local'],
    ['0.0.0.0', 'unspecified'],
    ['[fd00::1]', 'private'],
    ['[::ffff:10.0.0.1]', 'private'],
    ['[::ffff:127.0.0.1]', 'loopback'],
    ['224.0.0.1', 'multicast'],
    ['3232235777', 'private'],
    ['0x0a.1', 'private'],
  ])('refuses the address %s', async (host, kind) => {
    const { resolve, asked } = names({});
    const error = await refusalOf(open([], resolve)(`http://${host}:${port}/`));
    expect(error).toMatchObject({ code: 'ADDRESS_REFUSED', message: expect.stringContaining(kind) });
    expect(error.message).toMatch(/allow_addresses: \["[0-9a-f.:]+"\]/);
    expect(asked).toEqual([]);
  });

  it('refuses a name that leads to a private address, and says which line would allow it', async () => {
    const { resolve } = names({ 'llm.example': ['10.1.2.3'] });
    expect((await refusalOf(open([], resolve)(`http://llm.example:${port}/`))).message).toBe(
      'llm.example leads to 10.1.2.3, a private address; if this is meant, add it to model_backend.yaml: allow_addresses: ["10.1.2.3"]',
    );
  });

  it('refuses a name that leads to this machine, unless that is allowed', async () => {
    const { resolve } = names({ 'llm.example': ['127.0.0.1'] });
    expect(await refusalOf(open([], resolve)(`http://llm.example:${port}/`))).toMatchObject({
      code: 'ADDRESS_REFUSED',
    });
    expect(server.received).toHaveLength(0);
    await guarded!.close();
    const response = await open(['127.0.0.0/8'], resolve)(`http://llm.example:${port}/`);
    expect(response.status).toBe(200);
  });

  it('lets localhost lead to loopback and to nothing else', async () => {
    const { resolve } = names({ localhost: ['10.0.0.1'] });
    expect(await refusalOf(open([], resolve)(`http://localhost:${port}/`))).toMatchObject({
      code: 'ADDRESS_REFUSED',
    });
  });

  it('uses the allowed ones of several addresses', async () => {
    const { resolve } = names({ 'llm.example': ['10.255.255.1', '127.0.0.1', '192.168.9.9'] });
    const response = await open(['127.0.0.1'], resolve)(`http://llm.example:${port}/`);
    expect(JSON.parse(await text(response))).toEqual({ hello: true });
  });

  it('connects to the address that it judged, though the name changes', async () => {
    let calls = 0;
    const resolve: Resolve = (_host, _options, callback) => {
      calls++;
      // A second question would get the metadata service.
      callback(null, [{ address: calls === 1 ? '127.0.0.1' : '169.254.169.254', family: 4 }]);
    };
    const response = await open(['127.0.0.1'], resolve)(`http://llm.example:${port}/`);
    expect(response.status).toBe(200);
    expect(calls).toBe(1);
  });

  it('judges every new connection', async () => {
    let calls = 0;
    const resolve: Resolve = (_host, _options, callback) => {
      calls++;
      callback(null, [{ address: calls === 1 ? '127.0.0.1' : '169.254.169.254', family: 4 }]);
    };
    server.handler = (response) => response.writeHead(200, { connection: 'close' }).end('{}');
    const request = open(['127.0.0.1'], resolve);
    await text(await request(`http://llm.example:${port}/`));
    expect(await refusalOf(request(`http://llm.example:${port}/`))).toMatchObject({
      code: 'ADDRESS_REFUSED',
      message: expect.stringContaining('metadata'),
    });
  });

  it('follows no redirect', async () => {
    server.handler = (response) =>
      response.writeHead(302, { location: 'http://169.254.169.254/latest/meta-data' }).end();
    expect((await open()(`http://127.0.0.1:${port}/`)).status).toBe(302);
    expect(server.received).toHaveLength(1);
  });

  it('says that a name has no address', async () => {
    const { resolve } = names({ 'empty.example': [] });
    expect(await refusalOf(open([], resolve)(`http://empty.example:${port}/`))).toMatchObject({
      code: 'BACKEND_FAILED',
      message: expect.stringContaining('no address'),
    });
  });

  it('ends what is in flight when it closes, as often as that is said', async () => {
    server.handler = () => {};
    const call = open()(`http://127.0.0.1:${port}/`).then(
      () => 'answered',
      () => 'ended',
    );
    await expect.poll(() => server.received.length).toBe(1);
    await Promise.all([guarded!.close(), guarded!.close()]);
    expect(await call).toBe('ended');
  });
});
