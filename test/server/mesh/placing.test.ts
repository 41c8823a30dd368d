import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  EXPECT_WORKERS_MS,
  LOAD_STALL_MS,
  WORKER_BACKOFF_MAX_MS,
  WORKER_BACKOFF_MIN_MS,
} from '../../../src/config/limits.ts';
import { until } from '../socket-timers.ts';
import { expectedIds, type FakeWorker } from './fake-worker.ts';
import { collect, Harness, never, PROMPT, request } from './harness.ts';

/** The model of the harness takes 9,100 B on one worker. */
const NEEDS_TWO_BYTES = 6_000;

let harness: Harness;
const restart = async (options: Parameters<typeof Harness.start>[0]) => {
  await harness.stop();
  harness = await Harness.start(options);
};
const worker = (name: string) => harness.mesh.rows().workers.find((candidate) => candidate.name === name);

beforeEach(async () => {
  harness = await Harness.start();
});
afterEach(async () => {
  await harness.stop();
  expect(harness.timers.pending + harness.signalTimers.pending).toBe(0);
});

describe('joining', () => {
  it('serves with one worker, and spreads out as more come, under rising epochs', async () => {
    await harness.joinAll(['a']);
    const first = harness.mesh.routes.live!.epoch;
    expect(worker('a')).toMatchObject({ state: 'serving', layers: [0, 8] });
    await harness.join('b');
    await harness.untilLive(2);
    await harness.join('c');
    await harness.untilLive(3);
    expect(harness.mesh.routes.live!.epoch).toBeGreaterThan(first + 1);
    expect(harness.live[0]).toBe('a');
    await until(() => harness.byName('a').shards.size === 1);
    expect(
      harness
        .byName('a')
        .messages('drop')
        .map(({ shard }) => shard),
    ).toEqual([1, 2]);
  });

  it('gives every stage the paths of exactly its shard, and all of them links', async () => {
    await restart({ expectWorkers: 3 });
    await harness.joinAll(['a', 'b', 'c']);
    const workers = harness.live.map((name) => harness.byName(name));
    expect(workers.map((worker) => worker.messages('hold')[0]!.manifestPath)).toEqual([
      '/models/fake/manifest?start=0&end=3&embedding=1&head=0',
      '/models/fake/manifest?start=3&end=6&embedding=0&head=0',
      '/models/fake/manifest?start=6&end=8&embedding=0&head=1',
    ]);
    for (const worker of workers) {
      const others = workers.filter((other) => other !== worker).map(({ id }) => id);
      expect([...worker.links].toSorted()).toEqual(others.toSorted());
    }
  });

  it('waits for the workers it was told to expect, and no longer than the deadline', async () => {
    await restart({ expectWorkers: 3 });
    await harness.join('a');
    const b = await harness.join('b');
    await harness.heard(b);
    await until(() => harness.mesh.readiness().detail.includes('2 of 3 expected workers'));
    expect(harness.mesh.loading()).toBeNull();
    harness.timers.advance(EXPECT_WORKERS_MS);
    await harness.untilLive(2);
  });

  it('with more workers than layers moves nothing', async () => {
    await restart({ expectWorkers: 8 });
    await harness.joinAll(Array.from({ length: 8 }, (_, i) => `w${i}`));
    const { epoch } = harness.mesh.routes.live!;
    const spare = await harness.join('spare');
    await harness.heard(spare);
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(harness.mesh.routes.live!.epoch).toBe(epoch);
    expect(spare.messages('hold')).toEqual([]);
    expect(worker('spare')).toMatchObject({ state: 'joined', layers: null });
    // It takes over for one that leaves.
    harness.byName('w3').kill();
    await until(() => harness.live.includes('spare'));
    expect(harness.live).toHaveLength(8);
  });

  it('makes before it breaks: a sequence ends where it began, new ones go to the new pipeline', async () => {
    const [a] = await harness.joinAll(['a']);
    const held: (() => void)[] = [];
    a!.misbehaviour = { onToken: (_worker, _token, send) => held.push(send) };
    const old = collect(harness.mesh.coordinator.generate(request({ maxTokens: 2 }), never()));
    await until(() => held.length === 1);
    await harness.join('b');
    await harness.untilLive(2);
    // a holds both, and serves both.
    expect([...a!.shards.keys()]).toEqual([1, 2]);
    const fresh = await collect(harness.mesh.coordinator.generate(request(), never()));
    expect(fresh).toMatchObject({ ids: expectedIds(PROMPT, 20), served: [['a', 'b']] });
    expect(a!.messages('drop')).toEqual([]);
    a!.misbehaviour = {};
    held[0]!();
    expect(await old).toMatchObject({ ids: expectedIds(PROMPT, 2), served: [['a']], restarts: [0] });
    await until(() => a!.shards.size === 1);
    expect(a!.messages('drop').map(({ shard }) => shard)).toEqual([1]);
  });

  it('again after a lost device loads anew what the worker does not hold any more', async () => {
    const [a] = await harness.joinAll(['a']);
    const { epoch } = harness.mesh.routes.live!;
    a!.joinAnew();
    await until(() => a!.messages('hold').length === 2);
    await until(() => (harness.mesh.routes.live?.epoch ?? 0) > epoch);
    expect(a!.messages('hold').map(({ shard }) => shard)).toEqual([1, 2]);
  });

  it('again with all that it held loads nothing', async () => {
    const [a, b] = await harness.joinAll(['a', 'b']);
    const loads = [a!, b!].map((worker) => worker.messages('hold').length);
    a!.join();
    await harness.heard(a!);
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(harness.live).toHaveLength(2);
    expect([a!, b!].map((worker) => worker.messages('hold').length)).toEqual(loads);
  });
});

describe('leaving', () => {
  it('of a spectator changes nothing, of the last worker is told by readiness at once', async () => {
    const [a] = await harness.joinAll(['a']);
    expect(harness.mesh.readiness()).toEqual({ ready: true, detail: 'fake is served by a' });
    a!.send({ type: 'leave', reason: 'button' });
    await until(() => !harness.mesh.readiness().ready);
    expect(harness.mesh.rows().workers).toEqual([]);
    a!.send({ type: 'leave', reason: 'again' });
    a!.join();
    await harness.untilLive(1);
  });

  it('while a pipeline loads places the rest anew', async () => {
    await restart({ expectWorkers: 3 });
    await harness.join('a');
    await harness.join('b', { misbehaviour: { load: 'silent' } });
    await harness.join('c');
    await until(() => harness.mesh.loading() !== null);
    harness.byName('b').kill();
    await harness.untilLive(2);
    expect(harness.live).toEqual(['a', 'c']);
  });

  it('keeps the others in their order, which is that of their caches', async () => {
    await restart({ expectWorkers: 4 });
    await harness.joinAll(['a', 'b', 'c', 'd']);
    const order = harness.live;
    harness.byName(order[1]!).kill();
    await harness.untilLive(3);
    expect(harness.live).toEqual(order.filter((_, index) => index !== 1));
  });
});

describe('a load', () => {
  it('that fails leaves the worker out for a while that doubles, and says why', async () => {
    await restart({ expectWorkers: 2 });
    await harness.join('a');
    const b = await harness.join('b', { misbehaviour: { load: 'fail' } });
    await harness.untilLive(1);
    expect(harness.live).toEqual(['a']);
    expect(worker('b')?.problem).toContain('OUT_OF_MEMORY: its device has no memory left');
    // b is tried again beside the pipeline that serves, which its failure does not touch.
    harness.timers.advance(WORKER_BACKOFF_MIN_MS);
    await until(() => b.messages('hold').length === 2);
    await until(() => harness.mesh.loading() === null);
    expect(harness.live).toEqual(['a']);
    harness.timers.advance(WORKER_BACKOFF_MIN_MS);
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(b.messages('hold')).toHaveLength(2);
    b.misbehaviour = {};
    harness.timers.advance(WORKER_BACKOFF_MIN_MS);
    await harness.untilLive(2);
    expect(worker('b')?.problem).toBeNull();
  });

  it('of a better placement that fails on a serving worker leaves the serving pipeline alone', async () => {
    const [a] = await harness.joinAll(['a']);
    a!.misbehaviour = { load: 'fail' };
    await harness.join('b');
    await until(() => worker('a')?.problem !== null);
    expect(harness.mesh.readiness().ready).toBe(true);
    expect(await collect(harness.mesh.coordinator.generate(request(), never()))).toMatchObject({
      ids: expectedIds(PROMPT, 20),
      restarts: [0],
    });
  });

  it('that fails everywhere is said by readiness, and tried again', async () => {
    const a = await harness.join('a', { misbehaviour: { load: 'fail' } });
    await until(() => harness.mesh.readiness().detail.includes('no memory left'));
    expect(harness.mesh.readiness().ready).toBe(false);
    a.misbehaviour = {};
    harness.timers.advance(WORKER_BACKOFF_MAX_MS);
    await harness.untilLive(1);
  });

  it('without progress ends after the deadline, and only who holds it up is left out', async () => {
    await restart({ expectWorkers: 2 });
    const a = await harness.join('a', { misbehaviour: { load: 'silent' } });
    const b = await harness.join('b', { misbehaviour: { load: 'silent' } });
    await until(() => b.messages('hold').length === 1);
    const progress = { type: 'load-progress', shard: 1, phase: 'download', bytesTotal: 4_500 } as const;
    harness.timers.advance(LOAD_STALL_MS - 1);
    a.send({ ...progress, bytesDone: 4_500 });
    b.send({ ...progress, bytesDone: 2_000 });
    await Promise.all([harness.heard(a), harness.heard(b)]);
    harness.timers.advance(LOAD_STALL_MS - 1);
    expect(harness.mesh.loading()?.stages).toHaveLength(2);
    // From here on it lags no more, and may be given all layers before the other's time is over.
    a.misbehaviour = {};
    a.send({ ...progress, phase: 'verify', bytesDone: 100 });
    // The same report again is no progress.
    b.send({ ...progress, bytesDone: 2_000 });
    await Promise.all([harness.heard(a), harness.heard(b)]);
    harness.timers.advance(1);
    await harness.untilLive(1);
    expect(harness.live).toEqual(['a']);
    expect(worker('b')?.problem ?? 'dropped: no progress').toContain('no progress');
    expect(worker('a')?.problem).toBeNull();
  });

  it('that goes on for ever, a byte at a time, ends all the same', async () => {
    const capability = { gemvMacsPerSecond: 1e12 };
    const a = await harness.join('a', { capability, misbehaviour: { load: 'silent' } });
    await until(() => a.messages('hold').length === 1);
    await harness.join('b');
    for (let bytesDone = 1; bytesDone <= 4; bytesDone++) {
      a.send({ type: 'load-progress', shard: 1, phase: 'download', bytesDone, bytesTotal: 100 });
      await harness.heard(a);
      expect(worker('a')?.problem).toBeNull();
      harness.timers.advance(LOAD_STALL_MS / 4);
    }
    expect(worker('a')?.problem).toContain('KiB a second');
    await harness.untilLive(1);
    expect(harness.live).toEqual(['b']);
  });
});

describe('a link', () => {
  const error = { code: 'LINK_FAILED', message: 'no way through' } as const;
  const down = (peer: string) => ({ type: 'link', peer, state: 'down', error }) as const;

  it.each(['the reachable end', 'the unreachable end'])(
    'that does not open and is reported by %s: in the end the unreachable one is out',
    async (who) => {
      await restart({ expectWorkers: 3 });
      for (const name of ['a', 'b', 'c']) await harness.join(name, { misbehaviour: { links: 'silent' } });
      // b reaches nobody.
      const b = harness.byName('b');
      for (let round = 0; round < 3; round++) {
        await until(() => harness.mesh.loading() !== null || harness.mesh.readiness().ready);
        const stages = harness.mesh.loading()?.stages ?? [];
        if (!stages.some(({ peer }) => peer === b.id)) break;
        const index = stages.findIndex(({ peer }) => peer === b.id);
        const neighbour = harness.byName(stages[(index + 1) % stages.length]!.name);
        const [reporter, other] = who === 'the reachable end' ? [neighbour, b] : [b, neighbour];
        await until(() => reporter.links.has(other.id));
        reporter.send(down(other.id));
        await until(() => JSON.stringify(harness.mesh.loading()?.stages) !== JSON.stringify(stages));
      }
      expect(worker('b')?.problem).toContain('went down and stayed so');
      const [a, c] = ['a', 'c'].map((name) => harness.byName(name)) as [FakeWorker, FakeWorker];
      for (const one of [a, c]) one.misbehaviour = {};
      // Its first back-off over, it does not disturb the rest.
      harness.timers.advance(WORKER_BACKOFF_MIN_MS);
      a.send({ type: 'link', peer: c.id, state: 'up' });
      await until(() => harness.mesh.readiness().ready);
      await new Promise((resolve) => setTimeout(resolve, 20));
      expect(harness.live).not.toContain('b');
      harness.mesh.close();
    },
  );

  it('that failed keeps nobody out who is needed', async () => {
    await restart({ expectWorkers: 2 });
    const options = {
      capability: { memoryBudgetBytes: NEEDS_TWO_BYTES },
      misbehaviour: { links: 'silent' },
    } as const;
    const a = await harness.join('a', options);
    const b = await harness.join('b', options);
    await until(() => a.links.has(b.id) && b.links.has(a.id));
    a.misbehaviour = {};
    b.misbehaviour = {};
    a.send(down(b.id));
    await until(() => worker('b')?.problem !== null);
    harness.timers.advance(WORKER_BACKOFF_MIN_MS);
    await harness.untilLive(2);
    expect([a, b].map((one) => one.messages('hold').length)).toEqual([1, 1]);
  });

  it('that nobody ever tells of keeps the room from serving for as long as a load may stand still', async () => {
    await restart({ expectWorkers: 2 });
    for (const name of ['a', 'b']) await harness.join(name, { misbehaviour: { links: 'silent' } });
    await until(() => harness.mesh.loading() !== null && harness.mesh.loading()!.ready === 2);
    harness.timers.advance(LOAD_STALL_MS);
    await harness.untilLive(1);
  });

  it('that is down counts only where it is wanted', async () => {
    await restart({ expectWorkers: 4 });
    await harness.joinAll(['a', 'b', 'c', 'd']);
    const [first, , third, last] = harness.live.map((name) => harness.byName(name));
    const { epoch } = harness.mesh.routes.live!;
    first!.send(down(third!.id));
    await harness.heard(first!);
    expect(harness.mesh.routes.live?.epoch).toBe(epoch);
    // The loop, by which tokens come back to the first stage.
    first!.send(down(last!.id));
    await harness.untilLive(3);
    expect(harness.live).not.toContain(last!.name);
  });

  it('that is silent is no reason to place anew', async () => {
    const [a, b] = await harness.joinAll(['a', 'b']);
    const loads = b!.messages('hold').length;
    a!.send({ type: 'link', peer: b!.id, state: 'silent' });
    await harness.heard(a!);
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(harness.live).toHaveLength(2);
    expect(b!.messages('hold')).toHaveLength(loads);
  });
});

describe('memory', () => {
  it('that the present pipeline takes is not promised to the next, which waits until nobody uses the old', async () => {
    const memoryBudgetBytes = 20_000;
    const a = await harness.join('a', {
      capability: { memoryBudgetBytes },
      misbehaviour: { gpuBytes: memoryBudgetBytes },
    });
    await harness.untilLive(1);
    const held: (() => void)[] = [];
    a.misbehaviour.onToken = (_worker, _token, send) => held.push(send);
    const answer = collect(harness.mesh.coordinator.generate(request({ maxTokens: 1 }), never()));
    await until(() => held.length === 1);
    const b = await harness.join('b');
    await harness.heard(b);
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(b.messages('hold')).toEqual([]);
    a.misbehaviour = {};
    held[0]!();
    expect(await answer).toMatchObject({ ids: expectedIds(PROMPT, 1), restarts: [0] });
    await harness.untilLive(2);
    // The old stage was given back before the new one was asked for.
    expect(a.received.map(({ type }) => type).filter((type) => type === 'hold' || type === 'drop')).toEqual([
      'hold',
      'drop',
      'hold',
    ]);
  });

  it('that is too small is told with numbers', async () => {
    await harness.join('a', { capability: { memoryBudgetBytes: 3_000 } });
    await until(() => harness.mesh.readiness().detail.includes('MB'));
    expect(harness.mesh.readiness().detail).toMatch(/needs .* MB of GPU memory, the only worker lends .* MB/);
    expect(harness.mesh.shortage).toMatchObject({
      workers: 1,
      detail: expect.stringMatching(/needs/),
    });
  });
});
