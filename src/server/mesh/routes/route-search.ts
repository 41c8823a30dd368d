/** The quickest route over holdings: the pure search over what the server knows of them. */
import { amongHeld, type Candidate, quickestWay, type Stop } from '../../../schedule/quickest.ts';
import type { StepCost } from '../../../schedule/served-rates.ts';
import type { StageCosts } from '../../../schedule/stage-costs.ts';
import type { Holding } from '../holdings/holding.ts';
import type { Peer } from '../peers/peer.ts';

export interface SearchView {
  /** Those that may be on the route. */
  readonly holdings: readonly Holding[];
  readonly costs: StageCosts;
  readonly maxStages: number;
  step(peer: Peer): StepCost;
  /** Times as long as alone that a step takes there now. */
  load(holding: Holding): number;
  /** Seconds that a stage is worse than its time tells; infinite: it is none. */
  penalty(holding: Holding, start: number, end: number): number;
  /** Seconds from one to the other; null: there is no way. */
  hop(from: Peer, to: Peer): number | null;
}

export interface FoundStage {
  readonly holding: Holding;
  readonly start: number;
  readonly end: number;
}

export interface FoundRoute {
  readonly stages: readonly FoundStage[];
  /** Of a token, penalties left out. */
  readonly seconds: number;
}

interface HeldCandidate extends Candidate {
  readonly holding: Holding;
}

/** How widely is looked; wider where that finds none: at so many holdings of a range, candidates from a layer, and ways to it. */
const LOOKS = [
  { sameRange: 6, quick: 12, far: 4, ways: 8, bridges: false },
  { sameRange: 48, quick: 96, far: 16, ways: 48, bridges: true },
] as const;

/** Through all layers and back to the start, no worker twice. */
export function searchRoute(view: SearchView): FoundRoute | null {
  const candidates = view.holdings.map((holding): HeldCandidate => {
    const { stepSeconds, macsPerSecond } = view.step(holding.peer);
    const load = view.load(holding);
    const { start, end } = holding.layers;
    const { id: worker } = holding.peer;
    return {
      worker,
      start,
      end,
      secondsPerMac: load / macsPerSecond,
      stepSeconds: load * stepSeconds,
      holding,
    };
  });
  for (const look of LOOKS) {
    const way = quickestWay(view.costs, {
      ...amongHeld(quickestOfEach(candidates, look.sameRange), look),
      waysKept: look.ways,
      bridges: look.bridges,
      maxStages: view.maxStages,
      hop: (from, to) => view.hop(from.holding.peer, to.holding.peer),
      penalty: ({ holding }, start, end) => view.penalty(holding, start, end),
    });
    if (way.stops !== null) return found(view, way.stops);
  }
  return null;
}

function found(view: SearchView, stops: readonly Stop<HeldCandidate>[]): FoundRoute {
  let seconds = 0;
  for (const [index, { candidate, start, end }] of stops.entries()) {
    const next = stops[(index + 1) % stops.length]!.candidate;
    seconds += candidate.stepSeconds + view.costs.macs(start, end) * candidate.secondsPerMac;
    if (next !== candidate) seconds += view.hop(candidate.holding.peer, next.holding.peer) ?? 0;
  }
  const stages = stops.map(({ candidate: { holding }, start, end }) => ({ holding, start, end }));
  return { stages, seconds };
}

function quickestOfEach(candidates: readonly HeldCandidate[], most: number): HeldCandidate[] {
  const byRange = new Map<number, HeldCandidate[]>();
  for (const candidate of candidates) {
    const key = candidate.start * RANGE_KEY + candidate.end;
    const same = byRange.get(key);
    if (same === undefined) byRange.set(key, [candidate]);
    else same.push(candidate);
  }
  return [...byRange.values()].flatMap((same) => {
    if (same.length <= most) return same;
    return same.sort((a, b) => a.secondsPerMac - b.secondsPerMac).slice(0, most);
  });
}

/** Larger than any layer. */
const RANGE_KEY = 65_536;
