/** What becomes of a delimiter when a text is split at it (huggingface/tokenizers, src/tokenizer/normalizer.rs, `split`). */
import type { Span } from './pattern.ts';

export const SPLIT_BEHAVIORS = [
  'Removed',
  'Isolated',
  'MergedWithPrevious',
  'MergedWithNext',
  'Contiguous',
] as const;
export type SplitBehavior = (typeof SPLIT_BEHAVIORS)[number];

/** @returns [start, end) of the pieces, in order; empty ones among them */
export function splitSpans(found: readonly Span[], behavior: SplitBehavior): [number, number][] {
  switch (behavior) {
    case 'Removed':
      return found.filter(({ isMatch }) => !isMatch).map(({ start, end }) => [start, end]);
    case 'Isolated':
      return found.map(({ start, end }) => [start, end]);
    case 'Contiguous':
      return joined(found, (span, previous) => span.isMatch === previous);
    case 'MergedWithPrevious':
      return joined(found, (span, previous) => span.isMatch && !previous);
    case 'MergedWithNext':
      return joined(found.toReversed(), (span, previous) => span.isMatch && !previous).toReversed();
    default:
      return behavior satisfies never;
  }
}

/** Grows the last piece by each span that `joins` it; spans come in one direction, forwards or backwards. */
function joined(
  found: readonly Span[],
  joins: (span: Span, previousIsMatch: boolean) => boolean,
): [number, number][] {
  const pieces: [number, number][] = [];
  let previous = false;
  for (const span of found) {
    const last = pieces.at(-1);
    if (last !== undefined && joins(span, previous)) {
      last[0] = Math.min(last[0], span.start);
      last[1] = Math.max(last[1], span.end);
    } else {
      pieces.push([span.start, span.end]);
    }
    previous = span.isMatch;
  }
  return pieces;
}
