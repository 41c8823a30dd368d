import { expect, it } from 'vitest';
import { encodeFrame } from '../../../src/mesh/frame-codec.ts';
import { MAX_SLICE_PAYLOAD_BYTES } from '../../../src/mesh/slices.ts';
import { defaultWire } from '../../../src/server/default-wire.ts';

/** Slices of one decode step's activation in f32. */
function slicesOfToken(hidden: number): number {
  const frame = encodeFrame({
    kind: 'activation',
    dtype: 'f32',
    microBatch: 1,
    entries: [{ sequence: 1, epoch: 1, position: 0, count: 1, sample: true, truncate: false }],
    payload: new Uint8Array(hidden * 4),
  });
  return Math.ceil(frame.length / MAX_SLICE_PAYLOAD_BYTES);
}

it('is f32 exactly as long as a token then still leaves in one slice', () => {
  for (const hidden of [64, 256, 1_024, 1_136, 1_137, 1_138, 2_048, 4_096]) {
    expect(defaultWire(hidden), `hidden ${hidden}`).toBe(slicesOfToken(hidden) === 1 ? 'f32' : 'f16');
  }
  expect(defaultWire(256)).toBe('f32');
  expect(defaultWire(4_096)).toBe('f16');
});
