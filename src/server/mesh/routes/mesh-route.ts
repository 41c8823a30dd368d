/** What generations ask of the mesh below them: routes, and to be told when one breaks. */
import type { ServingStage } from '../../../backend/fxn/generator.ts';
import type { ShoalError } from '../../../config/errors.ts';
import type { Route, StageInfo } from '../../../mesh/protocol/control.ts';
import type { Loss } from '../../../mesh/protocol/status.ts';
import type { ClassedRange } from '../../../schedule/classes.ts';
import type { Misbehaviour } from '../../../schedule/health/health-events.ts';
import type { Peer } from '../peers/peer.ts';

/** A stage of a route: layers [start, end), computed with one of the peer's shards. */
export interface RouteStop {
  readonly peer: Peer;
  readonly shard: number;
  readonly start: number;
  readonly end: number;
  /** Of its adapter when the route was chosen; absent or null: not known. */
  readonly class?: string | null;
}

/** Peers in order whose layers cover the model; every link of it was up when it was chosen, that from the last to the first too. */
export interface MeshRoute {
  readonly stops: readonly RouteStop[];
}

export interface RouteWish {
  /** The route that the sequence had: stages that are still good stay where they are, with the same layers. */
  readonly before?: MeshRoute;
  /** Positions that the sequence may come to hold on every stage. */
  readonly positions: number;
  /** Taken only where there is nobody else: the sequence got nothing from a route with them. */
  readonly avoid?: ReadonlySet<Peer>;
  /** Of them, the prompt's. */
  readonly prompt?: number;
}

/** Why the mesh has no route now, and whether to wait for one. */
export interface RouteOutlook {
  /** There is a route. */
  readonly ready: boolean;
  /** There may be one soon without anyone joining: shards load, or are about to be placed. */
  readonly isComing: boolean;
  /** One sentence for people. */
  readonly detail: string;
}

/** Who is to blame for a failed sequence, as far as is known; worker health makes of it what it will. */
export type RouteFailure =
  /** The peer itself reported it, or broke the protocol. */
  | {
      readonly kind: 'reported';
      readonly peer: Peer;
      readonly error: ShoalError;
      /** What a worker that works does not do. */
      readonly how?: Misbehaviour;
    }
  /** One stage refuses what another sent it. */
  | {
      readonly kind: 'refused';
      readonly by: Peer;
      readonly sender: Peer;
      readonly error: ShoalError;
      readonly how: Misbehaviour | null;
    }
  /** What ran on it was lost by its doing again and again, and no token came between. */
  | { readonly kind: 'losing'; readonly peer: Peer; readonly error: ShoalError }
  /** Their link broke again and again, and no token came over it between. */
  | { readonly kind: 'unlinked'; readonly by: Peer; readonly other: Peer; readonly error: ShoalError }
  /** It did not answer `open` in time. */
  | { readonly kind: 'unresponsive'; readonly peers: readonly Peer[]; readonly error: ShoalError }
  /** No token came and nobody says why. */
  | { readonly kind: 'stalled'; readonly route: MeshRoute; readonly error: ShoalError };

/** Why sequences are better off without a peer that still serves: none that has no other way loses this one. */
export type MoveReason =
  /** It wishes to stop. */
  | 'drains'
  /** The server does not hear it, and no neighbour of a route of one stage could. */
  | 'silent'
  /** Its socket is closed: what it was sent to begin a sequence may be lost. */
  | 'away';

export interface Routes {
  readonly outlook: RouteOutlook;
  /** The best route now, with a free place for one more sequence on each stage; null: there is none. */
  choose(wish: RouteWish): MeshRoute | null;
  /** Whether each worker holds the shard that it computes its layers with, and all the model's layers are computed. */
  isHeld(route: MeshRoute): boolean;
  /** A sequence runs on the route from here on, until `leave`. */
  enter(route: MeshRoute): void;
  leave(route: MeshRoute): void;
  /** What one token should take on a route that was entered, in ms: as its stages say, times who shares them. */
  expectedMs(route: MeshRoute): number;
  /** A token came the whole way round. */
  served(route: MeshRoute): void;
  /** Tokens were told again: what the next one takes is counted from now on. */
  retold(route: MeshRoute): void;
  failed(failure: RouteFailure): void;
  /**
   * A stage says that it has no room. Where it has by its own word, it alone is let be for CAPACITY_RETRY_MS.
   * @returns `known`: it may be so; `once`: it says otherwise than before; `again`: it goes on after its time to free what was closed
   */
  refusedRoom(route: MeshRoute, by: Peer): 'known' | 'once' | 'again';
  /** Which of its stages it may be that gives nothing: those that are silent or suspected, all where none is. */
  suspectsOf(route: MeshRoute): readonly Peer[];
  /** Who is to blame where `by` refuses what `sender` sent it. */
  blameFor(by: Peer, sender: Peer): Peer;
  /** Whether a worker hears the peer of that id, which need not be connected. */
  isHeard(id: string): boolean;
  /** Somebody hears others than before. */
  onHearsay(listener: () => void): void;
  /** There may be a route, or room, where there was none. */
  onPossible(listener: () => void): void;
  /** Nothing that runs through the peer goes on: it left, is silent, or has lost its shard. `shard`: only that one. */
  onPeerLost(listener: (peer: Peer, loss: Loss, shard: number | null) => void): void;
  /** What runs on it should go on elsewhere, where that can be. It is told again while that is so. */
  onMovable(listener: (peer: Peer, why: MoveReason) => void): void;
  /** Both live, but the link between them does not, as the first of them says. */
  onLinkLost(listener: (a: Peer, b: Peer) => void): void;
}

/** As the stages are told. */
export function routeOf(route: MeshRoute): Route {
  return route.stops.map(({ peer, start, end }) => ({ peer: peer.id, name: peer.name, start, end }));
}

/** As an answer names them. */
export function servingStagesOf({ stops }: MeshRoute): ServingStage[] {
  return stops.map(({ peer, start, end }) => ({ peer: peer.id, name: peer.name, layers: [start, end] }));
}

/** As people are shown it. @param layers of the model */
export function stageInfosOf({ stops }: MeshRoute, layers: number): StageInfo[] {
  return stops.map(({ peer, start, end }) => ({
    peer: peer.id,
    name: peer.name,
    shard: { start, end, embedding: start === 0, head: end === layers },
  }));
}

export function classedOf({ stops }: MeshRoute): ClassedRange[] {
  return stops.map(({ peer, start, end, class: name = null }) => ({
    worker: peer.id,
    start,
    end,
    class: name,
  }));
}

export function stopOf(route: MeshRoute, peer: Peer): RouteStop | undefined {
  return route.stops.find((stop) => stop.peer === peer);
}

/** Who sends it activations, or tokens where it is the first; null where that is itself, or it is no stage. */
export function stageBefore({ stops }: MeshRoute, peer: Peer): Peer | null {
  const index = stops.findIndex((stop) => stop.peer === peer);
  const before = index < 0 ? undefined : stops.at(index - 1)?.peer;
  return before === undefined || before === peer ? null : before;
}

/** Whether frames go between them: from stage to stage, and from the last to the first. */
export function areNeighbours(route: MeshRoute, a: Peer, b: Peer): boolean {
  const index = (peer: Peer) => route.stops.findIndex((stop) => stop.peer === peer);
  const [i, j] = [index(a), index(b)];
  if (i < 0 || j < 0 || i === j) return false;
  const distance = Math.abs(i - j);
  return distance === 1 || distance === route.stops.length - 1;
}
