import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, it } from 'vitest';
import { createCustomBackend } from '../../../src/backend/proxy/custom.ts';
import { createGuardedFetch } from '../../../src/backend/proxy/guarded-fetch.ts';

const moment = () => new Promise((resolve) => setTimeout(resolve, 50));

// An error that nobody listens to ends the process; here it fails the run.
it('survives an answer that is not compressed as it says, also where nobody reads it', async () => {
  const server = createServer((request, response) => {
    request.resume();
    response.writeHead(request.url === '/v1/models' ? 404 : 200, { 'content-encoding': 'gzip' });
    response.end('this is no gzip at all'.repeat(100));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const guarded = createGuardedFetch({ allowAddresses: [], connectMs: 1_000 });
  const timeouts = { connect: 1_000, firstByte: 1_000, idle: 1_000 };
  const backend = createCustomBackend({ url, timeouts }, { fetch: guarded.fetch });
  const { signal } = new AbortController();
  await expect(backend.models(signal)).rejects.toMatchObject({ code: 'BACKEND_FAILED' });
  await moment();
  await expect(backend.chatCompletions({ model: 'm' }, { signal })).rejects.toMatchObject({
    code: 'BACKEND_FAILED',
  });
  const response = await guarded.fetch(url, {
    method: 'GET',
    headers: {},
    redirect: 'manual',
    signal,
  });
  await moment();
  await expect(response.body?.getReader().read()).rejects.toThrow();
  await guarded.close();
  await new Promise((resolve) => server.close(resolve));
});
