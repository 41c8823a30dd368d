import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { PEER_RETURN_MS, RETURN_WAIT_MS } from '../../../src/config/limits.ts';
import { until } from '../socket-timers.ts';
import { expectedIds, type FakeWorker } from './fake-worker.ts';
import { collect, Harness, never, PROMPT, request } from './harness.ts';

/** Who goes, who returns, and what is loaded again for it: nothing that is still held. */

let harness: Harness;
const restart = async (options: Parameters<typeof Harness.start>[0]) => {
  await harness.stop();
  harness = await Harness.start(options);
};
const loads = () => harness.workers.map((worker) => worker.messages('hold').length);
const settled = () => new Promise((resolve) => setTimeout(resolve, 30));
const generate = (over = {}) => collect(harness.mesh.coordinator.generate(request(over), never()));
const table = () => harness.mesh.rows().layers!.map(({ name, layers, state }) => [name, ...layers, state]);

/** Three workers, a third of the layers each. */
async function three(
  options: Parameters<typeof Harness.start>[0] = {},
): Promise<[FakeWorker, FakeWorker, FakeWorker]> {
  await restart({ expectWorkers: 3, maxStages: 3, ...options });
  await harness.joinAll(['a', 'b', 'c'], 3);
  return harness.live.map((name) => harness.byName(name)) as [FakeWorker, FakeWorker, FakeWorker];
}

beforeEach(async () => {
  harness = await Harness.start();
});
afterEach(async () => {
  await harness.stop();
  expect(harness.timers.pending + harness.signalTimers.pending).toBe(0);
});

describe('a worker whose socket closes', () => {
  it('and whose neighbours hear it is waited for, and goes on with what it holds', async () => {
    const [, middle] = await three();
    const before = loads();
    middle.disconnect();
    await until(() => !harness.mesh.readiness().ready);
    await settled();
    expect(loads()).toEqual(before);
    expect(table()).toContainEqual([middle.name, 3, 6, 'away']);
    await middle.reconnect();
    await harness.untilLive(3);
    expect(loads()).toEqual(before);
    expect((await generate()).ids).toEqual(expectedIds(PROMPT, 20));
  });

  it('does not disturb an answer that runs through it', async () => {
    const [first, middle, last] = await three();
    const held: (() => void)[] = [];
    last.misbehaviour = { onToken: (_worker, _token, send) => held.push(send) };
    const answer = generate();
    await until(() => held.length === 1);
    middle.disconnect();
    await until(() => !harness.mesh.readiness().ready);
    last.misbehaviour = {};
    held[0]!();
    expect(await answer).toMatchObject({ ids: expectedIds(PROMPT, 20), restarts: [0] });
    expect(first.messages('open')).toHaveLength(1);
  });

  it('and does not return is gone in the end: the rest is placed anew', async () => {
    const [, middle] = await three();
    middle.disconnect();
    await until(() => !harness.mesh.readiness().ready);
    await settled();
    harness.timers.advance(PEER_RETURN_MS);
    await harness.untilLive(2);
    expect(harness.live).not.toContain(middle.name);
  });

  it('and whom a neighbour does not hear is lost at once; back again it is as if it had never left', async () => {
    const [first, middle, last] = await three();
    middle.disconnect();
    first.send({ type: 'link', peer: middle.id, state: 'silent' });
    await harness.untilLive(2);
    expect(harness.live.toSorted()).toEqual([first.name, last.name].toSorted());
    const before = middle.messages('hold').length;
    await middle.reconnect();
    await harness.heard(middle);
    // What it still holds is of the split over three, which is made again without loading it.
    await harness.untilLive(3);
    expect(middle.messages('hold')).toHaveLength(before);
  });
});

describe('a lost stage', () => {
  it('is taken by a spare: what the others hold stays, and only the gap is loaded', async () => {
    const [first, middle, last] = await three();
    const spare = await harness.join('d');
    await harness.heard(spare);
    await settled();
    const before = [first, last].map((worker) => worker.messages('hold').length);
    middle.kill();
    await until(() => harness.live.includes('d'));
    expect(harness.live).toEqual([first.name, 'd', last.name]);
    expect([first, last].map((worker) => worker.messages('hold').length)).toEqual(before);
    expect(spare.messages('hold').map(({ layers }) => [layers.start, layers.end])).toEqual([[3, 6]]);
    expect((await generate()).ids).toEqual(expectedIds(PROMPT, 20));
  });

  it('is not taken by a spare that would hold all others up', async () => {
    const [first, middle, last] = await three();
    const spare = await harness.join('d', { capability: { gemvMacsPerSecond: 1e6 } });
    await harness.heard(spare);
    await settled();
    middle.kill();
    await harness.untilLive(2);
    expect(harness.live.toSorted()).toEqual([first.name, last.name].toSorted());
  });
});

describe('replicas', () => {
  it('of each stage are held where there are workers to spare, the slowest stage’s first', async () => {
    await three({ replicas: 2 });
    for (const name of ['d', 'e', 'f', 'g']) await harness.join(name);
    await until(() => table().length === 6 && table().every(([, , , state]) => state === 'held'));
    const ranges = table().map(([, start, end]) => `${start}-${end}`);
    expect(ranges).toEqual(['0-3', '0-3', '3-6', '3-6', '6-8', '6-8']);
    expect(harness.mesh.rows().workers.find(({ name }) => name === 'd')).toMatchObject({
      state: 'serving',
      spare: null,
    });
    // Each may be followed by each.
    const [, second] = harness.live.map((name) => harness.byName(name));
    expect(second!.links.size).toBe(4);
    await until(() => harness.mesh.rows().workers.filter(({ spare }) => spare !== null).length === 1);
  });

  it('take over at once for one that is lost, and nothing is loaded before', async () => {
    const [, middle] = await three({ replicas: 2 });
    for (const name of ['d', 'e', 'f']) await harness.join(name);
    await until(() => table().length === 6 && table().every(([, , , state]) => state === 'held'));
    const answer = collect(
      harness.mesh.coordinator.generate(request({ maxTokens: 60 }), never()),
      (count) => {
        if (count === 5) middle.kill();
      },
    );
    expect((await answer).ids).toEqual(expectedIds(PROMPT, 60));
    expect(harness.mesh.readiness().ready).toBe(true);
    expect(harness.live).toHaveLength(3);
    for (const worker of harness.workers) {
      if (worker !== middle)
        expect(worker.messages('drop').filter(({ shard }) => worker.held.has(shard))).toEqual([]);
    }
  });

  it('are used, too: sequences spread over them', async () => {
    await three({ replicas: 2 });
    for (const name of ['d', 'e', 'f']) await harness.join(name);
    await until(() => table().length === 6 && table().every(([, , , state]) => state === 'held'));
    const held: (() => void)[] = [];
    for (const worker of harness.workers)
      worker.misbehaviour = { onToken: (_w, _t, send) => held.push(send) };
    const answers = Array.from({ length: 4 }, () => generate({ maxTokens: 1 }));
    await until(() => held.length === 4);
    expect(harness.mesh.rows().layers!.map(({ sequences }) => sequences)).toEqual([2, 2, 2, 2, 2, 2]);
    const inUse = harness.mesh.routes.inUse();
    expect(inUse.reduce((sum, { sequences }) => sum + sequences, 0)).toBe(4);
    expect(inUse[0]!.stages.map(({ start, end }) => [start, end])).toEqual([
      [0, 3],
      [3, 6],
      [6, 8],
    ]);
    for (const send of held) send();
    await Promise.all(answers);
    expect(harness.mesh.routes.inUse()).toEqual([]);
  });

  it('take sequences over when a link falls silent between two that live', async () => {
    const [first, middle, last] = await three({ replicas: 2 });
    await harness.join('d');
    await until(() => table().length === 4 && table().every(([, , , state]) => state === 'held'));
    const copy = harness.byName('d');
    last.misbehaviour = { onToken: (_worker, { position }, send) => position < PROMPT.length + 4 && send() };
    const answer = await collect(harness.mesh.coordinator.generate(request(), never()), (count) => {
      if (count !== 4) return;
      last.misbehaviour = {};
      first.send({ type: 'link', peer: middle.id, state: 'silent' });
    });
    expect(answer).toMatchObject({
      ids: expectedIds(PROMPT, 20),
      served: [
        [first.name, middle.name, last.name],
        [copy.name, middle.name, last.name],
      ],
    });
    expect(copy.messages('hold').map(({ layers }) => layers.start)).toEqual([0]);
    // Nobody is blamed, and it counts again when it is heard.
    expect(harness.mesh.rows().workers.filter(({ problem }) => problem !== null)).toEqual([]);
  });
});

describe('a worker that drains', () => {
  it('is released at once where nothing runs on it, and given nothing more', async () => {
    const [, middle] = await three();
    const spare = await harness.join('d');
    await harness.heard(spare);
    middle.send({ type: 'drain', reason: 'button' });
    await until(() => middle.messages('released').length === 1);
    await until(() => harness.live.includes('d'));
    expect(harness.live).not.toContain(middle.name);
  });

  it('lets its sequences go on elsewhere first', async () => {
    const [first, middle, last] = await three();
    const spare = await harness.join('d');
    await harness.heard(spare);
    await settled();
    const held: (() => void)[] = [];
    last.misbehaviour = {
      onToken: (_worker, { position }, send) => (position < PROMPT.length + 4 ? send() : held.push(send)),
    };
    const answer = generate();
    await until(() => held.length === 1);
    middle.send({ type: 'drain', reason: 'button' });
    await harness.heard(middle);
    expect(middle.messages('released')).toEqual([]);
    await until(() => middle.messages('released').length === 1);
    last.misbehaviour = {};
    // The new route's token may have come before.
    for (const send of held) send();
    expect(await answer).toMatchObject({
      ids: expectedIds(PROMPT, 20),
      restarts: [0, 1],
      served: [
        [first.name, middle.name, last.name],
        [first.name, 'd', last.name],
      ],
    });
  });

  it('and that nobody can stand in for finishes what it has', async () => {
    const [a] = await harness.joinAll(['a']);
    const held: (() => void)[] = [];
    a!.misbehaviour = { onToken: (_worker, _token, send) => held.push(send) };
    const answer = generate({ maxTokens: 1 });
    await until(() => held.length === 1);
    a!.send({ type: 'drain', reason: 'SIGTERM' });
    await harness.heard(a!);
    await settled();
    expect(a!.messages('released')).toEqual([]);
    await expect(generate()).rejects.toMatchObject({ code: 'NO_PIPELINE' });
    held[0]!();
    expect(await answer).toMatchObject({ ids: expectedIds(PROMPT, 1), restarts: [0] });
    await until(() => a!.messages('released').length === 1);
  });
});

describe('a server that is started again', () => {
  it('takes what returning workers hold, and loads nothing', async () => {
    const workers = await three();
    const before = loads();
    const old = harness;
    harness = await Harness.start({ maxStages: 3 });
    harness.workers = [...workers];
    await old.stop();
    for (const worker of workers) {
      await worker.reconnect(harness.url);
      await settled();
    }
    await harness.untilLive(3);
    expect(loads()).toEqual(before);
    expect((await generate()).ids).toEqual(expectedIds(PROMPT, 20));
  });

  it('waits a while for those that have not returned, and then places anew', async () => {
    const [first, , last] = await three();
    const old = harness;
    harness = await Harness.start();
    harness.workers = [first, last];
    await old.stop();
    const before = loads();
    for (const worker of [first, last]) await worker.reconnect(harness.url);
    await settled();
    expect(loads()).toEqual(before);
    harness.timers.advance(RETURN_WAIT_MS);
    await harness.untilLive(2);
  });

  it('has what is not of its model dropped', async () => {
    const [first] = await three();
    const old = harness;
    harness = await Harness.start({ model: 'other' });
    harness.workers = [first];
    await old.stop();
    await first.reconnect(harness.url);
    await harness.untilLive(1);
    expect(first.messages('drop').length).toBeGreaterThan(0);
    expect(table()).toEqual([[first.name, 0, 8, 'held']]);
  });
});
