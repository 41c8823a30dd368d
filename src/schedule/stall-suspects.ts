/** Who may be to blame for a route that gives no token, or gives them too slowly, when nobody says why. */

export interface StallCandidate {
  readonly peer: string;
  readonly isNewcomer: boolean;
  /** Nothing was heard of it lately. */
  readonly isSilent: boolean;
  /** Routes with it that stalled since it last served, this one included. */
  readonly stalls: number;
}

/**
 * The fewest that can be named: those that are silent; else those that stalled most often since they served, of which
 * newcomers are named before others. Several where nothing tells them apart.
 *
 * @returns at least one of `route`, which is not empty
 */
export function stallSuspects(route: readonly StallCandidate[]): readonly string[] {
  const silent = route.filter(({ isSilent }) => isSilent);
  if (silent.length > 0) return silent.map(({ peer }) => peer);
  const most = Math.max(...route.map(({ stalls }) => stalls));
  const often = route.filter(({ stalls }) => stalls === most);
  const newcomers = often.filter(({ isNewcomer }) => isNewcomer);
  return (newcomers.length > 0 ? newcomers : often).map(({ peer }) => peer);
}
