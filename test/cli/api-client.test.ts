import { expect, it } from 'vitest';
import { ask, fetchStatus, firstModel } from '../../src/cli/api-client.ts';
import { Secret } from '../../src/config/secret.ts';

it('sends the key of its server, and gives a refusal its code', async () => {
  const fetch = async (_url: string, init?: RequestInit) =>
    new Headers(init?.headers).get('authorization') === 'Bearer good'
      ? Response.json({ data: [{ id: 'm' }] })
      : Response.json({ error: { message: 'a key', code: 'invalid_api_key' } }, { status: 401 });
  const { signal } = new AbortController();
  const client = { baseUrl: 'http://there', fetch };
  expect(await firstModel({ ...client, apiKey: new Secret('good') }, signal)).toBe('m');
  await expect(firstModel(client, signal)).rejects.toMatchObject({ code: 'UNAUTHORIZED' });
});

it('says of a server that is no Shoal, and of a name without an address, what to check', async () => {
  const notFound = async () => new Response('{"detail":"Not Found"}', { status: 404 });
  await expect(
    fetchStatus({ baseUrl: 'http://127.0.0.1:8000', fetch: notFound }, AbortSignal.timeout(1_000)),
  ).rejects.toThrow('answered 404; is it a Shoal server');
  const unknownName = () =>
    Promise.reject(
      new TypeError('fetch failed', { cause: Object.assign(new Error('x'), { code: 'ENOTFOUND' }) }),
    );
  await expect(
    fetchStatus({ baseUrl: 'http://gpu.lam', fetch: unknownName }, AbortSignal.timeout(1_000)),
  ).rejects.toThrow('its name has no address');
});

it('reads a stream whose chunks have an error and a finish reason that are none', async () => {
  const answer =
    (...chunks: object[]) =>
    async () =>
      new Response(chunks.map((chunk) => `data: ${JSON.stringify(chunk)}\n\n`).join(''));
  const asked = (fetch: () => Promise<Response>) =>
    ask(
      { baseUrl: 'http://there', fetch },
      'm',
      { type: 'raw', text: '' },
      { temperature: 0 },
      AbortSignal.timeout(1_000),
    );
  for (const error of ['', null, false, {}, []]) {
    const said = { choices: [{ text: 'Hi', finish_reason: '' }], error };
    const last = { choices: [{ text: '', finish_reason: 'stop' }], error };
    expect(await asked(answer(said, last))).toMatchObject({ text: 'Hi', finishReason: 'stop' });
    await expect(asked(answer(said))).rejects.toThrow('without a finish reason');
  }
  await expect(asked(answer({ error: { message: 'busy', code: 429 } }))).rejects.toThrow('busy');
});
