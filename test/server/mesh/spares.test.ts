import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { EXPECT_WORKERS_MS } from '../../../src/config/limits.ts';
import { whySpare } from '../../../src/server/mesh/placing/why-spare.ts';
import { until } from '../socket-timers.ts';
import { CAPABILITY } from './fake-worker.ts';
import { collect, Harness, PROMPT, request } from './harness.ts';

/** Why a worker that has joined holds nothing: the status says it, in every case. The model of the harness takes 8,600 B on one worker. */

let harness: Harness;
const restart = async (options: Parameters<typeof Harness.start>[0]) => {
  await harness.stop();
  harness = await Harness.start(options);
};
const spare = (name: string) => harness.mesh.rows().workers.find((worker) => worker.name === name)?.spare;

beforeEach(async () => {
  harness = await Harness.start();
});
afterEach(() => harness.stop());

describe('a worker without layers', () => {
  it('waits for the memory that is missing', async () => {
    await harness.join('a', { capability: { memoryBudgetBytes: 6_000 } });
    await until(() => spare('a')?.why === 'missing');
    expect(spare('a')).toEqual({ why: 'missing', missingBytes: 2_600 });
    await harness.join('b', { capability: { memoryBudgetBytes: 6_000 } });
    await harness.untilLive(2);
    expect([spare('a'), spare('b')]).toEqual([null, null]);
  });

  it('waits for the workers that are expected', async () => {
    await restart({ expectWorkers: 3 });
    await harness.join('a');
    await harness.join('b');
    await until(() => spare('b')?.why === 'expecting');
    expect(spare('a')).toEqual({ why: 'expecting', joined: 2, expected: 3 });
    harness.timers.advance(EXPECT_WORKERS_MS);
    await harness.untilLive(2);
  });

  it('is beyond the number of stages', async () => {
    await restart({ maxStages: 2, expectWorkers: 3 });
    for (const name of ['a', 'b', 'c']) await harness.join(name);
    await harness.untilLive(2);
    await until(() => spare('c')?.why === 'full');
    expect(spare('c')).toEqual({ why: 'full', stages: 2 });
    await harness.join('d');
    await until(() => spare('d')?.why === 'full');
  });

  it('has too little memory, or too small buffers, for one layer', async () => {
    await harness.joinAll(['a']);
    await harness.join('small', { capability: { memoryBudgetBytes: 1_000 } });
    await harness.join('narrow', { capability: { maxBufferBytes: 999 } });
    await until(() => spare('small')?.why === 'small-memory' && spare('narrow')?.why === 'small-buffers');
    expect(spare('small')).toEqual({ why: 'small-memory', neededBytes: 1_100, lentBytes: 1_000 });
    expect(spare('narrow')).toEqual({ why: 'small-buffers', neededBytes: 1_000, lentBytes: 999 });
  });

  it('is too slow beside the others', async () => {
    await harness.joinAll(['a']);
    await harness.join('slow', { capability: { gemvMacsPerSecond: 1e6 } });
    await until(() => spare('slow')?.why === 'slow');
  });

  it('would not make the pipeline faster', async () => {
    await restart({ maxStages: 2, expectWorkers: 2 });
    await harness.joinAll(['a', 'b']);
    // Fast enough to be taken in one's place, not by so much that loading anew pays.
    await harness.join('c', { capability: { gemvMacsPerSecond: 1.02e9 } });
    await until(() => spare('c')?.why === 'no-gain');
  });

  it('waits for the answers of the pipeline whose memory it needs', async () => {
    await harness.join('a', { capability: { memoryBudgetBytes: 10_000 }, misbehaviour: { gpuBytes: 9_100 } });
    await harness.untilLive(1);
    const first = harness.byName('a');
    first.misbehaviour = {
      ...first.misbehaviour,
      onToken: (_worker, token, send) => token.position < PROMPT.length + 2 && send(),
    };
    const abort = new AbortController();
    const answer = collect(harness.mesh.coordinator.generate(request(), abort.signal)).catch(() => null);
    await until(() => harness.mesh.routes.sequences === 1);
    await harness.join('b', { capability: { memoryBudgetBytes: 10_000 } });
    await until(() => spare('b')?.why === 'answers-first');
    abort.abort();
    await answer;
    await harness.untilLive(2);
    expect(spare('b')).toBeNull();
  });

  it('is looked at when what loads is through, and is left out for a while after a failure', async () => {
    const slow = await harness.join('a', { misbehaviour: { load: 'silent' } });
    await until(() => harness.mesh.loading() !== null);
    expect(spare('a')).toBeNull();
    await harness.join('b');
    await until(() => spare('b')?.why === 'later');
    slow.send({ type: 'load-failed', shard: 1, error: { code: 'OUT_OF_MEMORY', message: 'no room' } });
    await until(() => spare('a')?.why === 'left-out');
    await harness.untilLive(1);
    expect(harness.live).toEqual(['b']);
  });

  it('says first what keeps layers from it first', () => {
    const view = {
      nowMs: 1_000,
      expecting: null,
      isPlacing: true,
      judged: null,
      hasLive: false,
      hasLoading: false,
      missingBytes: 0,
    };
    const peer = { excludedUntil: 0, capability: CAPABILITY };
    expect(whySpare(peer, view)).toEqual({ why: 'placing' });
    expect(whySpare(peer, { ...view, isPlacing: false })).toEqual({ why: 'missing', missingBytes: null });
    expect(whySpare(peer, { ...view, isPlacing: false, hasLive: true })).toEqual({ why: 'later' });
    expect(whySpare({ ...peer, excludedUntil: 3_500 }, view)).toEqual({ why: 'left-out', seconds: 3 });
    expect(whySpare(peer, { ...view, judged: { why: 'slow' } })).toEqual({ why: 'slow' });
  });
});
