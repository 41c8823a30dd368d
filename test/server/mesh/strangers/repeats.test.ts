import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { MAX_PROTOCOL_OFFENCES, STATE_CHANGE_BURST } from '../../../../src/config/limits.ts';
import type { PeerMessage } from '../../../../src/mesh/protocol/control.ts';
import { until } from '../../socket-timers.ts';
import { expectedIds, type FakeWorker } from '../fake-worker.ts';
import { collect, Harness, never, PROMPT, request } from '../harness.ts';

/** Strangers that say over and over what is cheap to say, and makes the server look at everybody. */

let harness: Harness;
beforeEach(async () => {
  harness = await Harness.start({ minStages: 1 });
});
afterEach(async () => {
  await harness.stop();
  expect(harness.timers.pending + harness.signalTimers.pending).toBe(0);
});

const answer = () => collect(harness.mesh.coordinator.generate(request(), never()));
const drain = { type: 'drain', reason: 'over and over' } as const;
const join = ({ capability, shards, held, links }: FakeWorker): PeerMessage => ({
  type: 'join',
  capability,
  held: [...held].map((shard) => ({ ...shards.get(shard)!, gpuBytes: 100 })),
  links: [...links],
});

/** Times that the whole mesh was looked at meanwhile. */
async function settlesOf(
  worker: FakeWorker,
  messageOf: (worker: FakeWorker) => PeerMessage,
  times: number,
): Promise<number> {
  // What came of what it said before is over.
  await new Promise((resolve) => setTimeout(resolve, 100));
  const settle = vi.spyOn(harness.mesh.routes, 'tellPossible');
  for (let i = 0; i < times; i++) worker.send(messageOf(worker));
  await harness.heard(worker);
  const { length } = settle.mock.calls;
  settle.mockRestore();
  return length;
}

describe('a stranger', () => {
  it.each([
    ['joins', join],
    ['wishes to stop', () => drain],
  ] as const)('that says %s again as before changes nothing', async (_what, messageOf) => {
    await harness.joinAll(['a'], 1);
    const stranger = await harness.join('stranger');
    await harness.heard(stranger);
    await settlesOf(stranger, messageOf, 1);
    expect(await settlesOf(stranger, messageOf, 10)).toBe(0);
    expect((await answer()).ids).toEqual(expectedIds(PROMPT, 20));
  });

  it('that joins again after it wished to stop may be used again', async () => {
    const [a] = await harness.joinAll(['a'], 1);
    a!.send(drain);
    await until(() => a!.messages('released').length > 0, 'it may go');
    await until(() => harness.live.length === 0);
    a!.join();
    await harness.untilLive(1);
  });

  it('that joins, leaves and wishes to stop without end is cut off and out of work, and others serve', async () => {
    await harness.joinAll(['a'], 1);
    const stranger = await harness.join('stranger');
    const settle = vi.spyOn(harness.mesh.routes, 'tellPossible');
    for (let i = 0; i < 1_000; i++) {
      stranger.send(join(stranger));
      stranger.send(i % 2 === 0 ? drain : { type: 'leave', reason: 'over and over' });
    }
    await until(() => stranger.closeCode !== null, 'its connection is closed');
    expect(stranger.closeCode).toBe(1013);
    expect(settle.mock.calls.length).toBeLessThan(2 * (STATE_CHANGE_BURST + MAX_PROTOCOL_OFFENCES));
    expect((await answer()).ids).toEqual(expectedIds(PROMPT, 20));
    const again = await harness.join('again');
    await harness.heard(again);
    expect(harness.live).toEqual(['a']);
  });
});
