import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ALL_RETURN_MS, PIPELINE_WAIT_MS } from '../../../src/config/limits.ts';
import type { Status } from '../../../src/mesh/protocol/status.ts';
import { until } from '../socket-timers.ts';
import type { FakeWorker } from './fake-worker.ts';
import { collect, Harness, never, PROMPT, request } from './harness.ts';

/** What people are told when a worker is lost in the middle of an answer. */

let harness: Harness;
const recovery = () => harness.mesh.recovery();

/** The last stage goes on when `count` tokens are there and the test lets it. */
function pausesAfter(worker: FakeWorker, count: number): void {
  worker.misbehaviour = {
    onToken: (_worker, token, send) => token.position < PROMPT.length + count && send(),
  };
}

/** Starts an answer on all workers that runs into `lose` after three tokens. */
async function loseInMidAnswer(lose: (last: FakeWorker) => void) {
  const last = harness.byName(harness.live.at(-1)!);
  pausesAfter(last, 3);
  const lost = new Promise<void>((resolve) => {
    const answer = collect(harness.mesh.coordinator.generate(request(), never()), (count) => {
      if (count !== 3) return;
      lose(last);
      resolve();
    });
    ended = answer;
  });
  await lost;
  return last.name;
}
let ended: ReturnType<typeof collect>;
const lastShard = (worker: FakeWorker) => worker.messages('hold').at(-1)!.shard;

beforeEach(async () => {
  harness = await Harness.start({ expectWorkers: 3 });
  await harness.joinAll(['tab-1', 'tab-2', 'tab-3']);
});
afterEach(async () => {
  await harness.stop();
  expect(harness.timers.pending + harness.signalTimers.pending).toBe(0);
});

describe('a lost worker', () => {
  it('is named with those it goes on with, from the loss to the next token, and in the answer’s report', async () => {
    const seen: NonNullable<Status['recovery']>[] = [];
    for (const worker of harness.workers) worker.misbehaviour = { load: 'silent' };
    const lost = await loseInMidAnswer((last) => last.kill());
    const left = ['tab-1', 'tab-2', 'tab-3'].filter((name) => name !== lost);
    await until(() => harness.mesh.loading() !== null);
    seen.push(recovery()!);
    expect(harness.mesh.loading()).toMatchObject({ ready: 0, bytesDone: 0, bytesTotal: 0 });
    // Nobody has said how much there is: no "0.0 of 0.0 MB".
    expect(harness.mesh.readiness().detail).toMatch(/: 0 of 2 workers ready$/);
    const held: (() => void)[] = [];
    const members = left.map((name) => harness.byName(name));
    await until(() => members.every((worker) => worker.messages('hold').length === 2));
    for (const worker of members) {
      worker.misbehaviour = { load: 'silent', onToken: (_worker, _token, send) => held.push(send) };
      worker.send({
        type: 'load-progress',
        shard: lastShard(worker),
        phase: 'download',
        bytesDone: 1e6,
        bytesTotal: 3e6,
      });
    }
    await until(() => harness.mesh.loading()?.bytesDone === 2e6);
    expect(harness.mesh.readiness().detail).toContain('0 of 2 workers ready, 2.0 of 6.0 MB');
    for (const worker of members) worker.finishLoad(lastShard(worker));
    await harness.untilLive(2);
    seen.push(recovery()!);
    expect(seen.map(({ step }) => step)).toEqual(['loading', 'resuming']);
    for (const told of seen) {
      expect(told.lost).toEqual([{ worker: lost, how: 'left' }]);
      expect(told.with.toSorted()).toEqual(left);
    }
    expect(harness.mesh.coordinator.resuming).toBe(1);
    await until(() => held.length > 0);
    for (const worker of members) worker.misbehaviour = {};
    for (const send of held) send();
    expect((await ended).finish).toBe('length');
    expect((await ended).losses).toEqual([[], [{ worker: lost, how: 'left' }]]);
    expect(recovery()).toBeNull();
  });

  it('that said goodbye, or failed, is told as such', async () => {
    const leaver = await loseInMidAnswer((last) => last.send({ type: 'leave', reason: 'button' }));
    expect((await ended).losses).toEqual([[], [{ worker: leaver, how: 'left' }]]);
    const [first, last] = harness.live.map((name) => harness.byName(name)) as [FakeWorker, FakeWorker];
    pausesAfter(last, 3);
    const answer = await collect(harness.mesh.coordinator.generate(request(), never()), (count) => {
      if (count !== 3) return;
      const error = { code: 'LINK_FAILED', message: 'silent' } as const;
      first.send({ type: 'link', peer: last.id, state: 'down', error });
    });
    // Which of its two ends is at fault nobody can tell.
    expect(answer.losses).toEqual([[], [{ worker: null, how: 'failed' }]]);
  });

  it('and all the others: says that somebody has to join, as long as an answer waits for it', async () => {
    await loseInMidAnswer(() => {
      for (const worker of harness.workers) worker.kill();
    });
    const failed = expect(ended).rejects.toMatchObject({ code: 'NO_PIPELINE' });
    // They may all be back, and are waited for.
    await until(() => harness.mesh.registry.all().every(({ isAway }) => isAway));
    expect(recovery()).toBeNull();
    harness.timers.advance(ALL_RETURN_MS);
    await until(() => recovery()?.step === 'waiting');
    expect(recovery()?.with).toEqual([]);
    harness.timers.advance(PIPELINE_WAIT_MS);
    await failed;
    expect(recovery()).toBeNull();
  });

  it('is nobody’s news where no pipeline had served', async () => {
    await harness.stop();
    harness = await Harness.start();
    const only = await harness.join('tab-1', { misbehaviour: { load: 'silent' } });
    await until(() => harness.mesh.loading() !== null);
    expect(harness.mesh.loading()?.stages.map(({ name }) => name)).toEqual(['tab-1']);
    only.kill();
    await until(() => harness.mesh.loading() === null);
    expect(recovery()).toBeNull();
  });
});

describe('an answer that starts again', () => {
  it('for f32 says so, and blames nobody', async () => {
    harness.byName(harness.live[0]!).misbehaviour = { open: 'F16_RANGE with f16' };
    const answer = await collect(harness.mesh.coordinator.generate(request(), never()));
    expect(answer.losses).toEqual([[{ worker: null, how: 'precision' }]]);
  });
});
