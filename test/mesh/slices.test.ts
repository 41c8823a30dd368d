import { describe, expect, it } from 'vitest';
import { type ErrorCode, ShoalError } from '../../src/config/errors.ts';
import { MAX_FRAME_BYTES, MAX_SLICE_BYTES } from '../../src/config/limits.ts';
import {
  cutSlice,
  MAX_SLICE_PAYLOAD_BYTES,
  nextMessage,
  SLICE_HEADER_BYTES,
  SliceReassembler,
} from '../../src/mesh/slices.ts';
import { seededRandom } from './seeded.ts';

function bytesOf(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (i * 7 + (i >> 8)) & 0xff);
}

function cut(frame: Uint8Array, message: number): ArrayBuffer[] {
  const slices: ArrayBuffer[] = [];
  for (let at = 0; at < frame.length; at += MAX_SLICE_PAYLOAD_BYTES)
    slices.push(cutSlice(frame, message, at));
  return slices;
}

function slice(message: number, totalBytes: number, offset: number, content: number): ArrayBuffer {
  const bytes = new Uint8Array(SLICE_HEADER_BYTES + content);
  new Uint32Array(bytes.buffer, 0, 3).set([message, totalBytes, offset]);
  return bytes.buffer;
}

describe('slices', () => {
  it('of a small frame are one, and none is ever larger than the bound', () => {
    expect(cut(bytesOf(MAX_SLICE_PAYLOAD_BYTES), 0)).toHaveLength(1);
    const slices = cut(bytesOf(300_000), 0);
    expect(Math.max(...slices.map((one) => one.byteLength))).toBe(MAX_SLICE_BYTES);
  });

  it('make frames of every size whole again, one after another', () => {
    const reassembler = new SliceReassembler();
    const sizes = [
      1,
      44,
      MAX_SLICE_PAYLOAD_BYTES - 1,
      MAX_SLICE_PAYLOAD_BYTES,
      MAX_SLICE_PAYLOAD_BYTES + 1,
      65_536,
      300_000,
    ];
    sizes.forEach((size, message) => {
      const frame = bytesOf(size);
      const results = cut(frame, message).map((one) => reassembler.push(one));
      expect(results.slice(0, -1).every((result) => result === null)).toBe(true);
      expect(Buffer.compare(results.at(-1)!, frame)).toBe(0);
    });
  });

  it('are numbered by a u32 that wraps', () => {
    expect(nextMessage(0xffff_ffff)).toBe(0);
  });

  it.each<[string, ArrayBuffer[], ErrorCode]>([
    ['a gap', [slice(0, 100, 0, 10), slice(0, 100, 20, 10)], 'FRAME_INVALID'],
    ['a gap at the start', [slice(0, 100, 10, 10)], 'FRAME_INVALID'],
    ['an overlap', [slice(0, 100, 0, 10), slice(0, 100, 5, 10)], 'FRAME_INVALID'],
    ['a repeated slice', [slice(0, 100, 0, 10), slice(0, 100, 0, 10)], 'FRAME_INVALID'],
    ['a size that changes', [slice(0, 100, 0, 10), slice(0, 99, 10, 10)], 'FRAME_INVALID'],
    ['content beyond the frame', [slice(0, 9, 0, 10)], 'FRAME_INVALID'],
    ['an empty frame', [slice(0, 0, 0, 1)], 'FRAME_INVALID'],
    ['a slice without content', [slice(0, 9, 0, 0)], 'FRAME_INVALID'],
    ['half a header', [new ArrayBuffer(5)], 'FRAME_INVALID'],
    ['an oversized slice', [slice(0, 10_000, 0, MAX_SLICE_BYTES)], 'FRAME_INVALID'],
    [
      'the next frame before this one is whole',
      [slice(0, 100, 0, 10), slice(1, 100, 0, 10)],
      'FRAME_INVALID',
    ],
    ['a frame number that was skipped', [slice(1, 10, 0, 10)], 'FRAME_INVALID'],
    ['an announced size beyond the bound', [slice(0, MAX_FRAME_BYTES + 1, 0, 10)], 'FRAME_TOO_LARGE'],
    ['an absurd announced size', [slice(0, 0xffff_ffff, 0, 10)], 'FRAME_TOO_LARGE'],
  ])('are refused with %s', (_what, slices, code) => {
    const reassembler = new SliceReassembler();
    for (const one of slices.slice(0, -1)) reassembler.push(one);
    expect(() => reassembler.push(slices.at(-1)!)).toThrow(expect.objectContaining({ code }));
  });

  it('of 2,000 random kinds give a frame, nothing yet, or a ShoalError', () => {
    const random = seededRandom(2);
    const upTo = (bound: number) => Math.floor(random() * bound);
    let reassembler = new SliceReassembler();
    let whole = 0;
    for (let i = 0; i < 2_000; i++) {
      try {
        if (reassembler.push(slice(upTo(2), upTo(4), upTo(3), upTo(4))) !== null) whole++;
      } catch (thrown) {
        expect(thrown).toBeInstanceOf(ShoalError);
        reassembler = new SliceReassembler();
      }
    }
    expect(whole).toBeGreaterThan(10);
  });
});
