/** Models and workers made by seed, for the tests of placement. */
import type { ModelCosts } from '../../src/schedule/costs.ts';
import type { RoundTripSeconds, WorkerView } from '../../src/schedule/mesh-view.ts';

export function model(layers: number, over: Partial<ModelCosts> = {}): ModelCosts {
  return {
    layers: Array.from({ length: layers }, () => ({ bytes: 100, macs: 1_000 })),
    embedding: { bytes: 50, macs: 0 },
    head: { bytes: 50, macs: 500 },
    tiedBytes: 50,
    scratchBytes: 10,
    largestBufferBytes: 40,
    ...over,
  };
}

/** Its memory holds any model of these tests; a layer takes it a tenth of a second at the default rate. */
export function worker(id: string, macsPerSecond = 10_000, over: Partial<WorkerView> = {}): WorkerView {
  return {
    id,
    class: 'one',
    macsPerSecond,
    rateIs: 'served',
    memoryBytes: 1e6,
    maxBufferBytes: 1e6,
    isFallback: false,
    trusted: true,
    held: [],
    cached: [],
    ...over,
  };
}

/** A small generator with a fixed seed: a failing case can be run again. */
export function random(seed: number): () => number {
  let state = Math.imul(seed + 1, 2_654_435_761) >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

export const near: RoundTripSeconds = () => 0.002;

/** Workers on a line, apart by their place on it. */
export function places(workers: readonly WorkerView[], next: () => number, widest: number): RoundTripSeconds {
  const at = new Map(workers.map(({ id }) => [id, next() * widest]));
  return (from, to) => (from === to ? 0 : 0.001 + Math.abs(at.get(from)! - at.get(to)!));
}

/** Unequal in speed by ten, in memory from one layer to more than the model. */
export function unequal(count: number, layers: number, next: () => number): WorkerView[] {
  return Array.from({ length: count }, (_, index) =>
    worker(`w${index}`, 2_000 + Math.floor(next() ** 2 * 18_000), {
      memoryBytes: 210 + Math.floor(next() * layers * 130),
    }),
  );
}
