import { describe, expect, it } from 'vitest';
import { GpuDevice } from '../../src/gpu/device.ts';
import { createStageEngine } from '../../src/gpu/transformer.ts';
import { wholeModel } from '../../src/model/tensors.ts';
import { ODD_SPEC, seededTensors } from '../support/seeded-model.ts';

/** Needs no adapter: a device that gives every buffer, and reports the `failing`-th error scope as out of memory. */
function stubDevice(failing: number) {
  const destroyed = new Set<object>();
  let created = 0;
  let scopes = 0;
  const raw = {
    lost: new Promise(() => {}),
    addEventListener() {},
    createBuffer() {
      created++;
      const buffer = { destroy: () => destroyed.add(buffer) };
      return buffer;
    },
    pushErrorScope() {},
    popErrorScope: async () => (++scopes === failing ? { message: 'no memory left' } : null),
    queue: { writeBuffer() {}, onSubmittedWorkDone: async () => {} },
  } as unknown as GPUDevice;
  const adapter = { vendor: 'stub', architecture: '', description: '', isFallback: true };
  const device = new GpuDevice(raw, adapter, { maxBufferBytes: 1e9, maxStorageBindingBytes: 1e9 });
  return { device, counts: () => ({ created, destroyed: destroyed.size }) };
}

const shard = wholeModel(ODD_SPEC);
const load = (device: GpuDevice) =>
  createStageEngine({
    device,
    shaders: new Map(),
    spec: ODD_SPEC,
    shard,
    weights: seededTensors(ODD_SPEC, shard),
    quantization: 'native',
    kvBudgetBytes: 1e6,
  });

/** One error scope a matrix: the embedding and four in each layer. */
const MATRICES = 1 + 4 * ODD_SPEC.layers;

describe('a GPU without memory leaves nothing allocated', () => {
  it.each([
    ['the first matrix', 1, /model\.embed_tokens/],
    ['the last matrix', MATRICES, /model\.layers\.1/],
    ['the KV cache', MATRICES + 1, /KV cache/],
    ['the activations', MATRICES + 2, /activation buffers/],
  ])('when %s does not fit', async (_, scope, message) => {
    const { device, counts } = stubDevice(scope);
    await expect(load(device)).rejects.toMatchObject({
      code: 'OUT_OF_MEMORY',
      message: expect.stringMatching(message),
    });
    expect(device.liveBuffers).toBe(0);
    const { created, destroyed } = counts();
    expect(created).toBeGreaterThan(0);
    expect(destroyed).toBe(created);
  });

  it('when allocating throws halfway', async () => {
    const { device } = stubDevice(0);
    const kept = device.create('before', 16, 0);
    await expect(
      device.guardMemory('two buffers', 32, () => {
        device.create('one', 16, 0);
        throw new Error('the second does not come');
      }),
    ).rejects.toThrow(/second/);
    expect(device.liveBuffers).toBe(1);
    device.free(kept);
  });

  it('and what fits stays', async () => {
    const { device } = stubDevice(0);
    const buffer = await device.guardMemory('a buffer', 16, () => device.create('one', 16, 0));
    device.create('another, outside', 16, 0);
    expect(device.liveBuffers).toBe(2);
    device.free(buffer);
    expect(device.liveBuffers).toBe(1);
  });
});
