import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import type { GpuDevice } from '../../src/gpu/device.ts';
import { referenceForward } from '../../src/gpu/reference/forward.ts';
import { createStageEngine } from '../../src/gpu/transformer.ts';
import { FALLBACK_TUNING, type Tuning } from '../../src/gpu/tuning.ts';
import { decode } from '../../src/gpu/weight-format.ts';
import { GREEDY } from '../../src/model/sampling.ts';
import { wholeModel } from '../../src/model/tensors.ts';
import { openDevice, testShaders } from '../support/gpu.ts';
import { ODD_SPEC, seededTensors } from '../support/seeded-model.ts';

/** A page of another size than the weights' block: kernels and counting must follow the limit, not each other. */
vi.mock('../../src/config/limits.ts', async (original) => ({
  ...(await original<typeof import('../../src/config/limits.ts')>()),
  KV_PAGE_POSITIONS: 16,
}));

let device: GpuDevice;
beforeAll(async () => {
  device = await openDevice();
});
afterAll(() => device.destroy());

const shard = wholeModel(ODD_SPEC);
const ids = Array.from({ length: 37 }, (_, i) => (i * 41 + 3) % ODD_SPEC.vocab);

it.each<Tuning['reduction']>(['thread', 'workgroup'])(
  'attention by %s is right with KV pages of 16 positions',
  async (reduction) => {
    const engine = await createStageEngine({
      device,
      shaders: await testShaders(),
      spec: ODD_SPEC,
      shard,
      weights: seededTensors(ODD_SPEC, shard),
      quantization: 'native',
      kvBudgetBytes: 4e6,
      tuning: { ...FALLBACK_TUNING, reduction },
    });
    engine.openSequence(1, { maxPositions: ids.length, sampling: GREEDY });
    const actual = await engine.logits({
      entries: [{ sequence: 1, position: 0, count: ids.length, sample: false }],
      wire: 'f32',
      tokens: Uint32Array.from(ids),
    });
    const weights = new Map<string, Float32Array>();
    for await (const { name, bytes, dtype } of seededTensors(ODD_SPEC, shard)) {
      weights.set(name, decode(bytes, dtype));
    }
    const expected = referenceForward(ODD_SPEC, weights, ids).flatMap((row) => [...row]);
    const difference = Math.hypot(...expected.map((value, i) => actual[i]! - value));
    expect(difference / Math.hypot(...expected)).toBeLessThan(1e-4);
    engine.destroy();
  },
);
