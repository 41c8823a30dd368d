import { KV_PAGE_POSITIONS } from '../../../config/limits.ts';
import type { LoadPhase } from '../../../mesh/protocol/control.ts';
import type { Shard } from '../../../model/shard.ts';
import type { Peer } from '../peers/peer.ts';

export interface LoadReport {
  readonly phase: LoadPhase;
  readonly bytesDone: number;
  readonly bytesTotal: number;
}

/** A shard on a worker: one that loads, or one that is held. It outlives every route over it. */
export class Holding {
  readonly peer: Peer;
  /** The peer's number for it. */
  readonly shard: number;
  readonly layers: Shard;
  /** Of one token's matrices, as predicted. */
  readonly seconds: number;
  readonly #predictedBytes: number;
  #gpuBytes: number | null = null;
  /** Positions of all its sequences together; null: not told. */
  kvPositions: number | null = null;
  load: LoadReport = { phase: 'download', bytesDone: 0, bytesTotal: 0 };
  /** Sequences whose route leads over it. */
  sequences = 0;
  /** Positions that they may come to hold. */
  promisedPositions = 0;
  /** When it refused, for want of room, what it has room for by its own word; null: it has not. */
  refusedAtMs: number | null = null;
  /** Times that it did, each after the time that it has to free what was closed, since a token came. */
  refusals = 0;
  /** No part of what is wanted any more: goes when nobody uses it. */
  isRetiring = false;
  /** A token has come the whole way round a route over it. */
  hasServed = false;

  constructor(
    peer: Peer,
    shard: number,
    layers: Shard,
    cost: { readonly seconds: number; readonly bytes: number },
  ) {
    this.peer = peer;
    this.shard = shard;
    this.layers = layers;
    this.seconds = cost.seconds;
    this.#predictedBytes = cost.bytes;
  }

  /** Its weights are on the GPU. */
  get isHeld(): boolean {
    return this.#gpuBytes !== null;
  }

  /** Of the worker's memory: what it reported, before that what was predicted. */
  get bytes(): number {
    return this.#gpuBytes ?? this.#predictedBytes;
  }

  held(gpuBytes: number, kvPositions: number | null): void {
    this.#gpuBytes = gpuBytes;
    this.kvPositions = kvPositions;
  }

  /** Whether one more sequence of so many positions has room, as far as is known. */
  hasRoomFor(positions: number): boolean {
    return this.kvPositions === null || this.promisedPositions + wholePages(positions) <= this.kvPositions;
  }

  /** What is promised has room by its own word, as far as it has told. */
  get keepsPromises(): boolean {
    return this.kvPositions !== null && this.promisedPositions <= this.kvPositions;
  }

  promise(positions: number): void {
    this.promisedPositions += wholePages(positions);
  }

  takeBack(positions: number): void {
    this.promisedPositions -= wholePages(positions);
  }

  /** Whether a stage of these layers can run on it. */
  covers({ start, end }: Pick<Shard, 'start' | 'end'>): boolean {
    return this.layers.start <= start && this.layers.end >= end;
  }

  isSameAs(peer: Peer, { start, end }: Pick<Shard, 'start' | 'end'>): boolean {
    return this.peer === peer && this.layers.start === start && this.layers.end === end;
  }
}

/** What the KV cache takes for them. */
function wholePages(positions: number): number {
  return Math.ceil(positions / KV_PAGE_POSITIONS) * KV_PAGE_POSITIONS;
}
