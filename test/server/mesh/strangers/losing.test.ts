import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MAX_PROTOCOL_OFFENCES } from '../../../../src/config/limits.ts';
import { until } from '../../socket-timers.ts';
import { expectedIds, type FakeWorker, type Misbehaviour } from '../fake-worker.ts';
import { collect, Harness, never, PROMPT, request } from '../harness.ts';

/** Strangers that lose whatever is begun on them, without a word that says who is to blame. */

let harness: Harness;
beforeEach(async () => {
  harness = await Harness.start({ maxStages: 2 });
});
afterEach(async () => {
  await harness.stop();
  expect(harness.timers.pending + harness.signalTimers.pending).toBe(0);
});

const answer = () => collect(harness.mesh.coordinator.generate(request(), never()));
const peerOf = (worker: FakeWorker) => harness.mesh.registry.get(worker.id)!;
const isOut = (worker: FakeWorker) => peerOf(worker).excludedUntil > harness.timers.now();

/** `a` and the stranger serve, `c` waits. */
async function besideStranger(
  misbehaviour: Misbehaviour,
): Promise<readonly [FakeWorker, FakeWorker, FakeWorker]> {
  const [a, stranger] = await harness.joinAll(['a', 'stranger']);
  const c = await harness.join('c');
  await harness.heard(c);
  stranger!.misbehaviour = misbehaviour;
  return [a!, stranger!, c];
}

describe('a stranger', () => {
  it('whose link comes and goes with every sequence is left out, and the answer goes on elsewhere', async () => {
    const [a, stranger] = await besideStranger({
      onOpen: (worker, { route }) => {
        const peer = route.find((stage) => stage.peer !== worker.id)?.peer;
        if (peer === undefined) return;
        worker.send({ type: 'link', peer, state: 'down' });
        worker.send({ type: 'link', peer, state: 'up' });
      },
    });
    const answers = [await answer(), await answer(), await answer()];
    for (const { ids } of answers) expect(ids).toEqual(expectedIds(PROMPT, 20));
    expect(isOut(stranger)).toBe(true);
    expect(peerOf(stranger).problem).toContain('again and again');
    expect(harness.live).not.toContain('stranger');
    expect(answers[2]!.restarts).toEqual([0]);
    expect(peerOf(a).isWorker).toBe(true);
  });

  it('that is back without its layers after every sequence is left out, and the answer goes on elsewhere', async () => {
    const [a, stranger, c] = await besideStranger({ onOpen: (worker) => worker.denyAll() });
    expect((await answer()).ids).toEqual(expectedIds(PROMPT, 20));
    expect([isOut(a), isOut(c)]).toEqual([false, false]);
    expect(harness.live).not.toContain('stranger');
    expect((await answer()).restarts).toEqual([0]);
    expect(stranger.messages('open').length).toBeLessThanOrEqual(4);
  });

  it('that says again and again that it runs nothing is refused, and then cut off', async () => {
    const [a, stranger, c] = await besideStranger({
      onOpen: (worker) => worker.send({ type: 'running', sequences: [], last: true }),
    });
    // It was asked nothing: what it says of what it runs does not count.
    const first = await answer();
    expect(first.ids).toEqual(expectedIds(PROMPT, 20));
    expect(first.restarts).toEqual([0]);
    for (let i = 0; i < MAX_PROTOCOL_OFFENCES; i++) await answer();
    await until(() => stranger.closeCode !== null, 'its connection is closed');
    expect([isOut(a), isOut(stranger), isOut(c)]).toEqual([false, true, false]);
    await until(() => harness.live.length > 0 && !harness.live.includes('stranger'), 'others serve');
    expect((await answer()).ids).toEqual(expectedIds(PROMPT, 20));
  });
});
