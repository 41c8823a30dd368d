import { describe, expect, it } from 'vitest';
import { weakestWindows } from '../../src/schedule/layout/weakest-window.ts';
import type { LayerRange, RoundTripSeconds, WorkerView } from '../../src/schedule/mesh-view.ts';
import { stageCostsOf } from '../../src/schedule/stage-costs.ts';
import { model, near, worker } from './layout-cases.ts';

const costs = stageCostsOf(model(8));
/** Four layers, at either end too. */
const half = { memoryBytes: 460 };
const [front, back]: LayerRange[] = [
  { start: 0, end: 4 },
  { start: 4, end: 8 },
];

function taken(
  newcomers: readonly WorkerView[],
  holders: readonly (readonly [WorkerView, LayerRange])[],
  { goal = 10, rtt = near }: { goal?: number; rtt?: RoundTripSeconds } = {},
): Record<string, LayerRange> {
  const ranges = new Map(holders.map(([{ id }, range]) => [id, range]));
  const all = [...holders.map(([each]) => each), ...newcomers];
  weakestWindows(costs, newcomers, ranges, all, { goal, rtt, nearHopSeconds: 0.002 });
  return Object.fromEntries(newcomers.flatMap(({ id }) => (ranges.has(id) ? [[id, ranges.get(id)!]] : [])));
}

describe('ranges for many', () => {
  it('are the weakest, one after another', () => {
    const newcomers = ['a', 'b', 'c', 'd'].map((id) => worker(id, 10_000, half));
    // The LM head makes the back half weaker where as many hold it.
    expect(taken(newcomers, [])).toEqual({ a: front, b: back, c: back, d: front });
    expect(taken(newcomers.slice(0, 1), [[worker('x', 10_000, half), front!]])).toEqual({ a: back });
  });

  it('are the whole model where memory holds it, whatever is weakest: no hop is the quickest', () => {
    const found = taken([worker('whole')], [[worker('x', 50_000, half), front!]]);
    expect(found).toEqual({ whole: { start: 0, end: 8 } });
  });

  it('are as long as memory allows', () => {
    const six = { memoryBytes: 660 };
    const found = taken([worker('a', 10_000, six), worker('b', 10_000, six)], []);
    expect(found).toEqual({ a: { start: 0, end: 6 }, b: { start: 2, end: 8 } });
  });

  it('complete what is near, though far away another range is weaker', () => {
    const rtt: RoundTripSeconds = (a, b) => (a === b ? 0 : a[0] === b[0] ? 0.002 : 2);
    const holders = [
      [worker('eu-1', 10_000, half), back!],
      [worker('us-1', 10_000, half), front!],
      [worker('us-2', 10_000, half), front!],
    ] as const;
    expect(taken([worker('eu-new', 10_000, half)], holders, { rtt })).toEqual({ 'eu-new': front });
    expect(taken([worker('us-new', 10_000, half)], holders, { rtt })).toEqual({ 'us-new': back });
  });

  it('are for who is quicker than those that hold, however many they are, and not for who would idle', () => {
    const holders = ['a', 'b', 'c', 'd'].map((id) => [worker(id), { start: 0, end: 8 }] as const);
    expect(taken([worker('quick', 20_000), worker('slow', 5_000)], holders, { goal: 4 })).toEqual({
      quick: { start: 0, end: 8 },
    });
    expect(Object.keys(taken([worker('slow', 5_000)], holders, { goal: 5 }))).toEqual(['slow']);
  });
});
