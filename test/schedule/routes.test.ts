import { describe, expect, it } from 'vitest';
import {
  type ChosenRoute,
  chooseRoute,
  type RouteView,
  type RouteWorker,
  type SequenceWish,
} from '../../src/schedule/routes.ts';
import { StageCosts } from '../../src/schedule/stage-costs.ts';
import { model, random } from './layout-cases.ts';

const costs = new StageCosts(model(8));

function on(id: string, start: number, end: number, over: Partial<RouteWorker> = {}): RouteWorker {
  return {
    id,
    class: 'one',
    macsPerSecond: 10_000,
    stepSeconds: 0.001,
    shards: [{ shard: 1, start, end }],
    freePositions: 1_000,
    queue: 0,
    ...over,
  };
}

const view = (workers: readonly RouteWorker[], over: Partial<RouteView> = {}): RouteView => ({
  costs,
  workers,
  hop: () => 0.002,
  ...over,
});
const wish: SequenceWish = { positions: 100 };

function route(of: RouteView, wanted: SequenceWish = wish): ChosenRoute {
  const found = chooseRoute(of, wanted);
  if (found.kind === 'none') throw new Error(`${found.missing} ${found.layer}`);
  return found;
}

const names = ({ stops }: ChosenRoute) =>
  stops.map(({ worker, start, end }) => `${worker} ${start}-${end}`).join(', ');

describe('chooseRoute', () => {
  it('takes the quickest workers through all layers, and parts of ranges where that is quicker', () => {
    const slowWhole = on('whole', 0, 8, { macsPerSecond: 2_000 });
    expect(names(route(view([slowWhole, on('a', 0, 4), on('b', 4, 8)])))).toBe('a 0-4, b 4-8');
    expect(names(route(view([slowWhole, on('b', 4, 8)])))).toBe('whole 0-4, b 4-8');
    expect(names(route(view([on('a', 0, 6), on('b', 4, 8, { macsPerSecond: 20_000 })])))).toBe(
      'a 0-4, b 4-8',
    );
    expect(route(view([slowWhole])).tokenSeconds).toBeCloseTo(0.001 + 8_500 / 2_000, 6);
  });

  it('goes where little runs, so that sequences spread over replicas', () => {
    const load = new Map<string, number>();
    for (let sequence = 0; sequence < 12; sequence++) {
      const workers = ['a', 'b', 'c'].map((id) => on(id, 0, 8, { queue: load.get(id) ?? 0 }));
      const { worker } = route(view(workers)).stops[0]!;
      load.set(worker, (load.get(worker) ?? 0) + 1);
    }
    expect([...load.values()]).toEqual([4, 4, 4]);
  });

  it('gives a worker twice as fast about twice as many', () => {
    const load = new Map([
      ['fast', 0],
      ['slow', 0],
    ]);
    for (let sequence = 0; sequence < 30; sequence++) {
      const workers = [
        on('slow', 0, 8, { queue: load.get('slow')! }),
        on('fast', 0, 8, { queue: load.get('fast')!, macsPerSecond: 20_000 }),
      ];
      const { worker } = route(view(workers)).stops[0]!;
      load.set(worker, load.get(worker)! + 1);
    }
    expect(load.get('fast')! / load.get('slow')!).toBeGreaterThan(1.6);
  });

  it('goes over near links rather than far ones', () => {
    const workers = [on('a', 0, 4), on('near', 4, 8), on('far', 4, 8, { macsPerSecond: 11_000 })];
    const hop = (from: string, to: string) => (from === 'far' || to === 'far' ? 0.2 : 0.002);
    expect(names(route(view(workers, { hop })))).toBe('a 0-4, near 4-8');
  });

  it('uses only open links, there and back', () => {
    const workers = [on('a', 0, 4), on('b', 4, 8, { macsPerSecond: 99_000 }), on('c', 4, 8)];
    const hop = (from: string, to: string) => ([from, to].includes('b') ? null : 0.01);
    expect(names(route(view(workers, { hop })))).toBe('a 0-4, c 4-8');
    const oneWay = (from: string, to: string) => (from === 'b' && to === 'a' ? null : 0.01);
    expect(names(route(view(workers, { hop: oneWay })))).toBe('a 0-4, c 4-8');
  });

  it('finds the one link that is open among many that are not', () => {
    const firsts = Array.from({ length: 60 }, (_, i) => on(`a${i}`, 0, 4, { macsPerSecond: 10_000 + i }));
    const lasts = Array.from({ length: 60 }, (_, i) => on(`b${i}`, 4, 8, { macsPerSecond: 10_000 + i }));
    const hop = (from: string, to: string) => ([from, to].sort().join() === 'a0,b1' ? 0.01 : null);
    expect(names(route(view([...firsts, ...lasts], { hop })))).toBe('a0 0-4, b1 4-8');
  });

  it('goes round who has no room, is to be avoided, or would make it too long', () => {
    const workers = [on('full', 0, 8, { freePositions: 99 }), on('bad', 0, 8), on('a', 0, 4), on('b', 4, 8)];
    const avoid = new Set(['bad']);
    expect(names(route(view(workers), { positions: 100, avoid }))).toBe('a 0-4, b 4-8');
    expect(names(route(view(workers), { positions: 99, avoid }))).toBe('full 0-8');
    const short = view(workers.slice(1), { maxStages: 1 });
    expect(names(route(short))).toBe('bad 0-8');
  });

  it('says what is missing: a layer, room, or a link', () => {
    expect(chooseRoute(view([on('a', 0, 4), on('b', 5, 8)]), wish)).toEqual({
      kind: 'none',
      missing: 'layer',
      layer: 4,
    });
    expect(chooseRoute(view([]), wish)).toMatchObject({ missing: 'layer', layer: 0 });
    const full = on('b', 4, 8, { freePositions: 0 });
    expect(chooseRoute(view([on('a', 0, 4), full]), wish)).toMatchObject({ missing: 'room', layer: 4 });
    const apart = view([on('a', 0, 4), on('b', 4, 8)], { hop: () => null });
    expect(chooseRoute(apart, wish)).toMatchObject({ missing: 'link', layer: 4 });
    const noWayBack = view([on('a', 0, 4), on('b', 4, 8)], { hop: (from) => (from === 'b' ? null : 0) });
    expect(chooseRoute(noWayBack, wish)).toMatchObject({ missing: 'link', layer: 0 });
  });

  describe('for a sequence that has lost a stage', () => {
    const workers = [
      on('a', 0, 4),
      on('b', 4, 8),
      on('c', 4, 8, { macsPerSecond: 9_000 }),
      on('d', 0, 8, { macsPerSecond: 90_000 }),
      on('other', 4, 8, { macsPerSecond: 80_000, class: 'two' }),
    ];
    const before = [
      { worker: 'a', shard: 1, start: 0, end: 4 },
      { worker: 'b', shard: 1, start: 4, end: 8 },
    ];

    it('leaves the good stages where they are, with the same layers, though others are quicker', () => {
      const found = route(view(workers), { positions: 10, before, avoid: new Set(['b']) });
      expect(found.stops[0]).toEqual(before[0]);
      expect(found.stops).toHaveLength(2);
      expect(found.crossesClasses).toBe(false);
      expect(names(route(view(workers), { positions: 10, before }))).toBe('a 0-4, b 4-8');
    });

    it('goes to another class only where its own has nobody, and says so', () => {
      const few = workers.filter(({ id }) => ['a', 'b', 'other'].includes(id));
      const found = route(view(few), { positions: 10, before, avoid: new Set(['b']) });
      expect(names(found)).toBe('a 0-4, other 4-8');
      expect(found.crossesClasses).toBe(true);
    });

    it('moves the one that has no link to the others any more', () => {
      const hop = (from: string, to: string) => ([from, to].includes('a') ? null : 0.01);
      expect(names(route(view(workers, { hop }), { positions: 10, before }))).toBe('d 0-4, b 4-8');
    });
  });

  it('always gives a whole route over open links, each worker once, the same each time', () => {
    for (let run = 0; run < 200; run++) {
      const next = random(run);
      const workers = Array.from({ length: 2 + Math.floor(next() * 20) }, (_, index) => {
        const start = next() < 0.3 ? 0 : Math.floor(next() * 8);
        const end = next() < 0.3 ? 8 : start + 1 + Math.floor(next() * (8 - start));
        return on(`w${index}`, start, end, {
          macsPerSecond: 1_000 + next() * 9_000,
          queue: Math.floor(next() * 4),
        });
      });
      const open = new Map<string, boolean>();
      const isOpen = (a: string, b: string) => {
        const key = [a, b].sort().join();
        if (!open.has(key)) open.set(key, next() < 0.7);
        return open.get(key)!;
      };
      const of = view(workers, { hop: (from, to) => (isOpen(from, to) ? 0.01 : null) });
      const found = chooseRoute(of, wish);
      expect(chooseRoute(of, wish)).toEqual(found);
      if (found.kind === 'none') continue;
      let at = 0;
      for (const [index, stop] of found.stops.entries()) {
        expect(stop.start).toBe(at);
        at = stop.end;
        const [shard] = workers.find(({ id }) => id === stop.worker)!.shards;
        expect(stop.start >= shard!.start && stop.end <= shard!.end).toBe(true);
        const to = found.stops[(index + 1) % found.stops.length]!;
        if (to !== stop) expect(isOpen(stop.worker, to.worker)).toBe(true);
      }
      expect(at).toBe(8);
      expect(new Set(found.stops.map(({ worker }) => worker)).size).toBe(found.stops.length);
    }
  });
});
