import { expect, it } from 'vitest';
import { ShoalError } from '../../src/config/errors.ts';
import { requestDevice } from '../../src/gpu/device.ts';
import { checkControlVersion } from '../../src/mesh/protocol/version.ts';
import { remedyOf } from '../../src/page/phase-text.ts';

const errorOf = async (call: () => unknown): Promise<ShoalError> => {
  try {
    await call();
  } catch (thrown) {
    return ShoalError.from(thrown);
  }
  throw new Error('nothing was thrown');
};
const gpu = (adapter: null) => ({ requestAdapter: async () => adapter }) as unknown as GPU;

it.each([
  ['NO_WEBGPU', () => requestDevice(undefined)],
  ['NO_ADAPTER', () => requestDevice(gpu(null))],
  ['PROTOCOL_VERSION', () => checkControlVersion(99, 'page')],
] as const)('advice for %s says nothing that its message says', async (code, call) => {
  const error = await errorOf(call);
  expect(error.code).toBe(code);
  const words = (text: string) => new Set(text.toLowerCase().match(/[\w#:/-]{7,}/g));
  const said = words(error.message);
  const repeated = [...words(remedyOf(code) ?? '')].filter((word) => said.has(word));
  expect(repeated).toEqual([]);
});
