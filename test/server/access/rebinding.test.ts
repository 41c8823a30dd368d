import { expect, it } from 'vitest';
import { openApp } from './support.ts';

const PATHS = [
  '/',
  '/api/status',
  '/api/tags',
  '/health/ready',
  '/metrics',
  '/models/minnow/manifest',
  '/openapi.json',
  '/v1/models',
];

/** A stranger's page that points its own name at this machine is of the same origin as the server: only Host tells. */
it.each(PATHS)('%s does not answer to a name that is not the server’s', async (path) => {
  const { send } = openApp({ now: () => 0 });
  const asked = await send(path, { headers: { host: 'evil.example' } });
  expect(asked.status).toBe(403);
  const text = await asked.text();
  expect(text).toContain('--allow-host');
  expect(text).not.toMatch(/"id":"fake"|# TYPE|"openapi"|"workers"/);
});

/** What needs no preflight would be readable to every page but for this. */
it.each(PATHS)('%s is not readable to a page of another origin', async (path) => {
  const { send } = openApp({ now: () => 0 });
  const asked = await send(path, { headers: { host: 'localhost:1', origin: 'https://evil.example' } });
  expect(asked.headers.get('access-control-allow-origin')).toBeNull();
  expect(asked.headers.get('cross-origin-resource-policy')).toBe('same-origin');
});

it('a site that the operator listed reads the API, not the metrics or the status', async () => {
  const origin = 'https://friend.example';
  const { send } = openApp({ now: () => 0 }, { allowedOrigins: [origin] });
  const granted = async (path: string) =>
    (await send(path, { headers: { host: 'localhost:1', origin } })).headers.get(
      'access-control-allow-origin',
    );
  expect(await granted('/v1/models')).toBe(origin);
  for (const path of ['/metrics', '/api/status', '/openapi.json']) expect(await granted(path)).toBeNull();
});
