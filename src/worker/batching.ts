import { MAX_BATCH_ROWS, MAX_FRAME_ENTRIES } from '../config/limits.ts';
import type { WireDtype } from '../gpu/stage-engine.ts';
import type { LayerRange } from './stage-place.ts';

/** What merging must know of a piece of work that waits for the engine. */
export interface Candidate {
  readonly sequence: number;
  /** Rows, ≥ 1. */
  readonly count: number;
  readonly wire: WireDtype;
  readonly layers: LayerRange;
}

/**
 * Picks what the next micro-batch computes: the first ready candidate, then whatever later ones fit beside it (same
 * wire and layers, at most `maxRows` rows). A sequence gives at most one entry a batch, its earliest: its rows stay in order, and
 * what is not ready holds back only its own sequence. Merging is exact, because a row's bits do not depend on its company.
 *
 * @returns indices into `queue`, rising; empty when nothing is ready
 */
export function pickBatch<C extends Candidate>(
  queue: readonly C[],
  isReady: (candidate: C) => boolean,
  maxRows: number = MAX_BATCH_ROWS,
  maxEntries: number = MAX_FRAME_ENTRIES,
): number[] {
  const picked: number[] = [];
  const seen = new Set<number>();
  let rows = 0;
  let first: C | undefined;
  for (const [index, candidate] of queue.entries()) {
    if (seen.has(candidate.sequence)) continue;
    seen.add(candidate.sequence);
    if (rows + candidate.count > maxRows) continue;
    if (first !== undefined && !areAlike(candidate, first)) continue;
    if (!isReady(candidate)) continue;
    picked.push(index);
    first ??= candidate;
    rows += candidate.count;
    if (picked.length === maxEntries || rows === maxRows) break;
  }
  return picked;
}

/** Whether one step of the engine may compute both. */
function areAlike(a: Candidate, b: Candidate): boolean {
  return a.wire === b.wire && a.layers[0] === b.layers[0] && a.layers[1] === b.layers[1];
}
