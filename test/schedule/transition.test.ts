import { describe, expect, it } from 'vitest';
import { layout } from '../../src/schedule/layout/layout.ts';
import { transition } from '../../src/schedule/layout/transition.ts';
import type { HeldRange, LayerRange, WorkerView } from '../../src/schedule/mesh-view.ts';
import { stageCostsOf } from '../../src/schedule/stage-costs.ts';
import { model, near, random, unequal, worker } from './layout-cases.ts';

const costs = stageCostsOf(model(8));
const at = (start: number, end: number, state: HeldRange['state'] = 'held'): HeldRange => ({
  start,
  end,
  state,
  bytes: costs.bytes(worker('any'), start, end),
});
const idle = { mayGap: false, isUsed: () => false };

describe('transition', () => {
  it('loads first and frees after', () => {
    const wanted = new Map([['b', { start: 0, end: 8 }]]);
    const [a, b] = [worker('a', 1, { held: [at(0, 8)] }), worker('b')];
    expect(transition(costs, [a, b], wanted, idle)).toEqual({
      hold: [{ worker: 'b', start: 0, end: 8 }],
      drop: [],
      blocked: [],
    });
    const loading = { ...b, held: [at(0, 8, 'loading')] };
    expect(transition(costs, [a, loading], wanted, idle)).toEqual({ hold: [], drop: [], blocked: [] });
    const there = { ...b, held: [at(0, 8)] };
    expect(transition(costs, [a, there], wanted, idle).drop).toEqual([{ worker: 'a', start: 0, end: 8 }]);
  });

  it('is content with a held range that holds the wanted one', () => {
    const wanted = new Map([['a', { start: 2, end: 4 }]]);
    const nothing = { hold: [], drop: [], blocked: [] };
    expect(transition(costs, [worker('a', 1, { held: [at(0, 8)] })], wanted, idle)).toEqual(nothing);
  });

  it('waits where there is no room beside layers that nobody else holds, unless nobody needs them', () => {
    const wanted = new Map([['a', { start: 4, end: 8 }]]);
    const full = worker('a', 1, { memoryBytes: 600, held: [at(0, 4)] });
    const step = { worker: 'a', start: 4, end: 8 };
    expect(transition(costs, [full], wanted, idle)).toEqual({ hold: [], drop: [], blocked: [step] });
    expect(transition(costs, [full], wanted, { ...idle, mayGap: true })).toEqual({
      hold: [step],
      drop: [{ worker: 'a', start: 0, end: 4 }],
      blocked: [],
    });
  });

  it('lets sequences finish on what it does not want', () => {
    const two = [worker('a', 1, { held: [at(0, 8)] }), worker('b', 1, { held: [at(0, 8)] })];
    const wanted = new Map([['b', { start: 0, end: 8 }]]);
    expect(transition(costs, two, wanted, { mayGap: true, isUsed: (id) => id === 'a' }).drop).toEqual([]);
    expect(transition(costs, two, wanted, idle).drop).toHaveLength(1);
  });

  it('never opens a gap and never asks for more memory than is lent, on 200 ways from one layout to another', () => {
    let arrived = 0;
    for (let run = 0; run < 200; run++) {
      const next = random(run);
      const some = model(4 + Math.floor(next() * 6));
      const sums = stageCostsOf(some);
      let workers: WorkerView[] = unequal(2 + Math.floor(next() * 5), sums.layers, next);
      const layoutOf = (from: readonly WorkerView[]): Map<string, LayerRange> | null => {
        const found = layout({ costs: some, workers: from, rtt: near, options: { concurrency: 8 } });
        return found.kind === 'placed' ? new Map(found.holdings.map((each) => [each.worker, each])) : null;
      };
      const first = layoutOf(workers);
      if (first === null) continue;
      const held = (each: WorkerView, { start, end }: LayerRange, state: HeldRange['state']): HeldRange => ({
        start,
        end,
        state,
        bytes: sums.bytes(each, start, end),
      });
      workers = workers.map((each) => {
        const range = first.get(each.id);
        return range === undefined ? each : { ...each, held: [held(each, range, 'held')] };
      });
      // To what would be best if all were fast that were slow.
      const turned = workers.map((each) => ({ ...each, held: [], macsPerSecond: 4e7 / each.macsPerSecond }));
      const wanted = layoutOf(turned);
      if (wanted === null) continue;
      for (let step = 0; step < 60; step++) {
        const now = transition(sums, workers, wanted, idle);
        workers = workers.map((each) => {
          const dropped = (range: LayerRange) =>
            now.drop.some(
              ({ worker: id, start, end }) => id === each.id && start === range.start && end === range.end,
            );
          const kept = each.held.filter((range) => !dropped(range));
          const added = now.hold
            .filter(({ worker: id }) => id === each.id)
            .map((range) => held(each, range, 'loading'));
          return { ...each, held: [...kept, ...added] };
        });
        // One load ends at a time, whichever.
        const loading = workers.filter((each) => each.held.some(({ state }) => state === 'loading'));
        const lucky = loading[Math.floor(next() * loading.length)]?.id;
        workers = workers.map((each) =>
          each.id === lucky
            ? { ...each, held: each.held.map((range) => ({ ...range, state: 'held' as const })) }
            : each,
        );
        for (const each of workers) {
          const used = each.held.reduce((sum, { bytes }) => sum + bytes, 0);
          expect(used, `run ${run}: ${each.id}`).toBeLessThanOrEqual(each.memoryBytes);
        }
        for (let layer = 0; layer < sums.layers; layer++) {
          const holders = workers.filter(({ held: ranges }) =>
            ranges.some(({ start, end, state }) => state === 'held' && start <= layer && end > layer),
          );
          expect(holders.length, `run ${run}: layer ${layer}`).toBeGreaterThan(0);
        }
      }
      const last = transition(sums, workers, wanted, idle);
      expect(last.hold, `run ${run}`).toEqual([]);
      if (last.blocked.length === 0) {
        arrived++;
        for (const each of workers)
          expect(each.held.length).toBeLessThanOrEqual(wanted.has(each.id) ? 1 : each.held.length);
      }
    }
    expect(arrived).toBeGreaterThan(100);
  }, 60_000);
});
