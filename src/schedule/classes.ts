/**
 * Adapters of one class give the same bits; those of others may round otherwise, and then a text goes another way. Pure.
 *
 * An answer has *crossed* classes where layers that have given tokens of it go on in another class, or in one that is not known. A
 * route over several classes that stays as it is crosses nothing: whoever asks again for the same route reads the same.
 */
import type { LayerRange } from './mesh-view.ts';

/** Layers [start, end) on one worker. */
export interface ClassedRange extends LayerRange {
  readonly worker: string;
  /** Null: not known, so that it is like no other. */
  readonly class: string | null;
}

/** A route that may be taken. */
export interface TimedRoute {
  /** Of a token, with what runs there. */
  readonly seconds: number;
  /** Stages that are to be used only where there is nothing else. */
  readonly doubtful: number;
}

/**
 * Times as long as the quickest that a token may take for the same bits. An answer that begins can still be the same for all who ask
 * for it by chance alone; one that goes on has shown its words.
 */
export const BEGIN_FACTOR = 1.25;
export const GO_ON_FACTOR = 2;
/** Classes that are tried for an answer that begins, those with most ranges: a search each. */
const MOST_CLASSES = 4;

/** Whether the other gives the same bits for sure. */
export function isSameClass(a: ClassedRange, b: ClassedRange): boolean {
  return a.worker === b.worker || (a.class !== null && a.class === b.class);
}

/** Layers of `now` that another class computed before. */
export function crossedLayers(before: readonly ClassedRange[], now: readonly ClassedRange[]): number {
  let layers = 0;
  for (const old of before) {
    for (const stage of now) {
      if (isSameClass(old, stage)) continue;
      layers += Math.max(0, Math.min(old.end, stage.end) - Math.max(old.start, stage.start));
    }
  }
  return layers;
}

/** Whether all of it gives the bits of one adapter. */
export function isOfOneClass(stages: readonly ClassedRange[]): boolean {
  return stages.every((stage) => isSameClass(stages[0]!, stage));
}

/** Known classes whose ranges reach over all layers together, those with most ranges first. */
export function coveringClasses(ranges: readonly ClassedRange[], layers: number): string[] {
  const byClass = new Map<string, ClassedRange[]>();
  for (const range of ranges) {
    if (range.class === null) continue;
    const those = byClass.get(range.class);
    if (those === undefined) byClass.set(range.class, [range]);
    else those.push(range);
  }
  return [...byClass]
    .filter(([, those]) => reachOf(those) >= layers)
    .sort(([, a], [, b]) => b.length - a.length)
    .slice(0, MOST_CLASSES)
    .map(([name]) => name);
}

/** The quickest of one class, where it is worth it; else the quickest of all. */
export function withinClass<R extends TimedRoute>(quickest: R, within: readonly R[], factor: number): R {
  let best: R | null = null;
  for (const route of within) {
    if (route.seconds > factor * quickest.seconds || route.doubtful > quickest.doubtful) continue;
    if (best === null || route.seconds < best.seconds) best = route;
  }
  return best ?? quickest;
}

function reachOf(ranges: readonly LayerRange[]): number {
  let reach = 0;
  for (const { start, end } of [...ranges].sort((a, b) => a.start - b.start)) {
    if (start > reach) break;
    reach = Math.max(reach, end);
  }
  return reach;
}
