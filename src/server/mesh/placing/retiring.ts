/** Shards that nothing new begins on: which these are once another placement serves, and their end. */
import type { Holding } from '../holdings/holding.ts';
import type { Holdings } from '../holdings/holdings.ts';
import type { Plan } from './planner.ts';

/** Copies of what is wanted stay, and what others should hold. */
export function retireOthers(holdings: Holdings, wanted: readonly Holding[], plan: Plan | null): void {
  for (const holding of holdings.all()) {
    const range = plan?.ranges.get(holding.peer.id);
    const isPlanned = range !== undefined && holding.isSameAs(holding.peer, range);
    holding.isRetiring = !isPlanned && !wanted.some(({ layers }) => holding.isSameAs(holding.peer, layers));
  }
}

/** Those that nobody uses go. */
export function dropRetired(holdings: Holdings): void {
  for (const holding of holdings.all()) {
    if (holding.isRetiring && holding.sequences === 0) holdings.drop(holding);
  }
}
