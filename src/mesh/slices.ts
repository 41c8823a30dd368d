import { ShoalError } from '../config/errors.ts';
import { MAX_FRAME_BYTES, MAX_SLICE_BYTES } from '../config/limits.ts';

/**
 * A frame crosses a data channel in slices, each one send. All numbers little-endian.
 *
 * slice: message u32 (rises by one a frame, wraps) | totalBytes u32 (of the frame) | offset u32 | bytes
 *
 * Slices of one frame follow one another in order, as the channel is ordered and reliable.
 */
export const SLICE_HEADER_BYTES = 12;
export const MAX_SLICE_PAYLOAD_BYTES = MAX_SLICE_BYTES - SLICE_HEADER_BYTES;

/** The slice of `frame` that starts at `offset`, header included. */
export function cutSlice(frame: Uint8Array, message: number, offset: number): ArrayBuffer {
  const end = Math.min(frame.length, offset + MAX_SLICE_PAYLOAD_BYTES);
  const slice = new Uint8Array(SLICE_HEADER_BYTES + end - offset);
  const view = new DataView(slice.buffer);
  view.setUint32(0, message, true);
  view.setUint32(4, frame.length, true);
  view.setUint32(8, offset, true);
  slice.set(frame.subarray(offset, end), SLICE_HEADER_BYTES);
  return slice.buffer;
}

/** Puts the slices of one channel together again. One frame at a time, bounded before anything is allocated. */
export class SliceReassembler {
  private message = 0;
  private frame: Uint8Array<ArrayBuffer> | null = null;
  private filled = 0;

  /**
   * @returns the whole frame (the caller's to keep) with its last slice, else null
   * @throws FRAME_TOO_LARGE, FRAME_INVALID: the channel is then out of step for good and must be closed
   */
  push(slice: ArrayBuffer): Uint8Array<ArrayBuffer> | null {
    if (slice.byteLength > MAX_SLICE_BYTES) {
      throw refused(`it has ${slice.byteLength} B, at most ${MAX_SLICE_BYTES} are allowed`);
    }
    if (slice.byteLength <= SLICE_HEADER_BYTES) throw refused(`it has ${slice.byteLength} B and no content`);
    const view = new DataView(slice);
    const message = view.getUint32(0, true);
    const totalBytes = view.getUint32(4, true);
    const offset = view.getUint32(8, true);
    const content = new Uint8Array(slice, SLICE_HEADER_BYTES);
    if (message !== this.message) throw refused(`it belongs to frame ${message}, expected ${this.message}`);
    if (totalBytes > MAX_FRAME_BYTES) {
      throw new ShoalError(
        'FRAME_TOO_LARGE',
        `a peer announced a frame of ${totalBytes} B, at most ${MAX_FRAME_BYTES} B are allowed`,
      );
    }
    if (this.frame !== null && totalBytes !== this.frame.length) {
      throw refused(`the frame's size changed from ${this.frame.length} B to ${totalBytes} B`);
    }
    if (offset !== this.filled) throw refused(`it starts at ${offset}, expected ${this.filled}`);
    if (content.length > totalBytes - offset) {
      throw refused(`it ends at ${offset + content.length}, beyond the frame's ${totalBytes} B`);
    }
    this.frame ??= new Uint8Array(totalBytes);
    this.frame.set(content, offset);
    this.filled += content.length;
    if (this.filled < totalBytes) return null;
    const whole = this.frame;
    this.frame = null;
    this.filled = 0;
    this.message = nextMessage(this.message);
    return whole;
  }
}

/** Message numbers are u32 and wrap. */
export function nextMessage(message: number): number {
  return (message + 1) >>> 0;
}

function refused(what: string): ShoalError {
  return new ShoalError('FRAME_INVALID', `slice refused: ${what}`);
}
