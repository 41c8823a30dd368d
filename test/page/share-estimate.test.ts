import { describe, expect, it } from 'vitest';
import type { Status } from '../../src/mesh/protocol/status.ts';
import { estimateShare } from '../../src/page/share-estimate.ts';

type Share = NonNullable<NonNullable<Status['model']>['share']>;

const SHARE: Share = {
  layerGpuBytes: 100,
  layerFileBytes: 80,
  endsGpuBytes: 60,
  endsFileBytes: 40,
  scratchGpuBytes: 10,
  maxStages: null,
  replicas: 2,
};

function mesh(workers: number, share: Partial<Share> = {}): Status {
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
  it('whoever can hold the model is told all of it, until it is held as often as it shall be', () => {
    expect(estimateShare(mesh(0), 1e6)).toEqual({
      kind: 'share',
      layers: 8,
      of: 8,
      gpuBytes: 10 + 800 + 60,
      fileBytes: 640 + 40,
    });
    expect(estimateShare(mesh(1), 1e6)).toMatchObject({ layers: 8 });
    expect(estimateShare(mesh(2), 1e6)).toEqual({ kind: 'spare' });
    expect(estimateShare(mesh(2, { replicas: 3 }), 1e6)).toMatchObject({ layers: 8 });
  });

  it('a part where a split is asked for, or memory wants it', () => {
    const asked = { minStages: 3 };
    expect(estimateShare(mesh(0, asked), 1e6)).toMatchObject({ layers: 8 });
    expect(estimateShare(mesh(1, asked), 1e6)).toMatchObject({ layers: 4 });
    expect(estimateShare(mesh(2, asked), 1e6)).toMatchObject({ layers: 3, gpuBytes: 10 + 300 + 20 });
    expect(estimateShare(mesh(5, asked), 1e6)).toMatchObject({ layers: 3 });
    expect(estimateShare(mesh(6, asked), 1e6)).toEqual({ kind: 'spare' });
    expect(estimateShare(mesh(3), 500)).toMatchObject({ layers: 4 });
  });

  it('no more than the budget holds', () => {
    expect(estimateShare(mesh(0), 400)).toMatchObject({ layers: 3 });
    expect(estimateShare(mesh(0), 110)).toMatchObject({ layers: 1, gpuBytes: 110 });
    expect(estimateShare(mesh(0), 109)).toEqual({ kind: 'too-small', neededBytes: 110 });
  });

  it('no finer than the operator allows', () => {
    const atMost = { minStages: 8, maxStages: 3, replicas: 1 };
    expect(estimateShare(mesh(3, atMost), 1e6)).toEqual({ kind: 'spare' });
    expect(estimateShare(mesh(2, atMost), 1e6)).toMatchObject({ kind: 'share', layers: 3 });
  });

  it('nothing invented where the server does not say', () => {
    expect(estimateShare(null, 1e6)).toEqual({ kind: 'unknown' });
    expect(estimateShare({ ...mesh(0), model: null }, 1e6)).toEqual({ kind: 'unknown' });
    const { share: _, ...model } = mesh(0).model!;
    expect(estimateShare({ ...mesh(0), model }, 1e6)).toEqual({ kind: 'unknown' });
  });
});
