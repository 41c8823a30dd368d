import { expect, it } from 'vitest';
import type { TabState } from '../../src/cli/browser/tab-state.ts';
import { type MeshToWaitFor, meshIsUp, untilMeshIsUp } from '../../src/cli/mesh-is-up.ts';
import { ShoalError } from '../../src/config/errors.ts';
import type { Status } from '../../src/mesh/protocol/status.ts';

const stage = (peer: string) => ({
  peer,
  name: peer,
  shard: { start: 0, end: 8, embedding: true, head: true },
});
const pipeline = (...peers: string[]): Status['pipeline'] => ({ epoch: 1, stages: peers.map(stage) });
const status = (over: Partial<Status>): Status => ({
  provider: 'fxn',
  // A lent backend answers from the first moment on.
  ready: true,
  detail: '1 of 2 nodes are ready; mesh: no worker has joined',
  model: { id: 'minnow', layers: 8, contextLength: 512 },
  pipeline: null,
  workers: [],
  nodes: [],
  requestsInFlight: 0,
  ...over,
});
const tab = (phase: string, peer?: string): TabState => ({ phase, detail: '', ...(peer && { peer }) });
const { signal } = new AbortController();

const mesh = (over: Partial<MeshToWaitFor>): MeshToWaitFor => ({
  tabs: 2,
  status: async () => status({}),
  states: () => [tab('waiting', 'a'), tab('waiting', 'b')],
  failure: () => null,
  shortage: () => null,
  ...over,
});

it('waits for layers on its own tabs, however ready a lent backend makes the server', async () => {
  const answers = [status({}), status({}), status({ pipeline: pipeline('a', 'b') })];
  let asked = 0;
  await untilMeshIsUp(mesh({ status: async () => answers[asked++]! }), signal);
  expect(asked).toBe(3);
});

it('takes its tabs as spares only once each has joined', () => {
  const others = { pipeline: pipeline('x', 'y') };
  expect(meshIsUp(others, [tab('waiting', 'a'), tab('connecting')])).toBe(false);
  expect(meshIsUp(others, [tab('waiting', 'a'), tab('waiting', 'b')])).toBe(true);
  expect(meshIsUp({ pipeline: pipeline('x', 'a') }, [tab('serving', 'a'), tab('detecting')])).toBe(true);
});

it('waits for tabs that have said nothing yet', async () => {
  let asked = 0;
  await untilMeshIsUp(
    mesh({
      status: async () => status({ pipeline: pipeline('x') }),
      states: () => (asked++ === 0 ? [] : [tab('waiting', 'a'), tab('waiting', 'b')]),
    }),
    signal,
  );
  expect(asked).toBe(2);
});

it("ends with placement's sentence where all tabs together are too small, and not while one may still join", async () => {
  let workers = 1;
  const waiting = untilMeshIsUp(
    mesh({
      shortage: () => ({
        workers: workers++,
        detail: 'the model needs 9.0 MB of GPU memory, 2 workers lend 4.0 MB',
      }),
    }),
    signal,
  );
  await expect(waiting).rejects.toMatchObject({
    code: 'SHARD_TOO_LARGE',
    message: expect.stringMatching(/does not fit into 2 tabs: the model needs 9\.0 MB.*--memory/),
  });
  expect(workers).toBe(3);
});

it("ends with the tabs' own reason, and at its deadline with what is missing", async () => {
  const reason = new ShoalError('NO_ADAPTER', 'no adapter');
  await expect(untilMeshIsUp(mesh({ failure: () => reason }), signal)).rejects.toBe(reason);
  await expect(untilMeshIsUp(mesh({}), signal, 0)).rejects.toMatchObject({
    code: 'DEADLINE_EXCEEDED',
    message: expect.stringContaining('no worker has joined'),
  });
});
