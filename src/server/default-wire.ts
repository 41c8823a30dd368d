import type { WireDtype } from '../gpu/stage-engine.ts';
import { FRAME_ENTRY_BYTES, FRAME_HEADER_BYTES } from '../mesh/frame-codec.ts';
import { MAX_SLICE_PAYLOAD_BYTES } from '../mesh/slices.ts';

/**
 * The wire of a model whose operator did not choose one: f32, which rounds nothing, as long as a decode step's frame still
 * leaves in one slice, where half the bytes would arrive no sooner; f16 beyond.
 *
 * @param hidden values of one row
 */
export function defaultWire(hidden: number): WireDtype {
  return FRAME_HEADER_BYTES + FRAME_ENTRY_BYTES + hidden * 4 <= MAX_SLICE_PAYLOAD_BYTES ? 'f32' : 'f16';
}
