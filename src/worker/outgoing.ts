import { ShoalError } from '../config/errors.ts';
import { MAX_UNACKED_CHUNKS, PREFILL_CHUNK_ROWS } from '../config/limits.ts';
import type { KeptRows } from './kept-rows.ts';
import type { Place } from './stage-place.ts';

/** Rows [position, position + count) of a sequence that go to the next stage together. */
export interface OutgoingChunk {
  readonly position: number;
  readonly count: number;
  readonly sample: boolean;
  readonly truncate: boolean;
}

/**
 * How far the rows of a sequence have been sent to the next stage of its route. Rows that were just computed and rows that are
 * sent again to a replacement go the same way: in chunks, at most MAX_UNACKED_CHUNKS of them unacknowledged.
 */
export class Outgoing {
  readonly #place: Place;
  readonly #kept: KeptRows;
  /** Rows below it were there when the route began. */
  readonly #heldTo: number;
  /** Position of the next row to send; null until the server says where the next stage begins. */
  #cursor: number | null;
  /** The next stage may hold more than it is to keep: the first chunk tells it to forget the rest. */
  #truncateNext: boolean;
  #hasSent = false;
  /** Frames were lost with the link; only another route goes on. */
  #halted = false;
  /** Positions of chunks sent and not yet acknowledged, oldest first. */
  #unacked: number[] = [];

  /** @param heldTo positions of the sequence that the stage holds already */
  constructor(place: Place, kept: KeptRows, heldTo: number) {
    this.#place = place;
    this.#kept = kept;
    this.#heldTo = heldTo;
    this.#cursor = place.awaitsResume ? null : heldTo;
    this.#truncateNext = place.awaitsResume;
  }

  /** Rows from here on have not been sent; null: it is not known what the next stage has. */
  get sentTo(): number | null {
    return this.#cursor;
  }

  get hasSent(): boolean {
    return this.#hasSent;
  }

  get isHalted(): boolean {
    return this.#halted;
  }

  halt(): void {
    this.#halted = true;
  }

  /** The next stage begins at `position`. */
  resumeAt(position: number): void {
    this.#cursor ??= position;
  }

  /** Rows at positions ≥ `position` are about to be computed again; those of them that were sent are sent again. */
  rewind(position: number): void {
    if (!this.#hasSent || this.#cursor === null || this.#cursor <= position) return;
    this.#cursor = position;
    this.#truncateNext = true;
    this.#unacked = this.#unacked.filter((unacked) => unacked < position);
  }

  /** Whether one more chunk may be computed: what was not taken by the next stage must not pile up. */
  get hasRoom(): boolean {
    const waiting = Math.max(0, this.#kept.end - (this.#cursor ?? this.#heldTo));
    return this.#unacked.length + Math.ceil(waiting / PREFILL_CHUNK_ROWS) < MAX_UNACKED_CHUNKS;
  }

  /**
   * The next chunk that may go, counted as sent; undefined: none now.
   * @throws POSITION_GAP when rows that the next stage needs are not kept any more
   */
  take(): OutgoingChunk | undefined {
    const position = this.#cursor;
    const { known } = this.#place;
    if (position === null || this.#halted || position >= this.#kept.end) return undefined;
    if (position < this.#kept.from) {
      throw new ShoalError(
        'POSITION_GAP',
        `the next stage begins at position ${position}, rows are kept from ${this.#kept.from} on; compute from there`,
      );
    }
    const end =
      position < known ? Math.min(known, this.#kept.end, position + PREFILL_CHUNK_ROWS) : position + 1;
    const sample = end >= known;
    if (!sample && this.#unacked.length >= MAX_UNACKED_CHUNKS) return undefined;
    const truncate = this.#truncateNext;
    this.#truncateNext = false;
    this.#hasSent = true;
    this.#cursor = end;
    if (!sample) this.#unacked.push(position);
    return { position, count: end - position, sample, truncate };
  }

  /** @returns false when that chunk was not the oldest one waiting */
  acknowledged(position: number): boolean {
    if (this.#unacked[0] !== position) return false;
    this.#unacked.shift();
    return true;
  }
}
