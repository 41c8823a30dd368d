import { describe, expect, it } from 'vitest';
import { capacityOf } from '../../../src/schedule/layout/capacity.ts';
import { layout } from '../../../src/schedule/layout/layout.ts';
import type { LayerRange } from '../../../src/schedule/mesh-view.ts';
import { StageCosts } from '../../../src/schedule/stage-costs.ts';
import { layerMemory, parallaxAllocate, parallaxJoin } from '../../../src/sim/baselines/parallax.ts';
import { type PetalsServer, petalsJoin, petalsMove } from '../../../src/sim/baselines/petals.ts';
import { upperBound } from '../../../src/sim/baselines/upper-bound.ts';
import { model, near, random, unequal, worker } from '../../schedule/layout-cases.ts';

const costs = new StageCosts(model(8));
const half = { memoryBytes: 460 };

describe('Petals’ rule', () => {
  const joinAll = (workers: readonly PetalsServer['worker'][]) => {
    const servers: PetalsServer[] = [];
    for (const each of workers) {
      const range = petalsJoin(costs, each, servers);
      if (range !== null) servers.push({ worker: each, range });
    }
    return servers;
  };

  it('sends each newcomer where throughput is least, and of equals to the front', () => {
    const servers = joinAll(['a', 'b', 'c'].map((id) => worker(id, 10_000, half)));
    expect(servers.map(({ range }) => range.start)).toEqual([0, 4, 0]);
  });

  it('takes fewer layers where embedding or LM head do not fit beside them', () => {
    const exact = worker('a', 1, { memoryBytes: 410 });
    expect(petalsJoin(costs, exact, [])).toEqual({ start: 0, end: 3 });
  });

  it('moves a server only where the swarm gains a quarter, and never opens a gap', () => {
    const [a, b, c] = ['a', 'b', 'c'].map((id) => worker(id, 10_000, half));
    const range = (start: number): LayerRange => ({ start, end: start + 4 });
    const inOrder = (ids: number[]) => ids;
    const unfair = [
      { worker: a!, range: range(0) },
      { worker: b!, range: range(0) },
      { worker: c!, range: range(0) },
      { worker: worker('d', 10_000, half), range: range(4) },
    ];
    expect(petalsMove(costs, unfair[0]!, unfair, inOrder)).toEqual(range(4));
    expect(petalsMove(costs, unfair[3]!, unfair, inOrder)).toBeNull();
    const fair = joinAll([a!, b!]);
    expect(petalsMove(costs, fair[0]!, fair, inOrder)).toBeNull();
  });
});

describe('Parallax’ allocation', () => {
  it('makes pipelines of few stages, and deals layers by speed within memory', () => {
    const found = parallaxAllocate(costs, [
      worker('fast', 30_000, { memoryBytes: 710 }),
      worker('slow', 10_000, { memoryBytes: 610 }),
    ]);
    expect(Object.fromEntries(found)).toEqual({ fast: { start: 0, end: 6 }, slow: { start: 6, end: 8 } });
  });

  it('lets one that holds all be a pipeline alone where the others hold all too', () => {
    const found = parallaxAllocate(costs, [
      worker('whole', 10_000, { memoryBytes: 900 }),
      worker('a', 10_000, { memoryBytes: 560 }),
      worker('b', 10_000, { memoryBytes: 560 }),
    ]);
    expect(found.get('whole')).toEqual({ start: 0, end: 8 });
    expect(found.size).toBe(3);
  });

  it('sends who is left, and who joins, to the layers held least', () => {
    const workers = [worker('a', 10_000, half), worker('b', 10_000, half), worker('c', 10_000, half)];
    const found = parallaxAllocate(costs, workers);
    expect(found.size).toBe(3);
    const memory = layerMemory(costs, workers, found);
    const range = parallaxJoin(costs, worker('new', 1, half), memory)!;
    expect(memory[range.start]).toBe(Math.min(...memory));
  });

  it('covers the model and keeps within memories, on random meshes', () => {
    for (let run = 0; run < 60; run++) {
      const next = random(run);
      const workers = unequal(3 + Math.floor(next() * 12), 8, next);
      const found = parallaxAllocate(costs, workers);
      if (found.size === 0) continue;
      for (const each of workers) {
        const range = found.get(each.id);
        if (range !== undefined) expect(costs.fits(each, range.start, range.end), `run ${run}`).toBe(true);
      }
      expect(
        new Set(
          [...found.values()].flatMap(({ start, end }) =>
            Array.from({ length: end - start }, (_, i) => start + i),
          ),
        ).size,
      ).toBe(8);
    }
  });
});

describe('the upper bound', () => {
  it('is the sum of the rates where memory is no matter, and less where it is', () => {
    const two = upperBound(costs, [worker('a', 8_500), worker('b', 17_000)], 1);
    expect(two).toMatchObject({ capacity: expect.closeTo(3, 6), oneStream: 2, tokensPerSecond: 2 });
    const small = upperBound(costs, [worker('a', 8_500), worker('b', 1e9, { memoryBytes: 460 })], 1e6);
    expect(small.capacity).toBeCloseTo(8_500 / 4_000, 3);
  });

  it('is above what any layout gives, ours and the baselines’, on random meshes', () => {
    for (let run = 0; run < 60; run++) {
      const next = random(run);
      const workers = unequal(2 + Math.floor(next() * 8), 8, next);
      const bound = upperBound(costs, workers, 1);
      const found = layout({ costs: model(8), workers, rtt: near, options: { concurrency: 32 } });
      if (found.kind === 'does-not-fit') continue;
      expect(found.capacity, `run ${run}`).toBeLessThanOrEqual(bound.capacity * 1.001);
      expect(1 / found.tokenSeconds, `run ${run}`).toBeLessThanOrEqual(bound.oneStream * 1.001);
      const dealt = parallaxAllocate(costs, workers);
      const supplies = workers.flatMap((each) => {
        const range = dealt.get(each.id);
        return range === undefined ? [] : [{ ...range, macsPerSecond: each.macsPerSecond }];
      });
      expect(capacityOf(costs, supplies)).toBeLessThanOrEqual(bound.capacity * 1.001);
    }
  }, 30_000);
});
