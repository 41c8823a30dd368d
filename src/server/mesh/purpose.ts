/** What a shard, and so its worker, is for: what serves, what loads to serve next, or neither. */
import type { Holding } from './holding.ts';
import type { Peer } from './peer.ts';
import type { LiveRoute } from './routes.ts';
import type { Target } from './target.ts';

/** Of a worker that holds `holdings`. */
export function stateOf(
  peer: Peer,
  holdings: readonly Holding[],
  live: LiveRoute | null,
  loading: Target | null,
): 'serving' | 'loading' | 'joined' {
  const serves = holdings.some(
    (holding) => holding.isHeld && (holding.sequences > 0 || !(loading?.holdings.includes(holding) ?? false)),
  );
  const isLive = live?.stops.some((stop) => stop.peer === peer) === true;
  if (serves || isLive) return 'serving';
  return holdings.length > 0 ? 'loading' : 'joined';
}
