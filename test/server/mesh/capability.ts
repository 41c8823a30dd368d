import type { Capability } from '../../../src/mesh/protocol/control.ts';

export const CAPABILITY: Capability = {
  adapter: { vendor: 'test', architecture: 'fake', description: 'fake adapter', isFallback: false },
  maxBufferBytes: 2 ** 30,
  maxStorageBindingBytes: 2 ** 30,
  memoryBudgetBytes: 2 ** 30,
  gemvMacsPerSecond: 1e9,
  userAgent: 'test',
};
