import { pino } from 'pino';
import { describe, expect, it } from 'vitest';
import packageJson from '../../../package.json' with { type: 'json' };
import { createFxnBackend } from '../../../src/backend/fxn/fxn.ts';
import { FakeGenerator, says } from '../../support/fake-generator.ts';
import { fakeModel } from '../../support/fake-model.ts';
import { nativeApp } from '../native-app.ts';

const serve = (ready: boolean, lines: string[] = []) =>
  nativeApp(
    createFxnBackend({
      generator: new FakeGenerator(says('x')),
      model: fakeModel,
      readiness: () => ({ ready, detail: ready ? 'serving' : 'waiting for workers' }),
    }),
    { log: pino({ level: 'info' }, { write: (line: string) => void lines.push(line) }) },
  );

describe.each(['/health', '/v1/health', '/ping'])('GET %s', (path) => {
  it('is 200 where a request would be answered, and 503 and why where not', async () => {
    const well = await serve(true).send(path);
    expect([well.status, await well.json()]).toEqual([200, { status: 'ok' }]);
    const ill = await serve(false).send(path);
    expect([ill.status, await ill.json()]).toEqual([
      503,
      { error: { code: 503, message: 'waiting for workers', type: 'unavailable_error' } },
    ]);
  });

  it('is no answer to remember, takes HEAD, and no POST', async () => {
    const { send } = serve(true);
    expect((await send(path)).headers.get('cache-control')).toBe('no-store');
    expect((await send(path, { method: 'HEAD' })).status).toBe(200);
    expect((await send(path, { method: 'POST' })).status).toBe(405);
  });
});

it('GET /version says Shoal’s own', async () => {
  expect(await (await serve(true).send('/version')).json()).toEqual({ version: packageJson.version });
});

it('an ignored parameter stands in the request’s line of the log', async () => {
  const lines: string[] = [];
  const answer = await serve(true, lines).post('/v1/completions', {
    model: 'fake',
    prompt: 'a',
    frobnicate: 1,
  });
  await answer.text();
  const line = lines.map((text) => JSON.parse(text)).find(({ msg }) => msg === 'request');
  expect(line.warning).toContain('frobnicate');
});
