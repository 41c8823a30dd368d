import { MAX_BATCH_ROWS, MAX_FRAME_ENTRIES } from '../config/limits.ts';
import type { WireDtype } from '../gpu/stage-engine.ts';
import type { LayerRange } from './stage-place.ts';

/** What merging must know of a piece of work that waits for the engine. */
export interface Candidate {
  readonly sequence: number;
  /** Rows, ≥ 1. */
  readonly count: number;
  /** Of its last row a token is picked. */
  readonly sample: boolean;
  readonly wire: WireDtype;
  readonly layers: LayerRange;
}

/** Which rows go before others: those of answers that are read, or those of prompts. */
export type Turn = 'decode' | 'prefill';

/**
 * Picks what the next micro-batch computes: of the kind whose turn it is the first ready candidate, then whatever fits beside it (same
 * wire and layers, at most MAX_BATCH_ROWS rows), of that kind and then of the other. A chunk of a prompt fills a micro-batch: were all
 * taken as they come, every token would wait for the chunks of all prompts; with turns it waits for one, and a prompt for one step
 * of tokens a chunk. A sequence gives at most one entry a batch, its earliest: its rows stay in order, and what is not ready holds
 * back only its own sequence. Merging is exact, because a row's bits do not depend on its company.
 *
 * @returns indices into `queue`, in the order of its turns; empty when nothing is ready
 */
export function pickBatch<C extends Candidate>(
  queue: readonly C[],
  isReady: (candidate: C) => boolean,
  turn: Turn = 'prefill',
): number[] {
  const picked: number[] = [];
  let rows = 0;
  let first: C | undefined;
  for (const index of inTurn(queue, turn)) {
    const candidate = queue[index]!;
    if (rows + candidate.count > MAX_BATCH_ROWS) continue;
    if (first !== undefined && !areAlike(candidate, first)) continue;
    if (!isReady(candidate)) continue;
    picked.push(index);
    first ??= candidate;
    rows += candidate.count;
    if (picked.length === MAX_FRAME_ENTRIES || rows === MAX_BATCH_ROWS) break;
  }
  return picked;
}

/** The earliest of each sequence: first those whose turn it is, then the rest, each in the order of their coming. */
function inTurn(queue: readonly Candidate[], turn: Turn): number[] {
  const seen = new Set<number>();
  const [before, after]: [number[], number[]] = [[], []];
  for (const [index, { sequence, count, sample }] of queue.entries()) {
    if (seen.has(sequence)) continue;
    seen.add(sequence);
    const isDecode = sample && count === 1;
    (isDecode === (turn === 'decode') ? before : after).push(index);
  }
  return before.concat(after);
}

/** Whether one step of the engine may compute both. */
function areAlike(a: Candidate, b: Candidate): boolean {
  return a.wire === b.wire && a.layers[0] === b.layers[0] && a.layers[1] === b.layers[1];
}
