/** Why there is no route, in one clause for people: which layers or which link are missing, and who could bring them. Pure. */

/** Layers [start, end) on a worker that may be used. */
export interface HeldRange {
  readonly worker: string;
  readonly start: number;
  readonly end: number;
  /** Else it loads them. */
  readonly isHeld: boolean;
}

export interface RouteLackView {
  /** Of the model. */
  readonly layers: number;
  readonly ranges: readonly HeldRange[];
  /** Workers that hold nothing and may be given layers. */
  readonly idle: readonly string[];
  /** Links that the best chain of layers needs and that are not up. */
  readonly missingLinks: readonly (readonly [string, string])[];
  /** All is there, and a first token is on its way round these. */
  readonly proving: readonly string[] | null;
}

export function routeLack({ layers, ranges, idle, missingLinks, proving }: RouteLackView): string {
  if (proving !== null) return `a first token has to come round ${proving.join(', ')}`;
  const held = ranges.filter(({ isHeld }) => isHeld);
  const [start, end] = firstGap(layers, held);
  if (start < end) {
    const loading = ranges.filter((range) => !range.isHeld && range.start < end && range.end > start);
    const what =
      end - start === 1
        ? `layer ${start} is held by nobody`
        : `layers ${start}–${end - 1} are held by nobody`;
    if (loading.length > 0) return `${what} yet, ${names(loading.map(({ worker }) => worker))} load them`;
    if (idle.length > 0) return `${what}, ${names(idle)} could take them`;
    return `${what}; somebody else has to join for them`;
  }
  if (missingLinks.length > 0) {
    const links = missingLinks.map(([a, b]) => `between ${a} and ${b}`).join(' and ');
    return `no link ${links}; either of them may try another network, or others may take their layers`;
  }
  return 'the ranges that workers hold do not follow each other, or lead over one worker twice';
}

/** The first layers that no range has; empty: all are held. */
function firstGap(layers: number, ranges: readonly HeldRange[]): readonly [number, number] {
  const isHeld = (layer: number) => ranges.some(({ start, end }) => start <= layer && layer < end);
  let start = 0;
  while (start < layers && isHeld(start)) start++;
  let end = start;
  while (end < layers && !isHeld(end)) end++;
  return [start, end];
}

/** A few of them. */
function names(of: readonly string[]): string {
  const unique = [...new Set(of)];
  const shown = unique.slice(0, 3).join(', ');
  return unique.length > 3 ? `${shown} and ${unique.length - 3} others` : shown;
}
