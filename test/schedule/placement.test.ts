import { describe, expect, it } from 'vitest';
import type { ModelCosts } from '../../src/schedule/costs.ts';
import { isWorthMoving, type Placement, type PlacementWorker, place } from '../../src/schedule/placement.ts';

function model(layers: number, over: Partial<ModelCosts> = {}): ModelCosts {
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

function worker(id: string, rate = 1_000, over: Partial<PlacementWorker> = {}): PlacementWorker {
  return { id, gemvMacsPerSecond: rate, memoryBytes: 1e6, maxBufferBytes: 1e6, isFallback: false, ...over };
}

function placed(placement: Placement) {
  if (placement.kind !== 'placed') throw new Error(`not placed: ${placement.detail}`);
  return placement;
}

const namesOf = (spares: readonly { readonly worker: string }[]) => spares.map(({ worker }) => worker);
const sizes = (placement: Placement) => placed(placement).stages.map(({ shard }) => shard.end - shard.start);

/** Every order, every cut: the best slowest stage that any placement of all of `workers` can have. */
function bruteForce(costs: ModelCosts, workers: readonly PlacementWorker[]): number {
  let best = Number.POSITIVE_INFINITY;
  const visit = (rest: readonly PlacementWorker[], start: number, slowest: number, first: boolean) => {
    for (const chosen of rest) {
      const others = rest.filter((w) => w !== chosen);
      const last = others.length === 0;
      for (
        let end = last ? costs.layers.length : start + 1;
        end <= costs.layers.length - others.length;
        end++
      ) {
        const layers = costs.layers.slice(start, end);
        let bytes = costs.scratchBytes + layers.reduce((sum, layer) => sum + layer.bytes, 0);
        let macs = layers.reduce((sum, layer) => sum + layer.macs, 0);
        if (first) bytes += costs.embedding.bytes;
        if (last) bytes += costs.head.bytes;
        if (first && last) bytes -= costs.tiedBytes;
        if (last) macs += costs.head.macs;
        if (layers.length === 0 || bytes > chosen.memoryBytes) continue;
        const time = Math.max(slowest, macs / chosen.gemvMacsPerSecond);
        if (last) best = Math.min(best, time);
        else visit(others, end, time, false);
      }
    }
  };
  visit(workers, 0, 0, true);
  return best;
}

/** A small generator with a fixed seed: a failing case can be run again. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

describe('place', () => {
  it('covers 8 layers with 1 to 8 equal workers, embedding first, head last', () => {
    for (let count = 1; count <= 8; count++) {
      const workers = Array.from({ length: count }, (_, i) => worker(`w${i}`));
      const { stages, spares } = placed(place(model(8), workers));
      expect(stages).toHaveLength(count);
      expect(spares).toEqual([]);
      expect(stages.map(({ worker }) => worker)).toEqual(workers.map(({ id }) => id));
      expect(stages[0]!.shard).toMatchObject({ start: 0, embedding: true });
      expect(stages.at(-1)!.shard).toMatchObject({ end: 8, head: true });
      expect(stages.filter(({ shard }) => shard.embedding)).toHaveLength(1);
      expect(stages.filter(({ shard }) => shard.head)).toHaveLength(1);
    }
  });

  it('counts the head: of three equal workers the last gets fewer layers', () => {
    expect(sizes(place(model(8), [worker('a'), worker('b'), worker('c')]))).toEqual([3, 3, 2]);
  });

  it('deals layers in proportion to the measured rate', () => {
    const costs = model(12, { head: { bytes: 50, macs: 0 } });
    expect(sizes(place(costs, [worker('slow', 1_000), worker('fast', 3_000), worker('mid', 2_000)]))).toEqual(
      [2, 6, 4],
    );
  });

  it('puts a heavy head on the fast worker, whoever came first', () => {
    const heavy = model(4, { head: { bytes: 50, macs: 20_000 } });
    const { stages } = placed(place(heavy, [worker('fast', 10_000), worker('slow', 5_000)]));
    expect(stages.map((stage) => stage.worker)).toEqual(['slow', 'fast']);
  });

  it('keeps the given order where another one is not faster', () => {
    const ids = ['d', 'a', 'c', 'b'];
    const { stages } = placed(
      place(
        model(8),
        ids.map((id) => worker(id)),
      ),
    );
    expect(stages.map((stage) => stage.worker)).toEqual(ids);
  });

  it('leaves more workers than layers, and more than asked for, as spares', () => {
    const many = Array.from({ length: 11 }, (_, i) => worker(`w${i}`));
    expect(namesOf(placed(place(model(8), many)).spares)).toEqual(['w8', 'w9', 'w10']);
    const three = placed(place(model(8), many, { pipelineSize: 3 }));
    expect(three.stages).toHaveLength(3);
    expect(three.spares).toHaveLength(8);
    for (const { reason } of three.spares) expect(reason).toEqual({ why: 'full', stages: 3 });
  });

  it('gives a software adapter nothing beside a real GPU, and everything when alone', () => {
    const gpu = worker('gpu', 100_000);
    const software = worker('software', 1_000, { isFallback: true });
    expect(placed(place(model(8), [software, gpu])).spares).toEqual([
      { worker: 'software', reason: { why: 'slow' } },
    ]);
    expect(sizes(place(model(8), [software]))).toEqual([8]);
  });

  it('uses the software adapter when the GPU cannot hold the model alone', () => {
    const gpu = worker('gpu', 100_000, { memoryBytes: 700 });
    const software = worker('software', 1_000, { isFallback: true });
    const { stages } = placed(place(model(8), [gpu, software]));
    expect(stages.map((stage) => [stage.worker, stage.shard.end - stage.shard.start])).toEqual([
      ['software', 2],
      ['gpu', 6],
    ]);
  });

  it('keeps tabs whose rates differ by the noise of a shared machine, and leaves out what is slow beyond that', () => {
    const eight = (slowest: number, isFallback: boolean) =>
      [1_000, 800, 450, 900, 600, 1_000, 700, slowest].map((rate, i) =>
        worker(`w${i}`, rate, { isFallback }),
      );
    const count = (workers: readonly PlacementWorker[]) => placed(place(model(8), workers)).stages.length;
    expect(count(eight(500, false))).toBe(8);
    expect(count(eight(80, true))).toBe(8);
    expect(count(eight(80, false))).toBe(7);
    expect(count(eight(8, true))).toBe(7);
  });

  it('respects budgets and says what is missing when nothing fits', () => {
    const small = (id: string) => worker(id, 1_000, { memoryBytes: 300 });
    const result = place(model(8), [small('a'), small('b')]);
    expect(result).toMatchObject({ kind: 'does-not-fit', workers: 2, neededBytes: 920, availableBytes: 600 });
    expect(place(model(8), [])).toMatchObject({ kind: 'does-not-fit', workers: 0 });
    const tight = placed(place(model(8), [small('a'), worker('big'), small('c')]));
    expect(tight.stages.every(({ bytes, worker }) => worker === 'big' || bytes <= 300)).toBe(true);
  });

  it('passes over workers that cannot hold one layer or make the largest buffer', () => {
    const tiny = worker('tiny', 1e6, { memoryBytes: 90 });
    const narrow = worker('narrow', 1e6, { maxBufferBytes: 39 });
    const { stages, spares } = placed(place(model(8), [tiny, narrow, worker('good')]));
    expect(stages.map((stage) => stage.worker)).toEqual(['good']);
    expect(spares).toEqual([
      { worker: 'tiny', reason: { why: 'small-memory', neededBytes: 110 } },
      { worker: 'narrow', reason: { why: 'small-buffers', neededBytes: 40 } },
    ]);
  });

  it('counts a tied embedding once where one worker holds both ends', () => {
    const exactly = 8 * 100 + 50 + 50 - 50 + 10;
    expect(place(model(8), [worker('a', 1, { memoryBytes: exactly })]).kind).toBe('placed');
    expect(place(model(8), [worker('a', 1, { memoryBytes: exactly - 1 })]).kind).toBe('does-not-fit');
  });

  it('on random cases covers every layer once, respects memory, is deterministic and as good as brute force', () => {
    const next = random(7);
    let fitted = 0;
    for (let run = 0; run < 400; run++) {
      const layers = 1 + Math.floor(next() * 7);
      const costs = model(layers, { head: { bytes: 50, macs: Math.floor(next() * 3_000) } });
      const workers = Array.from({ length: 1 + Math.floor(next() * Math.min(4, layers)) }, (_, i) =>
        worker(`w${i}`, 500 + Math.floor(next() * 1_500), { memoryBytes: 150 + Math.floor(next() * 700) }),
      );
      const result = place(costs, workers);
      expect(place(costs, workers)).toEqual(result);
      if (result.kind !== 'placed') {
        expect(bruteForce(costs, workers), `run ${run}`).toBe(Number.POSITIVE_INFINITY);
        continue;
      }
      fitted++;
      let covered = 0;
      for (const { shard, bytes, worker: id } of result.stages) {
        expect(shard.start).toBe(covered);
        expect(shard.end).toBeGreaterThan(shard.start);
        covered = shard.end;
        expect(bytes).toBeLessThanOrEqual(workers.find((w) => w.id === id)!.memoryBytes);
      }
      expect(covered).toBe(layers);
      const members = workers.filter(({ id }) => result.stages.some((stage) => stage.worker === id));
      expect(result.bottleneckSeconds, `run ${run}`).toBeCloseTo(bruteForce(costs, members), 9);
    }
    expect(fitted).toBeGreaterThan(100);
  });

  it('with layers of unequal size finds the best cuts for the order it is given', () => {
    const costs = model(5, {
      layers: [4_000, 1_000, 1_000, 1_000, 1_000].map((macs) => ({ bytes: 100, macs })),
      head: { bytes: 50, macs: 0 },
    });
    expect(sizes(place(costs, [worker('a'), worker('b')]))).toEqual([1, 4]);
  });
});

describe('isWorthMoving', () => {
  it('asks for a tenth, so that a spare moves nothing', () => {
    const next = placed(place(model(8), [worker('a'), worker('b')]));
    const { bottleneckSeconds } = next;
    expect(isWorthMoving(bottleneckSeconds, next)).toBe(false);
    expect(isWorthMoving(bottleneckSeconds * 1.2, next)).toBe(true);
  });
});
