/**
 * Whose turn it is where many clients wait for few places: one after the other by client, not by request, so that whoever
 * asks for a hundred things at once waits behind nobody but himself.
 *
 * Start-time fair queueing with equal costs: everything that waits has a round, one more than the last that its client
 * waits for, and at least that of the turn taken last. Rounds are given once, so who has to give its place back keeps it.
 */

export interface Turn {
  /** A key or an address; '' where nobody is told apart. */
  readonly client: string;
  readonly round: number;
  /** Rises with everything that comes. */
  readonly ticket: number;
  /** In the middle of its answer: it goes before all that have not begun. */
  readonly isResumed: boolean;
}

/** @param taken the highest round that was taken so far; 0 at first */
export function roundFor(
  client: string,
  waiting: Iterable<Pick<Turn, 'client' | 'round'>>,
  taken: number,
): number {
  let last = taken;
  for (const turn of waiting) if (turn.client === client && turn.round > last) last = turn.round;
  return last + 1;
}

export function goesBefore(a: Turn, b: Turn): boolean {
  if (a.isResumed !== b.isResumed) return a.isResumed;
  if (a.isResumed || a.round === b.round) return a.ticket < b.ticket;
  return a.round < b.round;
}

/**
 * Who gives way to a newcomer where no more may wait: the newest of the client with the most places, if that has at least
 * two more than the newcomer's client. Null: the newcomer is refused. Nobody gives way in the middle of its answer.
 *
 * @param places how many each client has: what waits, and what else it holds
 */
export function givesWay<T extends Turn>(
  client: string,
  waiting: readonly T[],
  places: ReadonlyMap<string, number>,
): T | null {
  const of = (name: string) => places.get(name) ?? 0;
  const most = of(client) + 1;
  let chosen: T | null = null;
  for (const turn of waiting) {
    if (turn.isResumed || of(turn.client) <= most) continue;
    const isMore = chosen === null || of(turn.client) > of(chosen.client);
    const isNewer = chosen?.client === turn.client && turn.ticket > chosen.ticket;
    if (isMore || isNewer) chosen = turn;
  }
  return chosen;
}
