import { describe, expect, it } from 'vitest';
import { type ErrorCode, ShoalError } from '../../src/config/errors.ts';
import { MAX_BATCH_ROWS, MAX_FRAME_BYTES, MAX_FRAME_ENTRIES } from '../../src/config/limits.ts';
import type { Frame, FrameDtype, FrameEntry, FrameKind } from '../../src/mesh/frame.ts';
import { decodeFrame, encodeFrame, tokenIds, tokenPayload } from '../../src/mesh/frame-codec.ts';
import { seededRandom } from './seeded.ts';

const KINDS: readonly FrameKind[] = ['activation', 'token', 'ack', 'ping', 'pong'];
const random = seededRandom(1);
const upTo = (bound: number) => Math.floor(random() * bound);
const anyU32 = () => upTo(2 ** 32);

function randomFrame(): Frame {
  const kind = KINDS[upTo(KINDS.length)]!;
  const bare = kind === 'ping' || kind === 'pong';
  const entries: FrameEntry[] = Array.from({ length: bare ? 0 : 1 + upTo(8) }, () => ({
    sequence: anyU32(),
    position: anyU32(),
    epoch: anyU32(),
    count: kind === 'token' ? 1 : 1 + upTo(8),
    sample: random() < 0.5,
    truncate: random() < 0.5,
  }));
  const rows = entries.reduce((sum, entry) => sum + entry.count, 0);
  const dtype: FrameDtype =
    kind === 'activation' ? (random() < 0.5 ? 'f16' : 'f32') : kind === 'token' ? 'u32' : 'none';
  const hidden = 1 + upTo(33);
  const payloadBytes =
    kind === 'activation' ? rows * hidden * (dtype === 'f16' ? 2 : 4) : kind === 'token' ? 4 * rows : 0;
  const payload = Uint8Array.from({ length: payloadBytes }, () => upTo(256));
  return { kind, dtype, microBatch: anyU32(), entries, payload };
}

const activation: Frame = {
  kind: 'activation',
  dtype: 'f16',
  microBatch: 9,
  entries: [
    { sequence: 3, position: 40, epoch: 7, count: 2, sample: false, truncate: true },
    { sequence: 4, position: 5, epoch: 1, count: 1, sample: true, truncate: false },
  ],
  payload: Uint8Array.from({ length: 3 * 4 * 2 }, (_, i) => i),
};
const entry = activation.entries[1]!;

function codeOf(run: () => unknown): ErrorCode | 'accepted' {
  try {
    run();
  } catch (thrown) {
    if (thrown instanceof ShoalError) return thrown.code;
    throw thrown;
  }
  return 'accepted';
}

describe('frames', () => {
  it('are laid out byte for byte as documented', () => {
    const bytes = encodeFrame(activation);
    expect([...bytes.subarray(0, 56)]).toEqual([
      ...[0x53, 0x48, 0x4c, 0x31, 2, 1, 1, 0, 0, 0, 0, 0, 9, 0, 0, 0, 2, 0, 0, 0, 24, 0, 0, 0],
      ...[3, 0, 0, 0, 40, 0, 0, 0, 2, 0, 2, 0, 7, 0, 0, 0],
      ...[4, 0, 0, 0, 5, 0, 0, 0, 1, 0, 1, 0, 1, 0, 0, 0],
    ]);
    expect(bytes.subarray(56)).toEqual(activation.payload);
  });

  it('survive a round trip, whatever their kind and wherever they lie in a buffer', () => {
    const seen = new Set<FrameKind>();
    for (let i = 0; i < 500; i++) {
      const frame = randomFrame();
      seen.add(frame.kind);
      const bytes = encodeFrame(frame);
      const shifted = new Uint8Array(bytes.length + 3);
      shifted.set(bytes, 3);
      const back = decodeFrame(shifted.subarray(3));
      expect({ ...back, payload: [...back.payload] }).toEqual({ ...frame, payload: [...frame.payload] });
    }
    expect([...seen].sort()).toEqual([...KINDS].sort());
  });

  it('are refused at every truncation and with trailing bytes', () => {
    for (const frame of [activation, ...Array.from({ length: 20 }, randomFrame)]) {
      const bytes = encodeFrame(frame);
      for (let length = 0; length < bytes.length; length++) {
        expect(codeOf(() => decodeFrame(bytes.subarray(0, length)))).toBe('FRAME_INVALID');
      }
      expect(codeOf(() => decodeFrame(Uint8Array.of(...bytes, 0)))).toBe('FRAME_INVALID');
    }
  });

  it('stay valid or throw a ShoalError after any of 5,000 random mutations', () => {
    let accepted = 0;
    for (let i = 0; i < 5_000; i++) {
      const bytes = encodeFrame(randomFrame());
      for (let flips = 1 + upTo(4); flips > 0; flips--) {
        // Mostly the header and entries: there is the parser.
        const at = random() < 0.8 ? upTo(Math.min(bytes.length, 56)) : upTo(bytes.length);
        bytes[at] = random() < 0.3 ? 255 : upTo(256);
      }
      if (codeOf(() => decodeFrame(bytes)) !== 'accepted') continue;
      accepted++;
      // What is accepted is canonical: it encodes to the very bytes it came from.
      expect(encodeFrame(decodeFrame(bytes))).toEqual(bytes);
    }
    expect(accepted).toBeGreaterThan(500);
    expect(accepted).toBeLessThan(4_500);
  });

  it.each<[string, (view: DataView) => void, ErrorCode, RegExp]>([
    ['wrong magic', (v) => v.setUint8(0, 0), 'FRAME_INVALID', /magic/],
    ['newer version', (v) => v.setUint8(4, 3), 'PROTOCOL_VERSION', /reload this page/],
    ['older version', (v) => v.setUint8(4, 1), 'PROTOCOL_VERSION', /other peer must reload/],
    ['unknown kind', (v) => v.setUint8(5, 6), 'FRAME_INVALID', /kind 6/],
    ['unknown dtype', (v) => v.setUint8(6, 4), 'FRAME_INVALID', /dtype 4/],
    ['dtype of another kind', (v) => v.setUint8(6, 3), 'FRAME_INVALID', /not u32/],
    ['reserved header byte', (v) => v.setUint8(7, 1), 'FRAME_INVALID', /reserved/],
    ['reserved header u32', (v) => v.setUint32(8, 1, true), 'FRAME_INVALID', /reserved/],
    ['reserved header u16', (v) => v.setUint16(18, 1, true), 'FRAME_INVALID', /reserved/],
    ['too many entries', (v) => v.setUint16(16, MAX_FRAME_ENTRIES + 1, true), 'FRAME_INVALID', /65 entries/],
    ['a lying entry count', (v) => v.setUint16(16, 1, true), 'FRAME_INVALID', /but 80 B came/],
    ['a lying payload length', (v) => v.setUint32(20, 0xffff_ffff, true), 'FRAME_INVALID', /but 80 B came/],
    ['count 0', (v) => v.setUint16(24 + 8, 0, true), 'FRAME_INVALID', /count 0/],
    ['too many rows', (v) => v.setUint16(24 + 8, MAX_BATCH_ROWS, true), 'FRAME_INVALID', /65 rows/],
    ['rows that do not divide the payload', (v) => v.setUint16(24 + 8, 6, true), 'FRAME_INVALID', /7 rows/],
    ['unknown flags', (v) => v.setUint16(24 + 10, 4, true), 'FRAME_INVALID', /flags 0x4/],
  ])('refuse %s', (_what, damage, code, message) => {
    const bytes = encodeFrame(activation);
    damage(new DataView(bytes.buffer));
    expect(() => decodeFrame(bytes)).toThrow(
      expect.objectContaining({ code, message: expect.stringMatching(message) }),
    );
  });

  it.each<[string, Partial<Frame>]>([
    ['an activation without entries', { entries: [], payload: new Uint8Array(8) }],
    ['an activation without payload', { payload: new Uint8Array(0) }],
    ['a token frame with a count of 2', { kind: 'token', dtype: 'u32', payload: new Uint8Array(12) }],
    [
      'a token frame that is too short',
      { kind: 'token', dtype: 'u32', entries: [entry], payload: new Uint8Array(2) },
    ],
    ['an ack with a payload', { kind: 'ack', dtype: 'none' }],
    ['an ack without entries', { kind: 'ack', dtype: 'none', entries: [], payload: new Uint8Array(0) }],
    ['a ping with entries', { kind: 'ping', dtype: 'none', payload: new Uint8Array(0) }],
    ['an epoch that is no u32', { entries: [{ ...entry, epoch: -1, count: 3 }] }],
    ['a sequence that is no u32', { entries: [{ ...entry, sequence: 2 ** 32, count: 3 }] }],
    ['a fractional count', { entries: [{ ...entry, count: 1.5 }] }],
    ['65 entries', { entries: Array(MAX_FRAME_ENTRIES + 1).fill(entry) }],
  ])('are not encoded: %s', (_what, change) => {
    expect(codeOf(() => encodeFrame({ ...activation, ...change }))).toBe('FRAME_INVALID');
  });

  it('are bounded in size on both sides', () => {
    const payload = new Uint8Array(MAX_FRAME_BYTES);
    expect(codeOf(() => encodeFrame({ ...activation, entries: [entry], payload }))).toBe('FRAME_TOO_LARGE');
    expect(codeOf(() => decodeFrame(new Uint8Array(MAX_FRAME_BYTES + 1)))).toBe('FRAME_TOO_LARGE');
  });

  it('carry token ids, the largest included', () => {
    const ids = [0, 1, 0xffff_ffff];
    const frame: Frame = {
      ...activation,
      kind: 'token',
      dtype: 'u32',
      entries: [entry, entry, entry],
      payload: tokenPayload(ids),
    };
    expect([...tokenIds(decodeFrame(encodeFrame(frame)))]).toEqual(ids);
  });
});
