import { ShoalError } from '../config/errors.ts';
import { MAX_BATCH_ROWS, MAX_FRAME_BYTES, MAX_FRAME_ENTRIES } from '../config/limits.ts';
import type { Frame, FrameDtype, FrameEntry, FrameKind } from './frame.ts';

/** 'SHL1' read as a little-endian u32. */
export const FRAME_MAGIC = 0x314c_4853;
export const FRAME_VERSION = 2;
export const FRAME_HEADER_BYTES = 24;
export const FRAME_ENTRY_BYTES = 16;

const KIND_CODES = { activation: 1, token: 2, ack: 3, ping: 4, pong: 5 } as const satisfies Record<
  FrameKind,
  number
>;
const DTYPE_CODES = { none: 0, f16: 1, f32: 2, u32: 3 } as const satisfies Record<FrameDtype, number>;
const KINDS = byCode<FrameKind>(KIND_CODES);
const DTYPES = byCode<FrameDtype>(DTYPE_CODES);
const DTYPE_BYTES: Record<FrameDtype, number> = { none: 0, f16: 2, f32: 4, u32: 4 };

const FLAG_SAMPLE = 1;
const FLAG_TRUNCATE = 2;
const KNOWN_FLAGS = FLAG_SAMPLE | FLAG_TRUNCATE;
const MAX_U32 = 0xffff_ffff;

/** Rows of all entries together. */
export function frameRows(frame: Frame): number {
  let rows = 0;
  for (const entry of frame.entries) rows += entry.count;
  return rows;
}

/**
 * Writes a frame into fresh bytes, laid out as frame.ts says.
 * @throws FRAME_INVALID, FRAME_TOO_LARGE: whatever `decodeFrame` would refuse is refused here already
 */
export function encodeFrame(frame: Frame): Uint8Array<ArrayBuffer> {
  const payloadOffset = FRAME_HEADER_BYTES + FRAME_ENTRY_BYTES * frame.entries.length;
  const total = payloadOffset + frame.payload.length;
  checkEntryCount(frame.entries.length);
  checkFrameBytes(total);
  checkU32('microBatch', frame.microBatch);
  for (const entry of frame.entries) {
    checkU32('sequence', entry.sequence);
    checkU32('position', entry.position);
    checkU32('epoch', entry.epoch);
  }
  checkShape(frame);

  const bytes = new Uint8Array(total);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, FRAME_MAGIC, true);
  view.setUint8(4, FRAME_VERSION);
  view.setUint8(5, KIND_CODES[frame.kind]);
  view.setUint8(6, DTYPE_CODES[frame.dtype]);
  view.setUint32(12, frame.microBatch, true);
  view.setUint16(16, frame.entries.length, true);
  view.setUint32(20, frame.payload.length, true);
  let at = FRAME_HEADER_BYTES;
  for (const entry of frame.entries) {
    view.setUint32(at, entry.sequence, true);
    view.setUint32(at + 4, entry.position, true);
    view.setUint16(at + 8, entry.count, true);
    view.setUint16(at + 10, (entry.sample ? FLAG_SAMPLE : 0) | (entry.truncate ? FLAG_TRUNCATE : 0), true);
    view.setUint32(at + 12, entry.epoch, true);
    at += FRAME_ENTRY_BYTES;
  }
  bytes.set(frame.payload, payloadOffset);
  return bytes;
}

/**
 * Reads a frame that came from a peer. The payload is a view into `bytes`, not a copy.
 * Of an activation's payload it is known here only that it holds a whole number of values a row: the width is the receiving stage's to check.
 * @throws FRAME_INVALID, FRAME_TOO_LARGE, PROTOCOL_VERSION; nothing else, whatever the bytes
 */
export function decodeFrame(bytes: Uint8Array): Frame {
  checkFrameBytes(bytes.length);
  if (bytes.length < FRAME_HEADER_BYTES) {
    throw invalid(`${bytes.length} bytes are shorter than the ${FRAME_HEADER_BYTES} B header`);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const magic = view.getUint32(0, true);
  if (magic !== FRAME_MAGIC) {
    throw invalid(`magic 0x${magic.toString(16)} is not 0x${FRAME_MAGIC.toString(16)} ('SHL1')`);
  }
  checkFrameVersion(view.getUint8(4));
  const kind = KINDS.get(view.getUint8(5));
  if (kind === undefined) throw invalid(`kind ${view.getUint8(5)} is unknown`);
  const dtype = DTYPES.get(view.getUint8(6));
  if (dtype === undefined) throw invalid(`dtype ${view.getUint8(6)} is unknown`);
  if (view.getUint8(7) !== 0 || view.getUint32(8, true) !== 0 || view.getUint16(18, true) !== 0) {
    throw invalid('a reserved header field is not 0');
  }
  const entryCount = view.getUint16(16, true);
  checkEntryCount(entryCount);
  const payloadBytes = view.getUint32(20, true);
  const payloadOffset = FRAME_HEADER_BYTES + FRAME_ENTRY_BYTES * entryCount;
  if (payloadOffset + payloadBytes !== bytes.length) {
    throw invalid(
      `${entryCount} entries and a payload of ${payloadBytes} B make ${payloadOffset + payloadBytes} B, ` +
        `but ${bytes.length} B came`,
    );
  }
  const entries: FrameEntry[] = [];
  for (let at = FRAME_HEADER_BYTES; at < payloadOffset; at += FRAME_ENTRY_BYTES) {
    entries.push(readEntry(view, at));
  }
  const frame: Frame = {
    kind,
    dtype,
    microBatch: view.getUint32(12, true),
    entries,
    payload: bytes.subarray(payloadOffset),
  };
  checkShape(frame);
  return frame;
}

/** The ids of a token frame, one an entry. */
export function tokenIds(frame: Frame): Uint32Array<ArrayBuffer> {
  const view = new DataView(frame.payload.buffer, frame.payload.byteOffset, frame.payload.byteLength);
  return Uint32Array.from({ length: frame.payload.length / 4 }, (_, i) => view.getUint32(4 * i, true));
}

/** The payload of a token frame. */
export function tokenPayload(ids: ArrayLike<number>): Uint8Array<ArrayBuffer> {
  const payload = new Uint8Array(4 * ids.length);
  const view = new DataView(payload.buffer);
  for (let i = 0; i < ids.length; i++) view.setUint32(4 * i, ids[i]!, true);
  return payload;
}

function readEntry(view: DataView, at: number): FrameEntry {
  const flags = view.getUint16(at + 10, true);
  if ((flags & ~KNOWN_FLAGS) !== 0) throw invalid(`entry flags 0x${flags.toString(16)} are unknown`);
  return {
    sequence: view.getUint32(at, true),
    position: view.getUint32(at + 4, true),
    epoch: view.getUint32(at + 12, true),
    count: view.getUint16(at + 8, true),
    sample: (flags & FLAG_SAMPLE) !== 0,
    truncate: (flags & FLAG_TRUNCATE) !== 0,
  };
}

/** What kind, dtype, entries and payload must be to one another. */
function checkShape(frame: Frame): void {
  const { kind, dtype, entries, payload } = frame;
  for (const entry of entries) {
    if (!Number.isInteger(entry.count) || entry.count < 1) throw invalid(`an entry has count ${entry.count}`);
  }
  const rows = frameRows(frame);
  if (rows > MAX_BATCH_ROWS) throw invalid(`${rows} rows exceed a micro-batch of ${MAX_BATCH_ROWS}`);
  switch (kind) {
    case 'activation': {
      if (dtype !== 'f16' && dtype !== 'f32') throw invalid(`activations are f16 or f32, not ${dtype}`);
      if (rows === 0) throw invalid('an activation frame has no entries');
      if (payload.length === 0 || payload.length % (rows * DTYPE_BYTES[dtype]) !== 0) {
        throw invalid(`a payload of ${payload.length} B is not ${rows} rows of ${dtype}`);
      }
      return;
    }
    case 'token': {
      if (dtype !== 'u32') throw invalid(`tokens are u32, not ${dtype}`);
      if (rows === 0) throw invalid('a token frame has no entries');
      if (rows !== entries.length) throw invalid('an entry of a token frame has a count other than 1');
      if (payload.length !== 4 * rows)
        throw invalid(`${rows} tokens are ${4 * rows} B, not ${payload.length} B`);
      return;
    }
    case 'ack': {
      if (rows === 0) throw invalid('an ack frame has no entries');
      checkBare(frame);
      return;
    }
    case 'ping':
    case 'pong': {
      if (rows !== 0) throw invalid(`a ${kind} frame has entries`);
      checkBare(frame);
      return;
    }
    default:
      throw invalid(`kind ${String(kind satisfies never)} is unknown`);
  }
}

function checkBare({ kind, dtype, payload }: Frame): void {
  if (dtype !== 'none' || payload.length !== 0) throw invalid(`a ${kind} frame carries no payload`);
}

function checkFrameVersion(version: number): void {
  if (version === FRAME_VERSION) return;
  const remedy =
    version > FRAME_VERSION
      ? 'reload this page to update it'
      : 'the other peer must reload its page to update';
  throw new ShoalError(
    'PROTOCOL_VERSION',
    `a peer sent frames of version ${version}, this side reads ${FRAME_VERSION}; ${remedy}`,
  );
}

function checkFrameBytes(total: number): void {
  if (total > MAX_FRAME_BYTES) {
    throw new ShoalError(
      'FRAME_TOO_LARGE',
      `a frame of ${total} B exceeds ${MAX_FRAME_BYTES} B; send fewer rows in a micro-batch`,
    );
  }
}

function checkEntryCount(count: number): void {
  if (count > MAX_FRAME_ENTRIES) throw invalid(`${count} entries exceed ${MAX_FRAME_ENTRIES}`);
}

function checkU32(name: string, value: number): void {
  if (!Number.isInteger(value) || value < 0 || value > MAX_U32)
    throw invalid(`${name} ${value} is not a u32`);
}

function invalid(what: string): ShoalError {
  return new ShoalError('FRAME_INVALID', `frame refused: ${what}`);
}

function byCode<K extends string>(codes: Record<K, number>): ReadonlyMap<number, K> {
  return new Map((Object.keys(codes) as K[]).map((name) => [codes[name], name]));
}
