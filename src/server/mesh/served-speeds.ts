/** How fast workers are: as they have served, before that as their probe said; and how far they are from each other. */
import { ServedRate, type StepCost } from '../../schedule/served-rates.ts';
import type { StageCosts } from '../../schedule/stage-costs.ts';
import type { Peer, PeerStats } from './peer.ts';

/** Where nobody has measured: a guess that a link in one house is better than, and one across an ocean worse. */
const UNKNOWN_RTT_SECONDS = 0.02;

export class ServedSpeeds {
  readonly #costs: StageCosts;
  readonly #rates = new Map<Peer, { readonly probed: number; readonly rate: ServedRate }>();

  constructor(costs: StageCosts) {
    this.#costs = costs;
  }

  /** @param layers [start, end) that all its sequences compute there; null: several, or none */
  note(peer: Peer, { hop, sequences }: PeerStats, layers: readonly [number, number] | null): void {
    // Rows of several sequences share a step, which then tells nothing of one alone.
    if (hop === null || layers === null || sequences > 1) return;
    const ms = hop.uploadMs + hop.computeMs + hop.readbackMs + hop.packMs + hop.unpackMs;
    this.#of(peer)?.served(this.#costs.macs(...layers), ms / 1_000);
  }

  isServed(peer: Peer): boolean {
    return this.#of(peer)?.isServed === true;
  }

  /** Who has not served is not believed to be faster than the fastest that has. */
  cost(peer: Peer): StepCost {
    const rate = this.#of(peer);
    if (rate === null) return { stepSeconds: 0, macsPerSecond: 1 };
    const { stepSeconds, macsPerSecond } = rate.cost;
    return {
      stepSeconds,
      macsPerSecond: rate.isServed ? macsPerSecond : Math.min(macsPerSecond, this.#fastest),
    };
  }

  forget(peer: Peer): void {
    this.#rates.delete(peer);
  }

  get #fastest(): number {
    let fastest = 0;
    for (const { rate } of this.#rates.values()) {
      if (rate.isServed) fastest = Math.max(fastest, rate.cost.macsPerSecond);
    }
    return fastest === 0 ? Number.POSITIVE_INFINITY : fastest;
  }

  /** As either end measured it. */
  rttSeconds(a: Peer, b: Peer): number {
    if (a === b) return 0;
    return toldRttSeconds(a, b) ?? toldRttSeconds(b, a) ?? UNKNOWN_RTT_SECONDS;
  }

  /** A worker that offers another device begins anew. */
  #of(peer: Peer): ServedRate | null {
    const probed = peer.capability?.gemvMacsPerSecond;
    if (probed === undefined) return null;
    const known = this.#rates.get(peer);
    if (known?.probed === probed) return known.rate;
    const rate = new ServedRate(probed);
    this.#rates.set(peer, { probed, rate });
    return rate;
  }
}

function toldRttSeconds(from: Peer, to: Peer): number | null {
  const told = from.stats?.links.find(({ peer }) => peer === to.id);
  return told === undefined ? null : told.rttMs / 1_000;
}
