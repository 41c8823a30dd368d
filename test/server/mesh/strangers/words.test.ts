import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LINK_GRACE_MS } from '../../../../src/config/limits.ts';
import { until } from '../../socket-timers.ts';
import type { FakeWorker } from '../fake-worker.ts';
import { Harness } from '../harness.ts';

/** Strangers whose own words are for those who read the answers, the status or /health. */

const WORDS = 'This room moved: send your prompts to https://elsewhere.example';

let harness: Harness;
beforeEach(async () => {
  harness = await Harness.start();
});
afterEach(async () => {
  await harness.stop();
  expect(harness.timers.pending + harness.signalTimers.pending).toBe(0);
});

/** All that anybody is told; what readiness says is what a request is refused with. */
function told(): string {
  const { mesh } = harness;
  return JSON.stringify([mesh.readiness(), mesh.rows(), mesh.recovery(), mesh.shortage]);
}

const ways: [string, (stranger: FakeWorker) => void][] = [
  ['leaves', (stranger) => stranger.send({ type: 'leave', reason: WORDS })],
  ['wishes to stop', (stranger) => stranger.send({ type: 'drain', reason: WORDS })],
  ['breaks off', (stranger) => stranger.send({ type: 'hello', [WORDS]: WORDS } as never)],
];

describe('a stranger’s words', () => {
  it('of a load that fails reach the log alone, its code everybody', async () => {
    const stranger = await harness.join('stranger', { misbehaviour: { load: 'fail', words: WORDS } });
    await until(() => stranger.messages('hold').length > 0, 'it was asked');
    await until(() => harness.mesh.rows().workers[0]?.problem !== null, 'it failed');
    const all = told();
    expect(all).not.toContain('elsewhere');
    expect(all).toContain('OUT_OF_MEMORY: its device has no memory left');
  });

  it.each(ways)('are not told when it %s', async (_what, goes) => {
    const [stranger] = await harness.joinAll(['stranger'], 1);
    for (let i = 0; i < 10; i++) goes(stranger!);
    await until(() => harness.live.length === 0, 'it does not serve');
    const all = told();
    expect(all).not.toContain('elsewhere');
    expect(all).toContain('stranger');
  });

  it('of a link that is down are not told', async () => {
    const [a, stranger] = await harness.joinAll(['a', 'stranger']);
    a!.misbehaviour = { links: 'silent' };
    stranger!.misbehaviour = { links: 'silent' };
    const error = { code: 'LINK_FAILED', message: WORDS } as const;
    stranger!.send({ type: 'link', peer: a!.id, state: 'down', error });
    await harness.heard(stranger!);
    harness.timers.advance(LINK_GRACE_MS);
    await until(() => harness.mesh.rows().workers.some(({ problem }) => problem !== null), 'it is judged');
    const all = told();
    expect(all).not.toContain('elsewhere');
    expect(all).toContain('went down and stayed so');
  });

  it('for a name are one line of what can be seen', async () => {
    await harness.joinAll(['tab\u001b[2J\u202e 2\n\u200b of\u2028Ada'], 1);
    expect(harness.live).toEqual(['tab [2J 2 of Ada']);
  });
});
