/** Who is to blame for a route that gives no token, or gives them too slowly, when nobody says why. */

export interface StallCandidate {
  readonly peer: string;
  readonly isNewcomer: boolean;
  /** Nothing was heard of it lately. */
  readonly isSilent: boolean;
  /** Routes with it that stalled since it last served, this one included. */
  readonly stalls: number;
  /** Tokens, of which those of long ago count less. */
  readonly served: number;
}

/**
 * Those that are silent; else one of those that stalled most often since they served: a newcomer before others, then who has served
 * least, of equals the last, whose tokens they are. Naming one at a time finds the one that it is: the rest serves without it, or
 * stalls again and has stalled more often than it.
 *
 * @param route in its order, not empty
 */
export function stallSuspects(route: readonly StallCandidate[]): readonly string[] {
  const silent = route.filter(({ isSilent }) => isSilent);
  if (silent.length > 0) return silent.map(({ peer }) => peer);
  const suspect = route.reduce((worst, candidate) => (compare(candidate, worst) >= 0 ? candidate : worst));
  return [suspect.peer];
}

/** Above 0: `a` is the likelier. */
function compare(a: StallCandidate, b: StallCandidate): number {
  return a.stalls - b.stalls || Number(a.isNewcomer) - Number(b.isNewcomer) || b.served - a.served;
}
