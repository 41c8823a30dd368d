/** Levenshtein distance in UTF-16 units, O(a·b) time; callers bound the lengths. */
function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitute = previous[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      row.push(Math.min(substitute, previous[j]! + 1, row[j - 1]! + 1));
    }
    previous = row;
  }
  return previous[b.length]!;
}

/** Longer names are typed by programs, not by people: no suggestion is worth their cost. */
const MAX_COMPARED_CHARS = 64;

/** Names that are looked through at most; they may be others', thousands of them, and each costs microseconds. */
const MAX_COMPARED = 1_000;

function* comparable(candidates: Iterable<string>): Generator<string> {
  let left = MAX_COMPARED;
  for (const candidate of candidates) {
    if (left-- === 0) return;
    if (candidate.length <= MAX_COMPARED_CHARS) yield candidate;
  }
}

const plain = (name: string) => name.toLowerCase().replaceAll(/[-_\s]/g, '');

/**
 * The candidate a person most likely meant, or undefined when none is close (more than a third of the letters differ).
 * Case, dashes and underscores do not count.
 */
export function nearest(name: string, candidates: Iterable<string>): string | undefined {
  if (name.length > MAX_COMPARED_CHARS) return undefined;
  let best: string | undefined;
  let bestDistance = Math.max(1, Math.floor(name.length / 3)) + 1;
  for (const candidate of comparable(candidates)) {
    const distance = editDistance(plain(name), plain(candidate));
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

/** Suggestions for a name of a few parts; more would hide the one that was meant. */
const FEW = 3;

/** Up to three candidates, nearest first: those that `nearest` would take, then those that share the name's first part (`llama-3-70b` and `llama-3.1-8b`). */
export function nearestFew(name: string, candidates: Iterable<string>): string[] {
  if (name.length > MAX_COMPARED_CHARS) return [];
  const family = familyOf(name);
  return [...comparable(candidates)]
    .map((candidate) => ({ candidate, distance: editDistance(plain(name), plain(candidate)) }))
    .filter(
      ({ candidate, distance }) =>
        distance <= Math.max(1, Math.floor(name.length / 3)) ||
        (family.length >= 3 && familyOf(candidate).startsWith(family)),
    )
    .sort((a, b) => a.distance - b.distance)
    .slice(0, FEW)
    .map(({ candidate }) => candidate);
}

/** The letters that a name begins with. */
const familyOf = (name: string) => /^[a-z]*/.exec(name.toLowerCase())![0];

/** `"; did you mean top_p?"`, or an empty string when nothing is close. */
export function didYouMean(name: string, candidates: Iterable<string>): string {
  const guess = nearest(name, candidates);
  return guess === undefined ? '' : `; did you mean ${guess}?`;
}
