/**
 * Where the stages of a new route take up a sequence that some of them hold in part already, so that nobody computes more than
 * is missing: what a stage has kept of its output is sent again, not computed again.
 */

/** What a stage has of a sequence. */
export interface StageHolds {
  /** Positions [0, position) are in its KV cache. */
  readonly position: number;
  /** It still has its output rows [keptFrom, position). */
  readonly keptFrom: number;
}

export interface ResumePoint {
  /** The stage holds [0, position) from here on, and computes from there. */
  readonly position: number;
  /** It sends the next stage the rows from here on; of the last stage its own position. */
  readonly next: number;
}

/**
 * From the last stage to the first: each starts where it stands, unless what it has kept does not reach back to where the
 * next one starts. Then it computes those rows again, from what the stage before it sends, and stage 0 from the ids.
 *
 * @param stages (stages) in the order of the route
 * @returns (stages)
 */
export function resumePoints(stages: readonly StageHolds[]): ResumePoint[] {
  const points: ResumePoint[] = [];
  let next: number | null = null;
  for (const { position, keptFrom } of stages.toReversed()) {
    const from: number = next === null || position <= next || keptFrom <= next ? position : next;
    points.unshift({ position: from, next: next ?? from });
    next = from;
  }
  return points;
}

/** Positions that each stage computes until the first token comes. @param known ids that are known @returns (stages) */
export function positionsToCompute(points: readonly ResumePoint[], known: number): number[] {
  return points.map(({ position }) => known - position);
}
