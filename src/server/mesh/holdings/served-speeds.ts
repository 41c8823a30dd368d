/** How fast workers are: as they have served, before that as their probe said; and how far they are from each other. */
import { stageMs } from '../../../mesh/protocol/stage-ms.ts';
import { type Likeness, LikeRates, Share } from '../../../schedule/like-rates.ts';
import { medianOf } from '../../../schedule/mesh-view.ts';
import { ServedRate, type StepCost } from '../../../schedule/served-rates.ts';
import type { StageCosts } from '../../../schedule/stage-costs.ts';
import type { Peer, PeerStats } from '../peers/peer.ts';

/** Where nobody has measured: a guess that a link in one house is better than, and one across an ocean worse. */
const UNKNOWN_RTT_SECONDS = 0.02;

interface Known {
  readonly probed: number;
  readonly rate: ServedRate;
  /** How it stands to others of its class. */
  readonly share: Share;
  /** Multiply-accumulates a second of prefill. */
  prefill: number | null;
  /** The step of its last report that counted: it is told again while nothing runs. */
  toldMs: number;
}

export class ServedSpeeds {
  readonly #costs: StageCosts;
  readonly #now: () => number;
  readonly #rates = new Map<Peer, Known>();
  readonly #likes = new LikeRates();
  #fastestKnown: number | null = null;

  /** @param now any one clock's, ms */
  constructor(costs: StageCosts, now: () => number) {
    this.#costs = costs;
    this.#now = now;
  }

  /** @param layers [start, end) that all its sequences compute there, or the last one did alone; null: several, or none */
  note(
    peer: Peer,
    { hop, sequences, prefillRowsPerSecond }: PeerStats,
    layers: readonly [number, number] | null,
  ): void {
    // Rows of several sequences share a step, which then tells nothing of one alone.
    if (hop === null || layers === null || sequences > 1) return;
    const known = this.#of(peer);
    const ms = stageMs(hop);
    if (known === null || ms === known.toldMs) return;
    known.toldMs = ms;
    const macs = this.#costs.macs(...layers);
    known.rate.served(macs, ms / 1_000);
    this.#fastestKnown = null;
    if (prefillRowsPerSecond !== null && prefillRowsPerSecond > 0)
      known.prefill = prefillRowsPerSecond * macs;
    const seconds = ms / 1_000;
    if (!(seconds > 0)) return;
    this.#likes.note(likenessOf(peer), {
      worker: peer.id,
      macs,
      seconds,
      probedMacsPerSecond: known.probed,
      prefillMacsPerSecond: known.prefill,
      atMs: this.#now(),
    });
    const like = this.#like(peer);
    if (like !== null) known.share.note(macs, seconds, like.cost);
  }

  isServed(peer: Peer): boolean {
    return this.#of(peer)?.rate.isServed === true;
  }

  /** Who has not served is not believed to be faster than the fastest that has. */
  cost(peer: Peer): StepCost {
    const rate = this.#of(peer)?.rate;
    if (rate === undefined) return { stepSeconds: 0, macsPerSecond: 1 };
    const { stepSeconds, macsPerSecond } = rate.cost;
    return {
      stepSeconds,
      macsPerSecond: rate.isServed ? macsPerSecond : Math.min(macsPerSecond, this.#fastest),
    };
  }

  forget(peer: Peer): void {
    this.#rates.delete(peer);
    this.#fastestKnown = null;
  }

  /** Of those who have served. Asked for each worker of a search, so it is kept until somebody reports. */
  get #fastest(): number {
    if (this.#fastestKnown !== null) return this.#fastestKnown;
    let fastest = 0;
    for (const { rate } of this.#rates.values()) {
      if (rate.isServed) fastest = Math.max(fastest, rate.cost.macsPerSecond);
    }
    this.#fastestKnown = fastest === 0 ? Number.POSITIVE_INFINITY : fastest;
    return this.#fastestKnown;
  }

  /** As `cost`, and where it has served little or nothing, as others of its class have. */
  expected(peer: Peer): StepCost {
    const [known, like] = [this.#of(peer), this.#like(peer)];
    if (known === null || like === null) return this.cost(peer);
    // A software adapter's probe says how busy the machine was with starting, not how fast it is.
    const isSoftware = peer.capability?.adapter.isFallback === true;
    return known.share.of(like.cost, isSoftware ? 1 : like.probedMacsPerSecond / known.probed);
  }

  /** Rows a second of prefill through layers [start, end); null: neither it nor one like it has told. */
  prefillRowsPerSecond(peer: Peer, start: number, end: number): number | null {
    const macsPerSecond = this.#of(peer)?.prefill ?? this.#like(peer)?.prefillMacsPerSecond ?? null;
    return macsPerSecond === null ? null : macsPerSecond / this.#costs.macs(start, end);
  }

  /** As either end measured it. */
  rttSeconds(a: Peer, b: Peer): number {
    return this.#toldRttSeconds(a, b) ?? UNKNOWN_RTT_SECONDS;
  }

  /** As `rttSeconds`; where neither end has measured, as their other links. */
  expectedRttSeconds(a: Peer, b: Peer): number {
    const others = [a, b].flatMap(({ stats }) => stats?.links.map(({ rttMs }) => rttMs / 1_000) ?? []);
    return this.#toldRttSeconds(a, b) ?? (others.length === 0 ? UNKNOWN_RTT_SECONDS : medianOf(others));
  }

  #toldRttSeconds(a: Peer, b: Peer): number | null {
    if (a === b) return 0;
    return toldRttSeconds(a, b) ?? toldRttSeconds(b, a);
  }

  #like(peer: Peer): Likeness | null {
    return this.#likes.of(likenessOf(peer));
  }

  /** A worker that offers another device begins anew. */
  #of(peer: Peer): Known | null {
    const probed = peer.capability?.gemvMacsPerSecond;
    if (probed === undefined) return null;
    const known = this.#rates.get(peer);
    if (known?.probed === probed) return known;
    const fresh = { probed, rate: new ServedRate(probed), share: new Share(), prefill: null, toldMs: 0 };
    this.#rates.set(peer, fresh);
    this.#fastestKnown = null;
    return fresh;
  }
}

/** Adapters that compute the same bits by the same driver, and of the same kind where that is not known. */
function likenessOf({ capability }: Peer): string {
  const { vendor = '', architecture = '', description = '' } = capability?.adapter ?? {};
  return capability?.class ?? `${vendor} ${architecture} ${description}`;
}

function toldRttSeconds(from: Peer, to: Peer): number | null {
  const told = from.stats?.links.find(({ peer }) => peer === to.id);
  return told === undefined ? null : told.rttMs / 1_000;
}
