import type { HopTimings } from './control.ts';

/** What one decode step takes a stage, from its row's arrival to its departure, in ms. */
export function stageMs({ unpackMs, uploadMs, computeMs, readbackMs, packMs }: HopTimings): number {
  return unpackMs + uploadMs + computeMs + readbackMs + packMs;
}
