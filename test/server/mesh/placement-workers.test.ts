import { describe, expect, it } from 'vitest';
import { capabilitySchema } from '../../../src/mesh/protocol/control.ts';
import { Peer } from '../../../src/server/mesh/peer.ts';
import { placementWorkers } from '../../../src/server/mesh/placement-workers.ts';

const announced = {
  adapter: { vendor: 'google', architecture: 'swiftshader', description: '', isFallback: true },
  maxBufferBytes: 2 ** 28,
  maxStorageBindingBytes: 2 ** 27,
  memoryBudgetBytes: 2 ** 30,
  gemvMacsPerSecond: 1e8,
  userAgent: '',
};

function joined(capability: object): Peer {
  const peer = new Peer('peer-1', 'tab 1', { send() {}, close() {} } as never);
  peer.capability = capabilitySchema.parse(capability);
  return peer;
}

describe('what placement knows of a worker', () => {
  it.each([
    [true, { ...announced, storesF16AsF32: true }],
    [false, { ...announced, storesF16AsF32: false }],
    [false, announced],
  ])('f16 is stored as f32: %s', (storesF16AsF32, capability) => {
    expect(placementWorkers([joined(capability)], [], () => 0)).toMatchObject([
      { id: 'peer-1', memoryBytes: 2 ** 30, maxBufferBytes: 2 ** 27, isFallback: true, storesF16AsF32 },
    ]);
  });
});
