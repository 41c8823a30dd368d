/** Answers that run at once, each on its own route through what is held: what they get together. */
import { hopSeconds, type LayerRange, type RoundTripSeconds } from '../../schedule/mesh-view.ts';
import { type Candidate, quickestWay, TRIED } from '../../schedule/quickest.ts';
import type { StageCosts } from '../../schedule/stage-costs.ts';

export interface Held {
  readonly worker: string;
  readonly range: LayerRange;
  readonly macsPerSecond: number;
}

export interface Stop extends LayerRange {
  readonly worker: string;
}

export interface Streams {
  /** Of a stream that comes to an idle room; null: some layer is held by nobody. */
  readonly quickest: readonly Stop[] | null;
  /** Of all streams together. */
  readonly tokensPerSecond: number;
}

const STEP_SECONDS = 0.001;
const WAYS_KEPT = 4;
const ROUNDS = 40;

interface Visit {
  readonly worker: string;
  /** Of its own compute. */
  readonly seconds: number;
  /** With its wait for others. */
  residence: number;
}

interface Stream {
  readonly visits: readonly Visit[];
  readonly hops: number;
  total: number;
}

/**
 * Streams come one after another and take the quickest route, workers that are busy counting as slower by that. What a stage then takes
 * a stream is its compute, and that of the others that it meets there: by the arrival theorem for closed networks of queues, as many as
 * are there on the mean (Bard and Schweitzer's approximation of mean value analysis). Rows of several streams in one step are not
 * counted as cheaper.
 */
export function runStreams(
  costs: StageCosts,
  held: readonly Held[],
  rtt: RoundTripSeconds,
  count: number,
): Streams {
  const room = new Room(costs.layers, held);
  const streams: Stream[] = [];
  let quickest: readonly Stop[] | null = null;
  for (let i = 0; i < count; i++) {
    const stops = routeOf(costs, room, rtt);
    if (stops === null) return { quickest: null, tokensPerSecond: 0 };
    quickest ??= stops;
    const visits = stops.map(({ worker, start, end }) => {
      const seconds = STEP_SECONDS + costs.macs(start, end) / room.rateOf(worker);
      return { worker, seconds, residence: seconds };
    });
    const hops = stops.reduce((sum, { worker }, index) => {
      const next = stops[(index + 1) % stops.length]!.worker;
      return sum + (next === worker ? 0 : hopSeconds(rtt(worker, next)));
    }, 0);
    const total = hops + visits.reduce((sum, { seconds }) => sum + seconds, 0);
    streams.push({ visits, hops, total });
    for (const { worker, seconds } of visits) room.take(worker, seconds / total);
  }
  for (let round = 0; round < ROUNDS; round++) settle(streams);
  return { quickest, tokensPerSecond: streams.reduce((sum, { total }) => sum + 1 / total, 0) };
}

function routeOf(costs: StageCosts, room: Room, rtt: RoundTripSeconds): Stop[] | null {
  const { stops } = quickestWay(costs, {
    from: (layer) => room.from(layer),
    starts: room.starts,
    waysKept: WAYS_KEPT,
    hop: (from, to) => hopSeconds(rtt(from.worker, to.worker)),
  });
  return stops?.map(({ candidate, start, end }) => ({ worker: candidate.worker, start, end })) ?? null;
}

interface Share extends Candidate {
  readonly rate: number;
  secondsPerMac: number;
}

/** What is held, as `amongHeld` looks at it; sorted once, for a room of thousands. */
class Room {
  readonly starts: readonly number[];
  readonly #byWorker = new Map<string, Share[]>();
  /** Of each layer, the quickest first, and those that reach farthest first: while nobody is busy. */
  readonly #quick: readonly (readonly Share[])[];
  readonly #far: readonly (readonly Share[])[];
  readonly #busy = new Map<string, number>();

  constructor(layers: number, held: readonly Held[]) {
    const shares = held.map(
      ({ worker, range, macsPerSecond }): Share => ({
        worker,
        start: range.start,
        end: range.end,
        rate: macsPerSecond,
        secondsPerMac: 1 / macsPerSecond,
        stepSeconds: STEP_SECONDS,
      }),
    );
    for (const share of shares) {
      const same = this.#byWorker.get(share.worker);
      if (same === undefined) this.#byWorker.set(share.worker, [share]);
      else same.push(share);
    }
    this.starts = [...new Set(shares.map(({ start }) => start))].sort((a, b) => a - b);
    const quick = shares.sort(quicker);
    const covering = (layer: number) => quick.filter(({ start, end }) => start <= layer && end > layer);
    this.#quick = Array.from({ length: layers }, (_, layer) => covering(layer));
    this.#far = this.#quick.map((each) => [...each].sort(farther));
  }

  rateOf(worker: string): number {
    return this.#byWorker.get(worker)![0]!.rate;
  }

  /** A stream takes so much of a worker's time, who counts as slower by that. */
  take(worker: string, share: number): void {
    const busy = (this.#busy.get(worker) ?? 0) + share;
    this.#busy.set(worker, busy);
    for (const each of this.#byWorker.get(worker)!) each.secondsPerMac = (1 + busy) / each.rate;
  }

  /** Who is busy is only slower than it was, so that behind so many others nobody is to be looked for. */
  from(layer: number): readonly Share[] {
    const most = this.#busy.size + TRIED.quick;
    const quick = this.#quick[layer]!.slice(0, most).sort(quicker).slice(0, TRIED.quick);
    const far = this.#far[layer]!.slice(0, most + TRIED.far).filter((share) => !quick.includes(share));
    return [...quick, ...far.sort(farther).slice(0, TRIED.far)];
  }
}

const quicker = (a: Share, b: Share) => a.secondsPerMac - b.secondsPerMac;
const farther = (a: Share, b: Share) => b.end - a.end || a.secondsPerMac - b.secondsPerMac;

function settle(streams: readonly Stream[]): void {
  const present = new Map<string, number>();
  for (const { visits, total } of streams) {
    for (const { worker, residence } of visits)
      present.set(worker, (present.get(worker) ?? 0) + residence / total);
  }
  for (const stream of streams) {
    for (const visit of stream.visits) {
      const others = Math.max(0, present.get(visit.worker)! - visit.residence / stream.total);
      // Half way, so that it does not swing.
      visit.residence = (visit.residence + visit.seconds * (1 + others)) / 2;
    }
    stream.total = stream.hops + stream.visits.reduce((sum, { residence }) => sum + residence, 0);
  }
}
