import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { until } from '../socket-timers.ts';
import { Harness } from './harness.ts';

let harness: Harness;
beforeEach(async () => {
  harness = await Harness.start({ maxStages: 2 });
});
afterEach(async () => {
  await harness.stop();
  expect(harness.timers.pending + harness.signalTimers.pending).toBe(0);
});

const signal = (to: string) => ({ type: 'signal', to, attempt: 1, data: { sdp: 'offer' } }) as const;

describe('signals', () => {
  it('are relayed between peers that should keep a link, stamped with their sender', async () => {
    const [a, b] = await harness.joinAll(['a', 'b']);
    a!.send(signal(b!.id));
    await until(() => b!.messages('signal').length === 1);
    expect(b!.messages('signal')).toEqual([
      { type: 'signal', from: a!.id, attempt: 1, data: { sdp: 'offer' } },
    ]);
  });

  it('are not relayed to or from strangers, nor to nobody', async () => {
    const [a] = await harness.joinAll(['a', 'b']);
    const stranger = await harness.join('stranger');
    for (const to of [a!.id, 'p-0000000000000000']) stranger.send(signal(to));
    a!.send(signal(stranger.id));
    await Promise.all([harness.heard(stranger), harness.heard(a!)]);
    expect(a!.messages('signal')).toEqual([]);
    expect(stranger.messages('signal')).toEqual([]);
    expect(stranger.messages('error')).toEqual([]);
  });
});
