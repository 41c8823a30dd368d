import { expect, it } from 'vitest';
import { NodePool } from '../../../src/backend/pool/node-pool.ts';
import { createRoutedBackend } from '../../../src/backend/pool/routed.ts';
import { createCustomBackend } from '../../../src/backend/proxy/custom.ts';
import { nativeApp } from '../../server/native-app.ts';

it('lists what a node has in every API, whatever else the node put into its list', async () => {
  const data = [
    { id: 'good', created: 1_700_000_000, owned_by: 'them' },
    { id: 'far', created: 1e300, owned_by: 'th\u001b[31mem' },
    { id: 'past', created: -5 },
    { id: 'half', created: 1.5 },
    { id: 'ev\u001b[2Jil', created: 1 },
    { id: 'two\nlines', created: 1 },
    { id: '', created: 1 },
  ];
  const pool = new NodePool();
  const backend = createCustomBackend(
    { url: 'http://backend', timeouts: { connect: 1_000, firstByte: 1_000, idle: 1_000 } },
    { fetch: (async () => Response.json({ data })) as typeof fetch },
  );
  pool.add({ id: 'proxy-1', name: 'backend', backend, maxConcurrent: 8, anyModel: false });
  const { send } = nativeApp(createRoutedBackend({ pool, provider: 'custom' }));
  const openAi = await (await send('/v1/models')).json();
  expect(openAi).toMatchObject({
    data: [
      { id: 'good', created: 1_700_000_000, owned_by: 'them' },
      { id: 'far', created: 0, owned_by: 'th[31mem' },
      { id: 'past', created: 0 },
      { id: 'half', created: 0 },
    ],
  });
  const tags = await send('/api/tags');
  expect(tags.status).toBe(200);
  expect((await tags.json()).models.map(({ name }: { name: string }) => name)).toEqual([
    'good',
    'far',
    'past',
    'half',
  ]);
  await pool.close();
});
