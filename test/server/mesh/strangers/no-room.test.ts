import { afterEach, expect, it } from 'vitest';
import { CAPACITY_RETRY_MS, MAX_STRIKES } from '../../../../src/config/limits.ts';
import { until } from '../../socket-timers.ts';
import { expectedIds, type FakeWorker } from '../fake-worker.ts';
import { collect, Harness, never, PROMPT, request } from '../harness.ts';

/** A worker that says of every sequence that it has no room for it, though it said that it has. */

let harness: Harness;
afterEach(async () => {
  await harness.stop();
  expect(harness.timers.pending + harness.signalTimers.pending).toBe(0);
});

const answer = () => collect(harness.mesh.coordinator.generate(request({ maxTokens: 5 }), never()));
const peerOf = (worker: FakeWorker) => harness.mesh.registry.get(worker.id)!;

it.each(['KV_EXHAUSTED', 'SEQUENCE_LIMIT'] as const)(
  '%s: it alone is let be, and then left out',
  async (code) => {
    harness = await Harness.start({ minStages: 1, replicas: 2 });
    const a = await harness.join('a');
    await harness.untilLive(1);
    const liar = await harness.join('liar', { misbehaviour: { open: code } });
    await until(() => liar.held.size > 0, 'both hold');
    await harness.heard(liar);
    for (let i = 0; i < 6; i++) {
      const ids = (await Promise.all([answer(), answer(), answer()])).map((collected) => collected.ids);
      expect(ids).toEqual(ids.map(() => expectedIds(PROMPT, 5)));
    }
    for (let i = 0; i < MAX_STRIKES; i++) {
      harness.timers.advance(CAPACITY_RETRY_MS);
      await Promise.all([answer(), answer(), answer()]);
    }
    expect(peerOf(liar).problem).toContain('it refuses what it has room for');
    expect(peerOf(a).problem).toBe(null);
  },
);
