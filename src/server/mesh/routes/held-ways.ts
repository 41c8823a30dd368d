/** Ways over the shards that are held: which is best for whom, and what is missing where there is none. */
import { MAX_SEQUENCES_PER_STAGE, PROBE_NEIGHBOURS } from '../../../config/limits.ts';
import { hopSeconds } from '../../../schedule/mesh-view.ts';
import { routeLack } from '../../../schedule/route-lack.ts';
import type { StageCosts } from '../../../schedule/stage-costs.ts';
import type { Holding } from '../holdings/holding.ts';
import type { Holdings } from '../holdings/holdings.ts';
import type { ServedSpeeds } from '../holdings/served-speeds.ts';
import type { LinkState, WantedLinks } from '../holdings/wanted-links.ts';
import type { Peer } from '../peers/peer.ts';
import { chosenByClass, classOf } from './class-choice.ts';
import type { MeshRoute, RouteWish } from './mesh-route.ts';
import { type FoundRoute, type FoundStage, searchRoute } from './route-search.ts';

/** How much longer a step takes for each sequence that runs there already: rows share a step, and one pass over the weights. */
const QUEUE_SLOWDOWN = 0.5;
/** Dearer than any computing, so that it is taken only where there is nothing else: a stage that a sequence would have to move to, ... */
const MOVE_SECONDS = 1e3;
/** ... one that is to go, ... */
const RETIRING_SECONDS = 1e6;
/** ... one that no token has come round yet, where one has to be sent first, ... */
const UNPROVEN_SECONDS = 1e3;
/** ... one that is suspected, ... */
const SUSPECT_SECONDS = 1e4;
/** ... a link that nobody has heard of, or that is silent. */
const DOUBTFUL_SECONDS = 1e9;
/** Cheaper than anything else is dear: the route has to lead over it. */
const WISHED_SECONDS = -1e12;
const WISHED_LOAD = 1e-9;

export interface HeldWaysOptions {
  readonly holdings: Holdings;
  readonly links: WantedLinks;
  readonly costs: StageCosts;
  readonly speeds: ServedSpeeds;
  /** Of a route, at most. */
  readonly maxStages: number;
  /** Whether what the peer holds may be used. */
  readonly isUsable: (peer: Peer) => boolean;
  /** Whether it may be given layers. */
  readonly mayLoad: (peer: Peer) => boolean;
  readonly isSuspected: (peer: Peer) => boolean;
  /** Whether a client's sequence may run over it: a token has. */
  readonly isProven: (holding: Holding) => boolean;
  /** It has just refused what it has room for. */
  readonly isLetBe: (holding: Holding) => boolean;
  /** Clients' tokens have come round with the peer, and not only probes'. */
  readonly isSeasoned: (peer: Peer) => boolean;
}

export class HeldWays {
  readonly #options: HeldWaysOptions;

  constructor(options: HeldWaysOptions) {
    this.#options = options;
  }

  /** For a sequence, with a free place for it on each stage; null: there is none. */
  forSequence({ before, positions, avoid }: RouteWish): readonly FoundStage[] | null {
    const isOn = ({ peer, shard }: Holding) =>
      before?.stops.some((stop) => stop.peer === peer && stop.shard === shard) === true;
    const isKept = (holding: Holding, from: number, to: number) =>
      before?.stops.some(({ peer, start, end }) => holding.peer === peer && start === from && end === to) ===
      true;
    const search: Search = {
      isRoomy: (holding) =>
        holding.sequences < MAX_SEQUENCES_PER_STAGE &&
        !this.#options.isLetBe(holding) &&
        // What it holds of the sequence already is room for it.
        (holding.hasRoomFor(positions) || isOn(holding)) &&
        this.#options.isProven(holding),
      load: ({ sequences }) => 1 + sequences * QUEUE_SLOWDOWN,
      penalty: (holding, start, end) => {
        const isAvoided = avoid?.has(holding.peer) === true;
        const moved = before === undefined ? 0 : MOVE_SECONDS * (end - start);
        if (isKept(holding, start, end)) {
          // As dear as moving and a little less than another that is no better: it holds the sequence.
          return isAvoided || this.#options.isSuspected(holding.peer) ? moved + SUSPECT_SECONDS / 2 : 0;
        }
        return moved + this.#unwanted(holding) + (isAvoided ? SUSPECT_SECONDS : 0);
      },
      hop: (state, seconds) => (state === 'up' ? seconds : null),
      isFresh: before === undefined,
    };
    return (
      this.#searchByClass({ ...search, isRoomy: this.#shared(search.isRoomy) }, before, avoid) ??
      this.#searchByClass(search, before, avoid)
    );
  }

  /** The best one that serves, room apart; a link that is silent is better than none. */
  serving(): readonly FoundStage[] | null {
    return this.#searchByClass({
      isRoomy: this.#options.isProven,
      load: () => 1,
      penalty: (holding) => this.#unwanted(holding),
      hop: (state, seconds) =>
        state === 'up' ? seconds : state === 'silent' ? seconds + DOUBTFUL_SECONDS : null,
      isFresh: false,
    });
  }

  /** All of it is held, by workers that may be given work, and its links are up. */
  isUp(path: readonly Holding[]): boolean {
    return path.every((holding) => holding.isHeld && this.#isThere(holding)) && this.#areLinked(path, ['up']);
  }

  /** As `isUp`, and a token has come round over all of it. */
  isServing(path: readonly Holding[]): boolean {
    return this.isUp(path) && path.every(this.#options.isProven);
  }

  /** What would be the best route, once a token has come round it; of what `isFree`. */
  candidate(isFree: (holding: Holding) => boolean): readonly FoundStage[] | null {
    return this.#searchToProve(isFree, () => false);
  }

  /** The way over `wished` that has the fewest others that no token has come round; null: there is none. */
  through(wished: Holding, isFree: (holding: Holding) => boolean): readonly FoundStage[] | null {
    const path = this.#searchToProve(isFree, (holding) => holding === wished, this.#around(wished));
    return path?.some(({ holding }) => holding === wished) ? path : null;
  }

  /** The best chain of layers that loads, links and `also` would make a route; null: none. */
  potential(also: (peer: Peer) => boolean = () => false): readonly Holding[] | null {
    const { holdings, mayLoad, costs, speeds, maxStages } = this.#options;
    const found = searchRoute({
      holdings: holdings.all().filter(({ peer }) => mayLoad(peer) || also(peer)),
      costs,
      maxStages,
      step: (peer) => speeds.cost(peer),
      load: () => 1,
      penalty: (holding) => (holding.isHeld ? 0 : MOVE_SECONDS) + this.#unwanted(holding),
      hop: (from, to) => {
        const state = this.#options.links.state(from, to);
        return state === 'down' ? null : this.hopSeconds(from, to) + (state === 'up' ? 0 : DOUBTFUL_SECONDS);
      },
    });
    return found?.stages.map(({ holding }) => holding) ?? null;
  }

  /** What is missing where nothing serves. @param idle names of those who may be given layers @param proving those that a probe goes round */
  lack(idle: readonly string[], proving: readonly string[] | null): string {
    const { holdings, isUsable, costs, links } = this.#options;
    const chain = this.potential() ?? [];
    const missingLinks = chain.flatMap(({ peer }, index) => {
      const next = chain[(index + 1) % chain.length]!.peer;
      return peer === next || links.state(peer, next) === 'up' ? [] : [[peer.name, next.name] as const];
    });
    const ranges = holdings
      .all()
      .filter(({ peer }) => isUsable(peer))
      .map(({ peer, layers: { start, end }, isHeld }) => ({ worker: peer.name, start, end, isHeld }));
    return routeLack({ layers: costs.layers, ranges, idle, missingLinks, proving });
  }

  /** From one to the other, for one token. */
  hopSeconds(a: Peer, b: Peer): number {
    return hopSeconds(this.#options.speeds.rttSeconds(a, b));
  }

  #searchToProve(
    isFree: (holding: Holding) => boolean,
    isWished: (holding: Holding) => boolean,
    among = this.#options.holdings.all(),
  ): readonly FoundStage[] | null {
    const { isProven } = this.#options;
    const search: Search = {
      isRoomy: isFree,
      // Among the first that are looked at, however many are quicker.
      load: (holding) => (isWished(holding) ? WISHED_LOAD : 1),
      penalty: (holding) =>
        (isWished(holding) ? WISHED_SECONDS : 0) +
        (isProven(holding) ? 0 : UNPROVEN_SECONDS) +
        this.#unwanted(holding),
      hop: (state, seconds) => (state === 'up' ? seconds : null),
      isFresh: false,
    };
    return this.#search(search, this.#roomy(search, among))?.stages ?? null;
  }

  #searchByClass(
    search: Search,
    before?: MeshRoute,
    avoid?: ReadonlySet<Peer>,
  ): readonly FoundStage[] | null {
    const { costs, isSuspected } = this.#options;
    const isBad = ({ peer }: Holding) => isSuspected(peer) || avoid?.has(peer) === true;
    const choice = {
      layers: costs.layers,
      holdings: this.#roomy(search),
      search: (among: readonly Holding[], may: (stage: FoundStage) => boolean) =>
        this.#search(search, among, may),
      // What goes on may keep a worker from dropping what is to go; what begins should not.
      isDoubtful: (holding: Holding) =>
        isBad(holding) || (before === undefined && this.#unwanted(holding) > 0),
    };
    return chosenByClass(choice, before)?.stages ?? null;
  }

  /** Where some have served, who has not is given one sequence at a time until it has; what it has already stays. */
  #shared(isRoomy: (holding: Holding) => boolean): (holding: Holding) => boolean {
    const { holdings, isSeasoned, isSuspected } = this.#options;
    if (!holdings.all().some(({ peer }) => isSeasoned(peer))) return isRoomy;
    return (holding) => {
      const { peer, sequences } = holding;
      return isRoomy(holding) && !isSuspected(peer) && (sequences === 0 || isSeasoned(peer));
    };
  }

  /** What those hold who are nearest to it by links: of a large mesh, the only ones by whom a way through it may lead. */
  #around({ peer }: Holding): readonly Holding[] {
    const { holdings, links } = this.#options;
    if (holdings.all().length <= PROBE_NEIGHBOURS) return holdings.all();
    const near = new Set([peer]);
    for (const one of near) {
      if (near.size >= PROBE_NEIGHBOURS) break;
      for (const other of links.upOf(one)) near.add(other);
    }
    return [...near].flatMap((one) => holdings.of(one));
  }

  #unwanted(holding: Holding): number {
    const suspected = this.#options.isSuspected(holding.peer) ? SUSPECT_SECONDS : 0;
    return (holding.isRetiring ? RETIRING_SECONDS : 0) + suspected;
  }

  #roomy({ isRoomy }: Search, among = this.#options.holdings.all()): Holding[] {
    return among.filter((holding) => holding.isHeld && this.#isThere(holding) && isRoomy(holding));
  }

  #search(
    { load, penalty, hop, isFresh }: Search,
    there: readonly Holding[],
    may: (stage: FoundStage) => boolean = () => true,
  ): FoundRoute | null {
    const { links, costs, speeds, maxStages } = this.#options;
    const among = (some: readonly Holding[]) =>
      searchRoute({
        holdings: some,
        costs,
        maxStages,
        step: (peer) => speeds.cost(peer),
        load,
        penalty: (holding, start, end) =>
          may({ holding, start, end }) ? penalty(holding, start, end) : Number.POSITIVE_INFINITY,
        hop: (from, to) => hop(links.state(from, to), this.hopSeconds(from, to)),
      });
    const wanted = isFresh ? there.filter((holding) => this.#unwanted(holding) === 0) : there;
    return (wanted.length < there.length ? among(wanted) : null) ?? among(there);
  }

  #isThere(holding: Holding): boolean {
    const { holdings, isUsable } = this.#options;
    return isUsable(holding.peer) && holdings.find(holding.peer, holding.shard) === holding;
  }

  #areLinked(path: readonly Holding[], states: readonly LinkState[]): boolean {
    if (path.length < 2) return true;
    return path.every(({ peer }, index) =>
      states.includes(this.#options.links.state(peer, path[(index + 1) % path.length]!.peer)),
    );
  }
}

interface Search {
  readonly isRoomy: (holding: Holding) => boolean;
  /** Times as long as alone that a step takes there now. */
  readonly load: (holding: Holding) => number;
  readonly penalty: (holding: Holding, start: number, end: number) => number;
  readonly hop: (state: LinkState, seconds: number) => number | null;
  /** Nothing is to be kept: what is to go, or suspected, is looked at only where the rest has no route. */
  readonly isFresh: boolean;
}

export function routeOver(path: readonly FoundStage[]): MeshRoute {
  return { stops: path.map(stopAt) };
}

function stopAt({ holding: { peer, shard }, start, end }: FoundStage): MeshRoute['stops'][number] {
  return { peer, shard, start, end, class: classOf(peer) };
}
