/** How many hold each layer. */
import type { LayerRange } from '../mesh-view.ts';

export function holdersOf(layers: number, ranges: Iterable<LayerRange>): number[] {
  const holders = new Array<number>(layers).fill(0);
  for (const { start, end } of ranges) for (let layer = start; layer < end; layer++) holders[layer]!++;
  return holders;
}

/** Layers that nobody holds. */
export function uncovered(layers: number, ranges: Iterable<LayerRange>): number {
  return holdersOf(layers, ranges).filter((held) => held === 0).length;
}
