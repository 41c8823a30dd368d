/** Which workers people are told of by name: nobody reads a list of ten thousand, and every tab asks for it. */
import { MAX_STATUS_WORKERS } from '../../../config/limits.ts';
import type { Holding } from '../holdings/holding.ts';
import type { Holdings } from '../holdings/holdings.ts';
import type { Peer } from '../peers/peer.ts';

export interface Present {
  /** In the order of their coming. */
  readonly workers: readonly Peer[];
  /** Whoever else there is, these are told of. */
  readonly first: readonly Peer[];
}

/** In the order of their coming where all are told of; else those first, then who has a problem, then the others as they came. */
export function shownPeers({ workers, first }: Present): readonly Peer[] {
  if (workers.length <= MAX_STATUS_WORKERS) return workers;
  const shown = new Set(first);
  const most = shown.size + MAX_STATUS_WORKERS;
  for (const hasProblem of [true, false]) {
    for (const peer of workers) {
      if (shown.size >= most) break;
      if ((peer.problem !== null) === hasProblem) shown.add(peer);
    }
  }
  return [...shown];
}

/** What they hold; of those who are away too, where there are not more than are told of. */
export function shownHoldings(peers: readonly Peer[], holdings: Holdings): readonly Holding[] {
  const all = holdings.all();
  return all.length <= MAX_STATUS_WORKERS ? all : peers.flatMap((peer) => holdings.of(peer));
}
