/** What a shard, and so its worker, is for: what serves, what loads to serve next, or neither. */
import type { SignPace } from '../../schedule/health/signs-of-life.ts';
import type { Holding } from './holdings/holding.ts';
import type { Peer } from './peers/peer.ts';
import type { Target } from './placing/target.ts';
import type { LiveRoute } from './routes/routes.ts';

/** How often a worker that holds `holdings` speaks. */
export function paceOf(holdings: readonly Holding[]): SignPace {
  if (holdings.some(({ sequences }) => sequences > 0)) return 'running';
  return holdings.some(({ isHeld }) => isHeld) ? 'holding' : 'idle';
}

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
