import { expect, it } from 'vitest';
import type { Status } from '../../../src/mesh/protocol/status.ts';
import { offeredModels } from '../../../src/page/chat/offered-models.ts';

const node = (id: string, state: Status['nodes'][number]['state'], ...models: string[]) => ({
  id,
  name: id,
  provider: 'custom' as const,
  state,
  inFlight: 0,
  maxConcurrent: 1,
  models,
  timeToFirstTokenMs: null,
  tokensPerSecond: null,
  lastError: null,
});

const status = (nodes: Status['nodes'], model: Status['model'] = null): Status => ({
  provider: 'fxn',
  ready: true,
  detail: '',
  model,
  pipeline: null,
  workers: [],
  nodes,
  requestsInFlight: 0,
});

it('offers each model once, what can be answered now first, and the mesh’s before its workers came', () => {
  const minnow = { id: 'minnow', layers: 8, contextLength: 512 };
  expect(offeredModels(null)).toEqual([]);
  expect(offeredModels(status([], minnow))).toEqual(['minnow']);
  expect(
    offeredModels(
      status(
        [node('mesh', 'failing', 'minnow'), node('a', 'ready', 'x', 'y'), node('b', 'busy', 'y', 'z')],
        minnow,
      ),
    ),
  ).toEqual(['x', 'y', 'z', 'minnow']);
});
