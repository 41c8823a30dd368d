/** Answers that run at once, each on its own route through what is held: what they get together. */
import { hopSeconds, type LayerRange, type RoundTripSeconds } from '../../schedule/mesh-view.ts';
import { amongHeld, type Candidate, quickestWay } from '../../schedule/quickest.ts';
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
  const busy = new Map<string, number>();
  const rates = new Map(held.map(({ worker, macsPerSecond }) => [worker, macsPerSecond]));
  const streams: Stream[] = [];
  let quickest: readonly Stop[] | null = null;
  for (let i = 0; i < count; i++) {
    const stops = routeOf(costs, held, rtt, busy);
    if (stops === null) return { quickest: null, tokensPerSecond: 0 };
    quickest ??= stops;
    const visits = stops.map(({ worker, start, end }) => {
      const seconds = STEP_SECONDS + costs.macs(start, end) / rates.get(worker)!;
      return { worker, seconds, residence: seconds };
    });
    const hops = stops.reduce((sum, { worker }, index) => {
      const next = stops[(index + 1) % stops.length]!.worker;
      return sum + (next === worker ? 0 : hopSeconds(rtt(worker, next)));
    }, 0);
    const total = hops + visits.reduce((sum, { seconds }) => sum + seconds, 0);
    streams.push({ visits, hops, total });
    for (const { worker, seconds } of visits) busy.set(worker, (busy.get(worker) ?? 0) + seconds / total);
  }
  for (let round = 0; round < ROUNDS; round++) settle(streams);
  return { quickest, tokensPerSecond: streams.reduce((sum, { total }) => sum + 1 / total, 0) };
}

function routeOf(
  costs: StageCosts,
  held: readonly Held[],
  rtt: RoundTripSeconds,
  busy: ReadonlyMap<string, number>,
): Stop[] | null {
  const candidates = held.map(
    ({ worker, range, macsPerSecond }): Candidate => ({
      worker,
      start: range.start,
      end: range.end,
      secondsPerMac: (1 + (busy.get(worker) ?? 0)) / macsPerSecond,
      stepSeconds: STEP_SECONDS,
    }),
  );
  const { stops } = quickestWay(costs, {
    ...amongHeld(candidates),
    waysKept: WAYS_KEPT,
    hop: (from, to) => hopSeconds(rtt(from.worker, to.worker)),
  });
  return stops?.map(({ candidate, start, end }) => ({ worker: candidate.worker, start, end })) ?? null;
}

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
