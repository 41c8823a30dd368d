import { afterEach, expect, it } from 'vitest';
import { RECONNECT_MIN_MS } from '../../../src/config/limits.ts';
import { GREEDY } from '../../../src/model/sampling.ts';
import { WorkerHost } from '../../../src/worker/host.ts';
import { MeshTab, type TabEvent } from '../../../src/worker/tab/mesh-tab.ts';
import type { TabWorker } from '../../../src/worker/tab/tab-worker.ts';
import { FakeTimers } from '../../support/fake-timers.ts';
import { FakeDevice } from '../fake-device.ts';
import { soloTokens } from '../fake-engine.ts';
import { turns } from '../pipeline.ts';
import { FakeServer, hold, openFor } from './fake-server.ts';

/** The real main thread's part and the real worker's host, with nothing between them. */
function setUp() {
  const timers = new FakeTimers();
  const server = new FakeServer();
  const devices: FakeDevice[] = [];
  const events: TabEvent[] = [];
  const host = new WorkerHost({
    requestDevice: async () => {
      devices.push(new FakeDevice());
      return devices.at(-1)!;
    },
    emit: (event) => queueMicrotask(() => tab.told(event)),
    timers,
    userAgent: 'test',
  });
  const worker: TabWorker = Object.assign(host, { terminate: () => host.stop() });
  const tab = new MeshTab({
    serverUrl: 'http://server:1',
    name: 'tab 1',
    memoryBudgetBytes: 1_000,
    worker,
    environment: {
      openSocket: server.open,
      timers,
      random: () => 1,
      drawKey: () => 'k'.repeat(43),
      warn: () => {},
    },
    on: (event) => events.push(event),
  });
  cleanUps.push(() => {
    tab.close('the test is over');
    host.stop();
    expect(timers.pending).toBe(0);
  });
  return { timers, server, devices, events, tab };
}

const cleanUps: (() => void)[] = [];
afterEach(() => {
  for (const cleanUp of cleanUps.splice(0)) cleanUp();
});

async function until(reached: () => boolean): Promise<void> {
  for (let i = 0; i < 300 && !reached(); i++) await turns(1);
  expect(reached()).toBe(true);
}

async function holding() {
  const all = setUp();
  const { server, tab } = all;
  await tab.detect();
  tab.connect();
  await until(() => server.of('running').length === 1);
  server.say(hold(1));
  await until(() => server.of('held').length === 1);
  return all;
}

const PROMPT = [1, 2, 3];
const EXPECTED = soloTokens(PROMPT, 5, GREEDY);

it('loads a shard, and computes a sequence on it', async () => {
  const { server, events } = await holding();
  expect(server.of('held')).toMatchObject([{ shard: 1, downloadedBytes: 100 }]);
  server.say(openFor(1));
  await until(() => server.of('opened').length === 1);
  server.say({ type: 'prompt', sequence: 1, epoch: 1, position: 0, ids: PROMPT, last: true });
  await until(() => server.of('token').length === 5);
  expect(server.of('token').map(({ token }) => token)).toEqual(EXPECTED);
  expect(events.filter(({ type }) => type === 'shards').at(-1)).toMatchObject({
    shards: [{ phase: 'held' }],
    downloadedBytes: 100,
  });
});

it('goes on with its sequence while the server is away, and tells the tokens again when it is back', async () => {
  const { server, timers, devices } = await holding();
  server.say(openFor(1));
  await until(() => server.of('opened').length === 1);
  server.isAway = true;
  server.say({ type: 'prompt', sequence: 1, epoch: 1, position: 0, ids: PROMPT, last: true });
  server.die();
  await turns(50);
  expect(server.of('token')).toEqual([]);
  server.isAway = false;
  await timers.advance(4 * RECONNECT_MIN_MS);
  await until(() => server.of('running').length === 2);
  expect(server.of('join').at(-1)).toMatchObject({ held: [{ shard: 1, model: 'fake' }] });
  expect(server.of('running').at(-1)).toMatchObject({
    sequences: [{ sequence: 1, epoch: 1, index: 0 }],
    last: true,
  });
  server.say({ type: 'retell', sequence: 1, epoch: 1, position: 3 });
  await until(() => server.of('retold').length === 1);
  expect(server.of('retold')).toMatchObject([
    { position: 3, tokens: EXPECTED.map((token) => ({ token })), last: true },
  ]);
  expect(devices.flatMap(({ engines }) => engines)).toHaveLength(1);
});

it('holds nothing after its device was lost, and takes the shard again on the next', async () => {
  const { server, devices } = await holding();
  devices[0]!.lose('driver reset');
  await until(() => server.of('join').length === 2);
  expect(server.of('join').at(-1)).toMatchObject({ held: [], links: [] });
  server.say(hold(2));
  await until(() => server.of('held').length === 2);
  expect(devices).toHaveLength(2);
});
