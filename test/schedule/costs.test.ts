import { describe, expect, it } from 'vitest';
import { SCRATCH_BYTES_PER_STAGE } from '../../src/config/limits.ts';
import type { ModelSpec } from '../../src/model/spec.ts';
import { shardBytes, wholeModel } from '../../src/model/tensors.ts';
import { headMacs, layerKvBytes, layerMacs, modelCosts } from '../../src/schedule/costs.ts';
import { place } from '../../src/schedule/placement.ts';

const SPEC: ModelSpec = {
  layers: 8,
  hidden: 256,
  intermediate: 640,
  heads: 8,
  kvHeads: 4,
  headDim: 32,
  vocab: 2_048,
  contextLength: 512,
  normEps: 1e-5,
  activation: 'silu',
  rope: { theta: 10_000, scaling: { type: 'none' } },
  qkvBias: false,
  oBias: false,
  mlpBias: false,
  qkNorm: false,
  tiedEmbeddings: true,
  bosTokenId: 1,
  eosTokenIds: [2],
};

describe('modelCosts', () => {
  it('counts multiply-accumulates as the matrices have weights', () => {
    expect(layerMacs(SPEC)).toBe(256 * 256 + 2 * 256 * 128 + 256 * 256 + 3 * 256 * 640);
    expect(headMacs(SPEC)).toBe(256 * 2_048);
  });

  it('counts keys and values of a full sequence in f32', () => {
    expect(layerKvBytes(SPEC)).toBe(2 * 4 * 32 * 512 * 4);
  });

  it.each([true, false])('adds up to the model’s own bytes on one worker (tied %s)', (tiedEmbeddings) => {
    const spec = { ...SPEC, tiedEmbeddings };
    for (const [dtype, quantization] of [
      ['F16', 'native'],
      ['F32', 'native'],
      ['F16', 'q8'],
    ] as const) {
      const costs = modelCosts(spec, dtype, quantization);
      const worker = {
        id: 'a',
        gemvMacsPerSecond: 1,
        memoryBytes: 1e12,
        maxBufferBytes: 1e12,
        isFallback: false,
      };
      const placement = place(costs, [worker]);
      if (placement.kind !== 'placed') throw new Error(placement.detail);
      expect(placement.stages[0]!.bytes).toBe(
        shardBytes(spec, wholeModel(spec), dtype, quantization).gpu +
          spec.layers * layerKvBytes(spec) +
          SCRATCH_BYTES_PER_STAGE,
      );
      const macs = spec.layers * layerMacs(spec) + headMacs(spec);
      expect(placement.bottleneckSeconds).toBe(macs);
    }
  });

  it('keeps the ends at 8 bits where the layers have 4', () => {
    const [q4, q8] = [modelCosts(SPEC, 'F16', 'q4'), modelCosts(SPEC, 'F16', 'q8')];
    expect(q4.embedding).toEqual(q8.embedding);
    expect(q4.layers[0]!.bytes).toBeLessThan(q8.layers[0]!.bytes);
  });
});
