import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ALL_RETURN_GRACE_MS, ALL_RETURN_MS, PEER_RETURN_MS } from '../../../src/config/limits.ts';
import { until } from '../socket-timers.ts';
import { expectedIds } from './fake-worker.ts';
import { collect, Harness, never, PROMPT, request } from './harness.ts';

/** All sockets close at once, of workers that live and go on. */

const TOKENS = 60;

let harness: Harness;
const stagesOf = () => harness.workers.flatMap(({ sequences }) => [...sequences.values()]);
const away = () => until(() => harness.mesh.registry.all().every(({ isAway }) => isAway));

beforeEach(async () => {
  harness = await Harness.start({ expectWorkers: 3 });
  await harness.joinAll(['a', 'b', 'c']);
  for (const worker of harness.workers) {
    worker.misbehaviour = { onToken: (_worker, _token, send) => setTimeout(send, 2) };
  }
});
afterEach(async () => {
  await harness.stop();
  expect(harness.timers.pending + harness.signalTimers.pending).toBe(0);
});

/** @param meanwhile when all are away */
async function disturbed(meanwhile: () => Promise<void>) {
  const holds = harness.workers.map((worker) => worker.messages('hold').length);
  let stages: ReturnType<typeof stagesOf> = [];
  const events = harness.mesh.coordinator.generate(request({ maxTokens: TOKENS }), never());
  const answer = await collect(events, async (count) => {
    if (count !== 6) return;
    stages = stagesOf();
    for (const worker of harness.workers) worker.disconnect();
    await away();
    await meanwhile();
  });
  expect(harness.workers.map((worker) => worker.messages('hold').length)).toEqual(holds);
  return { answer, computed: stages.map(({ computed }) => computed) };
}

describe('a server that loses all sockets', () => {
  it.each([
    ['for a moment', 0],
    ['for a minute', 60_000],
  ])('%s: answers go on, with nothing computed again', async (_what, ms) => {
    const { answer, computed } = await disturbed(async () => {
      harness.timers.advance(ms);
      // One after the other; the last stage is back first and has nobody to vouch for the others.
      for (const worker of harness.workers.toReversed()) await worker.reconnect();
    });
    expect(answer).toMatchObject({ ids: expectedIds(PROMPT, TOKENS), restarts: [0] });
    expect(harness.mesh.coordinator.counts).toMatchObject({ failovers: 0, replayedPositions: 0 });
    const positions = PROMPT.length + TOKENS - 1;
    expect(computed).toEqual([positions, positions, positions]);
  });

  it('takes who is not back a while after the others for lost', async () => {
    for (const worker of harness.workers) worker.disconnect();
    await away();
    for (const name of ['a', 'b']) await harness.byName(name).reconnect();
    await harness.heard(harness.byName('b'));
    expect(harness.mesh.registry.away().map(({ name }) => name)).toEqual(['c']);
    expect(harness.mesh.loading()).toBeNull();
    // No link to it is open any more.
    harness.byName('c').kill();
    harness.timers.advance(ALL_RETURN_GRACE_MS);
    await harness.untilLive(2);
  });

  it('waits for nobody for ever', async () => {
    for (const worker of harness.workers) worker.disconnect();
    await away();
    harness.timers.advance(PEER_RETURN_MS);
    expect(harness.mesh.registry.all()).toHaveLength(3);
    harness.timers.advance(ALL_RETURN_MS - PEER_RETURN_MS);
    expect(harness.mesh.registry.all()).toEqual([]);
  });
});
