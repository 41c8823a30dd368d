import { describe, expect, it } from 'vitest';
import { layout } from '../../src/schedule/layout/layout.ts';
import type { Layout, LayoutOptions, LayoutView } from '../../src/schedule/layout/layout-view.ts';
import type { RoundTripSeconds, WorkerView } from '../../src/schedule/mesh-view.ts';
import { stageCostsOf } from '../../src/schedule/stage-costs.ts';
import { model, near, places, random, unequal, worker } from './layout-cases.ts';

const eight = model(8);

function placed(
  workers: readonly WorkerView[],
  options: LayoutOptions = {},
  over: Partial<LayoutView> = {},
): Layout {
  const found = layout({ costs: eight, workers, rtt: near, options, ...over });
  if (found.kind === 'does-not-fit') throw new Error(found.detail);
  return found;
}

const held = (of: Layout) =>
  Object.fromEntries(of.holdings.map(({ worker: id, start, end }) => [id, [start, end]]));
const routeOf = (of: Layout) => of.route.map(({ worker: id, start, end }) => [id, start, end]);
const reasons = (of: Layout) =>
  Object.fromEntries(of.spares.map(({ worker: id, reason }) => [id, reason.why]));

/** As they are once the layout is loaded. */
function loaded(workers: readonly WorkerView[], of: Layout): WorkerView[] {
  return workers.map((each) => ({
    ...each,
    held: of.holdings
      .filter(({ worker: id }) => id === each.id)
      .map((range) => ({ ...range, state: 'held' as const })),
  }));
}

describe('layout, for few requests', () => {
  it('does not split a model that fits one worker: the others hold it too', () => {
    const found = placed([worker('a'), worker('b'), worker('c')], { replicaGoal: 3 });
    expect(held(found)).toEqual({ a: [0, 8], b: [0, 8], c: [0, 8] });
    expect(routeOf(found)).toHaveLength(1);
    expect(found.tokenSeconds).toBeCloseTo(0.85, 5);
    expect(found.capacity).toBeCloseTo(3 / 0.85, 2);
  });

  it('splits where no worker holds it, with the most on the fastest', () => {
    const workers = [
      worker('slow', 5_000, { memoryBytes: 700 }),
      worker('fast', 20_000, { memoryBytes: 700 }),
    ];
    expect(held(placed(workers, { replicaGoal: 1 }))).toMatchObject({ fast: [2, 8], slow: [0, 2] });
  });

  it('goes by the fast and near, not over the far', () => {
    const small = { memoryBytes: 500 };
    const workers = [
      worker('here', 10_000, small),
      worker('far', 14_000, small),
      worker('there', 10_000, small),
    ];
    const rtt: RoundTripSeconds = (a, b) => (a === b ? 0 : a === 'far' || b === 'far' ? 0.4 : 0.002);
    expect(
      placed(workers, {}, { rtt })
        .route.map(({ worker: id }) => id)
        .sort(),
    ).toEqual(['here', 'there']);
    expect(placed(workers).route.map(({ worker: id }) => id)).toContain('far');
  });

  it('leaves a software adapter beside GPUs out where they are enough, and takes it where nobody else holds the model', () => {
    const software = worker('software', 100, { isFallback: true });
    const gpus = ['a', 'b', 'c', 'd'].map((id) => worker(id, 100_000));
    expect(reasons(placed([software, ...gpus]))).toMatchObject({ software: 'slow' });
    // As a replica it is better than none.
    expect(held(placed([software, gpus[0]!]))).toMatchObject({ software: [0, 8] });
    expect(routeOf(placed([software, gpus[0]!]))).toEqual([['a', 0, 8]]);
    const tight = gpus.slice(0, 1).map((gpu) => ({ ...gpu, memoryBytes: 700 }));
    expect(placed([software, ...tight], { replicaGoal: 1 }).route).toHaveLength(2);
  });
});

describe('layout, for many requests', () => {
  it('gives the weakest range another worker', () => {
    const half = { memoryBytes: 500 };
    const workers = [worker('a', 10_000, half), worker('b', 10_000, half), worker('c', 10_000, half)];
    const two = placed(workers.slice(0, 2), { concurrency: 16 });
    const three = placed(workers, { concurrency: 16 });
    expect(three.capacity).toBeGreaterThan(two.capacity * 1.2);
  });

  it('makes a second pipeline of those who together hold the model', () => {
    const half = { memoryBytes: 500 };
    const workers = ['a', 'b', 'c', 'd'].map((id) => worker(id, 10_000, half));
    const one = placed(workers.slice(0, 2), { concurrency: 16 });
    const two = placed(workers, { concurrency: 16 });
    expect(two.capacity).toBeGreaterThanOrEqual(one.capacity * 1.8);
    expect(two.tokenSeconds).toBeLessThanOrEqual(one.tokenSeconds * 1.01);
  });

  it('asks of a large mesh as many as there are requests for, and tells the rest', () => {
    const workers = Array.from({ length: 40 }, (_, index) => worker(`w${index}`));
    const few = placed(workers, { concurrency: 1 });
    const many = placed(workers, { concurrency: 16 });
    expect(few.holdings.length).toBeLessThan(8);
    expect(many.holdings.length).toBeGreaterThanOrEqual(30);
    expect(few.spares[0]!.reason).toEqual({ why: 'replicated', replicas: few.holdings.length });
  });
});

describe('layout, as asked', () => {
  it('splits over as many as asked though one would do, evenly', () => {
    const found = placed([worker('a'), worker('b'), worker('c')], { minStages: 3 });
    expect(held(found)).toEqual({ a: [0, 3], b: [3, 6], c: [6, 8] });
    expect(found.route).toHaveLength(3);
    // The fourth is a replica.
    const four = ['a', 'b', 'c', 'd'].map((id) => worker(id));
    expect(placed(four, { minStages: 3 }).holdings).toHaveLength(4);
    expect(placed(four, { minStages: 3 }).route).toHaveLength(3);
    expect(placed(four.slice(0, 2), { minStages: 3 }).route).toHaveLength(2);
  });

  it('does not believe a probe that was disturbed: three equal tabs are cut equally', () => {
    const tab = (id: string, rate: number) =>
      worker(id, rate, { isFallback: true, rateIs: 'probed', trusted: false });
    const found = placed([tab('a', 3_000), tab('b', 600), tab('c', 1_200)], { minStages: 3 });
    expect(held(found)).toEqual({ a: [0, 3], b: [3, 6], c: [6, 8] });
  });

  it('keeps a split until another is a tenth faster', () => {
    const workers = [worker('a'), worker('b'), worker('c')];
    const there = loaded(workers, placed(workers, { minStages: 3 }));
    const rated = (rates: readonly number[]) =>
      there.map((each, i) => ({ ...each, macsPerSecond: rates[i]! }));
    const same = { a: [0, 3], b: [3, 6], c: [6, 8] };
    expect(held(placed(rated([10_000, 9_500, 10_500]), { minStages: 3 }))).toEqual(same);
    expect(held(placed(rated([10_000, 3_000, 10_000]), { minStages: 3 }))).not.toEqual(same);
  });

  it('has a replica of a lost stage take part where one is, and gives its layers to an idle one', () => {
    const workers = ['a', 'b', 'c', 'd'].map((id) => worker(id));
    const there = loaded(workers, placed(workers, { minStages: 3, replicaGoal: 2 }));
    const lost = there.filter(({ id }) => id !== 'b');
    expect(held(placed(lost, { minStages: 3 }))).toMatchObject({ a: [0, 3], c: [6, 8] });
  });

  it('has at most so many stages', () => {
    const small = ['a', 'b', 'c', 'd'].map((id) => worker(id, 10_000, { memoryBytes: 500 }));
    expect(placed(small, { maxStages: 2 }).route).toHaveLength(2);
    const found = layout({ costs: eight, workers: small, rtt: near, options: { maxStages: 1 } });
    expect(found).toMatchObject({ kind: 'does-not-fit', workers: 4 });
  });

  it('holds the whole model or nothing with solo', () => {
    const found = placed([worker('a'), worker('small', 50_000, { memoryBytes: 500 }), worker('b')], {
      solo: true,
    });
    expect(held(found)).toEqual({ a: [0, 8], b: [0, 8] });
    expect(found.spares).toEqual([{ worker: 'small', reason: { why: 'small-memory', neededBytes: 860 } }]);
  });
});

describe('layout, as time goes by', () => {
  it('lets those stay who hold, and gives a newcomer what helps', () => {
    const half = { memoryBytes: 500 };
    const two = ['a', 'b'].map((id) => worker(id, 10_000, half));
    const there = loaded(two, placed(two));
    const before = held(placed(there));
    const found = placed([...there, worker('new', 11_000, half)]);
    expect(held(found)).toMatchObject(before);
    expect(found.holdings).toHaveLength(3);
  });

  it('moves who holds where that pays, and not for a few percent', () => {
    const small = { memoryBytes: 600 };
    const two = [worker('a', 10_000, small), worker('b', 10_000, small)];
    const there = loaded(two, placed(two, { replicaGoal: 1 }));
    const rtt: RoundTripSeconds = (a, b) => (a === b ? 0 : 0.3);
    expect(routeOf(placed([...there, worker('whole', 9_000)], {}, { rtt }))).toEqual([['whole', 0, 8]]);
    expect(held(placed([...there, worker('c', 10_500, small)], { replicaGoal: 1 }))).toMatchObject(
      held(placed(there, { replicaGoal: 1 })),
    );
  });

  it('gives the layers of one that went to an idle one, and what others hold stays', () => {
    const half = { memoryBytes: 500 };
    const two = ['a', 'b'].map((id) => worker(id, 10_000, half));
    const there = loaded(two, placed(two, { replicaGoal: 1 }));
    const [left, lost] = [there[0]!, there[1]!];
    const found = held(placed([left, worker('idle', 10_000, half)], { replicaGoal: 1 }));
    for (const [{ id }, each] of [
      [left, left],
      [{ id: 'idle' }, lost],
    ] as const) {
      expect(found[id]).toEqual([each.held[0]!.start, each.held[0]!.end]);
    }
  });

  it('spares nobody while a layer is not there yet: who has loaded first ends the wait', () => {
    const half = { memoryBytes: 500 };
    const held = (start: number, state: 'held' | 'loading') => ({
      ...half,
      held: [{ start, end: start + 4, bytes: 460, state }],
    });
    const idle = ['c', 'd'].map((id) => worker(id, 1_000, half));
    const room = (state: 'held' | 'loading') => [
      worker('a', 10_000, held(0, 'held')),
      worker('b', 10_000, held(4, state)),
      ...idle,
    ];
    const rangesOf = (state: 'held' | 'loading') =>
      Object.fromEntries(
        placed(room(state), { replicaGoal: 1 }).holdings.map(({ worker: id, start, end }) => [
          id,
          [start, end],
        ]),
      );
    expect(rangesOf('loading')).toMatchObject({ c: [4, 8], d: [4, 8] });
    expect(rangesOf('held')).toEqual({ a: [0, 4], b: [4, 8] });
  });

  it('prefers who has the files already', () => {
    const all = ['a', 'b', 'c', 'd', 'e', 'f'].map((id) => worker(id));
    const cached = all.map((each) => (each.id === 'e' ? { ...each, cached: [{ start: 0, end: 8 }] } : each));
    expect(held(placed(cached, { replicaGoal: 2 }))).toHaveProperty('e');
  });

  it('does not take a stranger at its word: it is a replica first', () => {
    const stranger = worker('stranger', 1e9, { trusted: false, rateIs: 'probed' });
    const found = placed([worker('a'), stranger]);
    expect(found.tokenSeconds).toBeGreaterThan(0.8);
  });

  it('counts a worker as slower whose rounds do not bear out what it says, beside those of others', () => {
    const half = { memoryBytes: 500 };
    const shares = (liar: number, others: number) => [
      worker('liar', 40_000, { ...half, believedShare: liar }),
      ...['a', 'b'].map((id) => worker(id, 10_000, { ...half, believedShare: others })),
    ];
    const fastest = (workers: WorkerView[]) => routeOf(placed(workers)).map(([id]) => id);
    expect(fastest(shares(1, 1))).toContain('liar');
    expect(fastest(shares(0.05, 1))).not.toContain('liar');
    // A network that makes all rounds late tells nothing of one of them.
    expect(fastest(shares(0.05, 0.06))).toContain('liar');
  });

  it('says what is missing', () => {
    const found = layout({ costs: eight, workers: [], rtt: near });
    expect(found).toMatchObject({ kind: 'does-not-fit', workers: 0 });
    const narrow = worker('narrow', 1e4, { maxBufferBytes: 39 });
    const tiny = worker('tiny', 1e4, { memoryBytes: 90 });
    expect(placed([worker('a'), narrow, tiny]).spares).toEqual([
      { worker: 'narrow', reason: { why: 'small-buffers', neededBytes: 40 } },
      { worker: 'tiny', reason: { why: 'small-memory', neededBytes: 110 } },
    ]);
  });
});

describe('layout, on random meshes', () => {
  const cases = Array.from({ length: 40 }, (_, run) => {
    const next = random(run + 50);
    const costs = model(4 + Math.floor(next() * 10));
    const workers = unequal(2 + Math.floor(next() * 9), costs.layers.length, next);
    const options: LayoutOptions = {
      concurrency: [1, 4, 32][run % 3]!,
      ...(run % 4 === 1 && { minStages: 2 }),
      ...(run % 4 === 2 && { maxStages: 4 }),
    };
    return { run, view: { costs, workers, rtt: places(workers, next, 0.2), options } };
  });

  it('covers every layer within every memory, the same each time, and stays as it is once it is there', () => {
    let fitted = 0;
    for (const { run, view } of cases) {
      const found = layout(view);
      expect(layout(view)).toEqual(found);
      if (found.kind === 'does-not-fit') continue;
      fitted++;
      const sums = stageCostsOf(view.costs);
      const holders = new Array(sums.layers).fill(0);
      for (const { worker: id, start, end, bytes } of found.holdings) {
        const on = view.workers.find((each) => each.id === id)!;
        expect(bytes).toBe(sums.bytes(on, start, end));
        expect(bytes).toBeLessThanOrEqual(on.memoryBytes);
        for (let layer = start; layer < end; layer++) holders[layer]++;
      }
      expect(Math.min(...holders), `run ${run}`).toBeGreaterThan(0);
      let at = 0;
      for (const stage of found.route) {
        expect(stage.start).toBe(at);
        at = stage.end;
      }
      expect(at).toBe(sums.layers);
      expect(found.route.length).toBeLessThanOrEqual(view.options.maxStages ?? sums.layers);
      expect(found.holdings.length + found.spares.length).toBe(view.workers.length);
      const again = layout({ ...view, workers: loaded(view.workers, found) });
      if (again.kind === 'does-not-fit') throw new Error(`run ${run}: ${again.detail}`);
      for (const { worker: id, start, end } of found.holdings) {
        expect(held(again)[id], `run ${run}: ${id}`).toEqual([start, end]);
      }
    }
    expect(fitted).toBeGreaterThan(25);
  }, 60_000);

  it('takes steps that do not grow with the mesh', () => {
    const steps = (count: number) => {
      const next = random(3);
      const workers = unequal(count, 32, next);
      const view = { costs: model(32), workers, rtt: near, options: { concurrency: 4 } };
      const first = layout(view);
      if (first.kind === 'does-not-fit') throw new Error(first.detail);
      const later = layout({ ...view, workers: loaded(workers, first).slice(1) });
      if (later.kind === 'does-not-fit') throw new Error(later.detail);
      return Math.max(first.steps, later.steps);
    };
    expect(steps(8_000)).toBeLessThan(10_000);
  }, 30_000);
});
