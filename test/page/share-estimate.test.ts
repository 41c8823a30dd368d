import { describe, expect, it } from 'vitest';
import type { Status } from '../../src/mesh/protocol/status.ts';
import { estimateShare } from '../../src/page/share-estimate.ts';

const SHARE = {
  layerGpuBytes: 100,
  layerFileBytes: 80,
  endsGpuBytes: 60,
  endsFileBytes: 40,
  scratchGpuBytes: 10,
  maxStages: null,
};

function mesh(workers: number, share: Partial<typeof SHARE> & { maxStages?: number | null } = {}): Status {
  return {
    provider: 'fxn',
    ready: false,
    detail: '',
    model: { id: 'fake', layers: 8, contextLength: 64, share: { ...SHARE, ...share } },
    pipeline: null,
    workers: Array.from({ length: workers }, (_, i) => ({ peer: `p-${i}` }) as Status['workers'][number]),
    nodes: [],
    requestsInFlight: 0,
  };
}

describe('before Join', () => {
  it('the first is told the whole model, the next an even share', () => {
    expect(estimateShare(mesh(0), 1e6)).toEqual({
      kind: 'share',
      layers: 8,
      of: 8,
      gpuBytes: 10 + 800 + 60,
      fileBytes: 640 + 40,
    });
    expect(estimateShare(mesh(2), 1e6)).toMatchObject({ layers: 3, gpuBytes: 10 + 300 + 20 });
    expect(estimateShare(mesh(7), 1e6)).toMatchObject({ layers: 1 });
  });

  it('no more than the budget holds', () => {
    expect(estimateShare(mesh(0), 400)).toMatchObject({ layers: 3 });
    expect(estimateShare(mesh(0), 110)).toMatchObject({ layers: 1, gpuBytes: 110 });
    expect(estimateShare(mesh(0), 109)).toEqual({ kind: 'too-small', neededBytes: 110 });
  });

  it('a spare where every stage has its worker', () => {
    expect(estimateShare(mesh(8), 1e6)).toEqual({ kind: 'spare' });
    expect(estimateShare(mesh(3, { maxStages: 3 } as object), 1e6)).toEqual({ kind: 'spare' });
    expect(estimateShare(mesh(2, { maxStages: 3 } as object), 1e6)).toMatchObject({
      kind: 'share',
      layers: 3,
    });
  });

  it('nothing invented where the server does not say', () => {
    expect(estimateShare(null, 1e6)).toEqual({ kind: 'unknown' });
    expect(estimateShare({ ...mesh(0), model: null }, 1e6)).toEqual({ kind: 'unknown' });
    const { share: _, ...model } = mesh(0).model!;
    expect(estimateShare({ ...mesh(0), model }, 1e6)).toEqual({ kind: 'unknown' });
  });
});
