import { afterEach, expect, it } from 'vitest';
import type { HopTimings } from '../../../src/mesh/protocol/control.ts';
import { stageMs } from '../../../src/mesh/protocol/stage-ms.ts';
import { until } from '../socket-timers.ts';
import { Harness } from './harness.ts';

/** What the mesh tells whoever operates it, in numbers. */

let harness: Harness;
afterEach(() => harness.stop());

const HOP: HopTimings = {
  unpackMs: 1,
  uploadMs: 2,
  computeMs: 3,
  readbackMs: 4,
  packMs: 5,
  wireRttMs: 1_000,
  bytesPerToken: 1,
};

it('counts replicas of each layer, links, and those who are away or only look', async () => {
  harness = await Harness.start({ expectWorkers: 3, maxStages: 3 });
  const [a, b] = await harness.joinAll(['a', 'b', 'c'], 3);
  const { replicas, links, spectators, away, loadedBytes, loadedAgainBytes } = harness.mesh.figures();
  expect(replicas).toEqual(Array(8).fill(1));
  expect(links).toEqual({ up: 3, silent: 0, down: 0, unknown: 0 });
  expect([spectators, away, loadedAgainBytes]).toEqual([0, 0, 0]);
  expect(loadedBytes).toBeGreaterThan(0);

  // The cut of a live route's worker, from the status: its layers have nobody while it is away.
  const [start, end] = harness.mesh.rows().layers!.find(({ peer }) => peer === a!.id)!.layers;
  a!.disconnect();
  await until(() => harness.mesh.figures().away === 1);
  expect(harness.mesh.figures().replicas).toEqual(
    Array.from({ length: 8 }, (_, layer) => (layer >= start && layer < end ? 0 : 1)),
  );

  b!.send({ type: 'leave', reason: 'test' });
  await until(() => harness.mesh.figures().spectators === 1);
});

it('sums up what stages and links take, of those that report it', async () => {
  harness = await Harness.start({ expectWorkers: 2, maxStages: 2 });
  const [a] = await harness.joinAll(['a', 'b'], 2);
  a!.send({
    type: 'stats',
    tokensPerSecond: 1,
    sequences: 0,
    bytesSent: 0,
    bytesReceived: 0,
    hop: HOP,
    prefillRowsPerSecond: null,
    freePositions: 0,
    links: [{ peer: 'p-0123', rttMs: 20 }],
  });
  await until(() => harness.mesh.figures().stageSeconds.length > 0);
  expect(harness.mesh.figures()).toMatchObject({ stageSeconds: [0.015], roundTripSeconds: [0.02] });
  // The way of the row is no part of what its stage takes.
  expect(stageMs(HOP)).toBe(15);
});

it('tells bytes that a worker loads again from those that are new to it', async () => {
  harness = await Harness.start({ expectWorkers: 2, maxStages: 2 });
  await harness.joinAll(['a', 'b'], 2);
  const before = harness.mesh.figures();
  const [first, second] = harness.live.map((name) => harness.byName(name));
  // Alone, the one that stays takes all eight layers: its own again, and those of the other for the first time.
  second!.send({ type: 'leave', reason: 'test' });
  await harness.untilLive(1);
  expect(harness.live).toEqual([first!.name]);
  const after = harness.mesh.figures();
  const loaded = after.loadedBytes - before.loadedBytes;
  expect(loaded).toBeGreaterThan(0);
  expect(after.loadedAgainBytes).toBeGreaterThan(0);
  expect(after.loadedAgainBytes).toBeLessThan(loaded);
});
