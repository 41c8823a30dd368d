/**
 * Binary frames between stages. All numbers little-endian. docs/PROTOCOL.md has the table.
 *
 * header (24 B): magic u32 'SHL1' | version u8 | kind u8 | dtype u8 | reserved u8 (0) | reserved u32 (0) | microBatch u32
 *                | entryCount u16 | reserved u16 (0) | payloadBytes u32
 * entry  (16 B): sequence u32 | position u32 | count u16 | flags u16 | epoch u32
 * payload:       activation: rows × hidden in `dtype`, rows of the entries one after another
 *                token: one u32 id an entry, the token that stands at `position` (count is 1)
 *                ack: none; entries name the prefill chunks that were computed
 *                ping, pong: none; no entries; microBatch is the ping's number
 */
export type FrameKind = 'activation' | 'token' | 'ack' | 'ping' | 'pong';
export type FrameDtype = 'none' | 'f16' | 'f32' | 'u32';

export interface FrameEntry {
  readonly sequence: number;
  readonly position: number;
  /** Of the sequence: rises with every route that it is given, so that a frame of an older route is refused. */
  readonly epoch: number;
  /** Rows of this entry, ≥ 1. */
  readonly count: number;
  /** The last row's successor is to be sampled by the stage with the LM head. Entries without it are acknowledged. */
  readonly sample: boolean;
  /** Forget positions ≥ `position` before computing. Without it a position other than the length held is refused. */
  readonly truncate: boolean;
}

export interface Frame {
  readonly kind: FrameKind;
  readonly dtype: FrameDtype;
  readonly microBatch: number;
  readonly entries: readonly FrameEntry[];
  readonly payload: Uint8Array;
}
