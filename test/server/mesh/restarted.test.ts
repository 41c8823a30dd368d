import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ADOPT_WAIT_MS } from '../../../src/config/limits.ts';
import { until } from '../socket-timers.ts';
import { expectedIds, type FakeWorker } from './fake-worker.ts';
import { collect, Harness, never, PROMPT, request } from './harness.ts';

/** Another server in place of the one before, which is gone without a word: workers come to it with what they hold and run. */

const OPTIONS = { minStages: 2, maxStages: 2, replicas: 2 };
let before: Harness;
let after: Harness;

beforeEach(async () => {
  after = await Harness.start(OPTIONS);
});
afterEach(async () => {
  for (const harness of [before, after]) {
    await harness.stop();
    expect(harness.timers.pending + harness.signalTimers.pending).toBe(0);
  }
});

/** The server before, with a split over two; who comes beyond holds a copy. */
async function serve(...names: string[]): Promise<FakeWorker[]> {
  before = await Harness.start({ ...OPTIONS, expectWorkers: names.length });
  for (const name of names) await before.join(name);
  await before.untilLive(2);
  await until(() => before.workers.every(({ held }) => held.size === 1));
  return before.workers;
}

const loads = () => before.workers.map((worker) => worker.messages('hold').length);
const ranges = () =>
  before.workers.map(({ held, shards }) => [...held].map((shard) => shards.get(shard)!.layers));

const STANDS_AT = PROMPT.length + 6;

/** A sequence is served by `before` as far as STANDS_AT, and its next token is held back until `letGo`. */
async function begun(): Promise<{ sequence: number; letGo: () => void }> {
  const waiting: (() => void)[] = [];
  for (const worker of before.workers) {
    worker.misbehaviour.onToken = (_worker, { position }, send) => {
      if (position < STANDS_AT) send();
      else waiting.push(send);
    };
  }
  collect(before.mesh.coordinator.generate(request(), never())).catch(() => {});
  await until(() => waiting.length > 0);
  const sequence = before.workers.flatMap(({ sequences }) => [...sequences.keys()])[0]!;
  return {
    sequence,
    letGo() {
      for (const worker of before.workers) worker.misbehaviour = {};
      for (const send of waiting) send();
    },
  };
}

async function comeBack(...workers: readonly FakeWorker[]): Promise<void> {
  for (const worker of workers) {
    worker.disconnect();
    await worker.reconnect(after.url);
    await after.heard(worker);
  }
}

const goOn = (sequence: number | null) =>
  collect(after.mesh.coordinator.generate(request({ resume: { sequence, ids: [] } }), never()));

describe('after the server’s restart', () => {
  it.each([
    ['in their order', (all: readonly FakeWorker[]) => all],
    ['the last first', (all: readonly FakeWorker[]) => all.toReversed()],
  ])('workers that come back %s keep exactly what they held', async (_order, ordered) => {
    const workers = await serve('a', 'b');
    const [loadsBefore, rangesBefore] = [loads(), ranges()];
    await comeBack(...ordered(workers));
    await after.untilLive(2);
    expect((await collect(after.mesh.coordinator.generate(request(), never()))).ids).toEqual(
      expectedIds(PROMPT, 20),
    );
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(loads()).toEqual(loadsBefore);
    expect(ranges()).toEqual(rangesBefore);
    expect(workers.flatMap((worker) => worker.messages('drop'))).toEqual([]);
  });

  it('so do those that hold the whole model each', async () => {
    before = await Harness.start({ minStages: 1, replicas: 2 });
    await after.stop();
    after = await Harness.start({ minStages: 1, replicas: 2 });
    const workers = [await before.join('a'), await before.join('b')];
    await until(() => workers.every(({ held }) => held.size === 1));
    await until(() => before.mesh.readiness().ready);
    const [loadsBefore, rangesBefore] = [loads(), ranges()];
    await comeBack(...workers.toReversed());
    await until(() => after.mesh.readiness().ready);
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(loads()).toEqual(loadsBefore);
    expect(ranges()).toEqual(rangesBefore);
  });

  it('an answer that went on meanwhile is told whole, and nothing is opened or computed again', async () => {
    const workers = await serve('a', 'b');
    const { sequence, letGo } = await begun();
    const stages = workers.map(({ sequences }) => sequences.get(sequence)!);
    const positions = PROMPT.length + 19;
    for (const worker of workers) worker.disconnect();
    letGo();
    await until(() => stages.every(({ computed }) => computed === positions));
    const answer = goOn(sequence);
    await comeBack(...workers);
    expect(await answer).toMatchObject({ ids: expectedIds(PROMPT, 20), restarts: [0] });
    expect(workers.map((worker) => worker.messages('open').length)).toEqual([1, 1]);
    expect(stages.map(({ computed }) => computed)).toEqual([positions, positions]);
  });

  it('one whose last stage has changed before is told whole too: it was given what was picked before it', async () => {
    const workers = await serve('a', 'b', 'c', 'd');
    const { sequence, letGo } = await begun();
    const last = workers.find(({ sequences }) => {
      const open = sequences.get(sequence)?.open;
      return open !== undefined && open.index === open.route.length - 1;
    })!;
    last.kill();
    const left = workers.filter((worker) => worker !== last);
    const route = () => left.filter(({ sequences }) => sequences.get(sequence)?.open.epoch === 2);
    await until(
      () => route().length === 2 && route().every((worker) => worker.messages('resume').length > 0),
    );
    const stages = route().map(({ sequences }) => sequences.get(sequence)!);
    const opens = left.map((worker) => worker.messages('open').length);
    for (const worker of left) worker.disconnect();
    letGo();
    await until(() => stages.every(({ position }) => position === PROMPT.length + 19));
    const answer = goOn(sequence);
    await comeBack(...left);
    expect(await answer).toMatchObject({ ids: expectedIds(PROMPT, 20), restarts: [0] });
    expect(left.map((worker) => worker.messages('open').length)).toEqual(opens);
  });

  it('one that had no token yet waits for nobody but a route', async () => {
    const workers = await serve('a', 'b');
    const answer = goOn(null);
    await comeBack(...workers);
    expect(await answer).toMatchObject({ ids: expectedIds(PROMPT, 20), restarts: [0] });
  });

  it('one whose stage does not come back goes on without it in the end', async () => {
    const workers = await serve('a', 'b', 'c');
    const { sequence, letGo } = await begun();
    const stages = workers.filter(({ sequences }) => sequences.has(sequence));
    const spare = workers.find((worker) => !stages.includes(worker))!;
    const range = (worker: FakeWorker) =>
      [...worker.shards.values()].map(({ layers }) => layers.start).join();
    const absent = stages.find((worker) => range(worker) === range(spare))!;
    const left = stages.find((worker) => worker !== absent)!;
    const answer = goOn(sequence);
    await comeBack(left, spare);
    await after.untilLive(2);
    expect(after.mesh.coordinator.running).toBe(0);
    letGo();
    after.timers.advance(ADOPT_WAIT_MS);
    expect((await answer).ids).toEqual(expectedIds(PROMPT, 20));
  });
});
