/** A route that stays within one class of adapters, where that costs little: an answer begins, or goes on, with bits that others can give. */
import {
  BEGIN_FACTOR,
  type ClassedRange,
  coveringClasses,
  crossedLayers,
  GO_ON_FACTOR,
  isOfOneClass,
  withinClass,
} from '../../../schedule/classes.ts';
import type { LayerRange } from '../../../schedule/mesh-view.ts';
import type { Holding } from '../holdings/holding.ts';
import type { Peer } from '../peers/peer.ts';
import { classedOf, type MeshRoute } from './mesh-route.ts';
import type { FoundRoute, FoundStage } from './route-search.ts';

export interface ClassChoice {
  readonly layers: number;
  /** Those that may be on the route. */
  readonly holdings: readonly Holding[];
  /** The quickest over some of them. @param may whether a stage is one that may be taken */
  readonly search: (among: readonly Holding[], may: (stage: FoundStage) => boolean) => FoundRoute | null;
  /** Whether it is to be used only where there is nothing else. */
  readonly isDoubtful: (holding: Holding) => boolean;
}

/** @param before the route that the answer had, if any */
export function chosenByClass(choice: ClassChoice, before: MeshRoute | undefined): FoundRoute | null {
  const { holdings, search, layers } = choice;
  const quickest = search(holdings, () => true);
  if (quickest === null) return null;
  const stages = quickest.stages.map(classed);
  const timed = (route: FoundRoute) => ({
    ...route,
    doubtful: route.stages.filter(({ holding }) => choice.isDoubtful(holding)).length,
  });
  if (before !== undefined) {
    const old = classedOf(before);
    if (crossedLayers(old, stages) === 0) return quickest;
    const like = holdings.filter(({ peer }) =>
      old.some((stop) => stop.worker === peer.id || (stop.class !== null && stop.class === classOf(peer))),
    );
    const same = search(like, (stage) => crossedLayers(old, [classed(stage)]) === 0);
    return same === null ? quickest : withinClass(timed(quickest), [timed(same)], GO_ON_FACTOR);
  }
  if (isOfOneClass(stages)) return quickest;
  const held = holdings.map((holding) => classed({ holding, ...rangeOf(holding) }));
  const within = coveringClasses(held, layers).flatMap((name) => {
    const those = holdings.filter(({ peer }) => classOf(peer) === name);
    const found = search(those, () => true);
    return found === null ? [] : timed(found);
  });
  return withinClass(timed(quickest), within, BEGIN_FACTOR);
}

export function classOf(peer: Peer): string | null {
  return peer.capability?.class ?? null;
}

function rangeOf({ layers: { start, end } }: Holding): LayerRange {
  return { start, end };
}

function classed({ holding: { peer }, start, end }: FoundStage): ClassedRange {
  return { worker: peer.id, class: classOf(peer), start, end };
}
