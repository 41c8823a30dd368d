/** What deciding sees of the mesh: workers with what they can, hold and have cached, and how far they are from each other. */

/** Layers [start, end). With the embedding where start is 0, with the LM head where end is the model's last. */
export interface LayerRange {
  readonly start: number;
  readonly end: number;
}

export interface HeldRange extends LayerRange {
  /** On the GPU, with scratch and one sequence of full length. */
  readonly bytes: number;
  /** `loading`: not yet there, nothing runs on it. */
  readonly state: 'loading' | 'held';
}

export interface WorkerView {
  readonly id: string;
  /** Adapters that give the same bits; null: not known. */
  readonly class: string | null;
  /** Multiply-accumulates a second of a decode step. */
  readonly macsPerSecond: number;
  /** Whether it has been measured while it served, or only by the probe at its start. */
  readonly rateIs: 'served' | 'probed';
  /** Of that rate, what the rounds of tokens through it bore out, in (0, 1]; null before it has served. */
  readonly believedShare?: number | null;
  /** All that it lends, whatever it holds of it. */
  readonly memoryBytes: number;
  readonly maxBufferBytes: number;
  /** A software adapter. */
  readonly isFallback: boolean;
  /** F16 weights that are not quantized take twice the memory here. */
  readonly storesF16AsF32?: boolean;
  /** It has served tokens, or computed one that is known. Others are replicas where those who have can serve. */
  readonly trusted: boolean;
  readonly held: readonly HeldRange[];
  /** Layers whose files are in its browser's cache: loading them costs no network. */
  readonly cached: readonly LayerRange[];
}

/** Round trip between two workers in seconds, a guess where it was never measured; 0 from a worker to itself. */
export type RoundTripSeconds = (from: string, to: string) => number;

/** Beside half a round trip, what a hop costs: readback, packing, unpacking, upload. Measured on loopback: 0.4 to 2 ms. */
const HOP_FIXED_SECONDS = 0.001;

/** From the end of one stage's compute to the start of the next one's. */
export function hopSeconds(roundTripSeconds: number): number {
  return roundTripSeconds / 2 + HOP_FIXED_SECONDS;
}

export function covers(range: LayerRange, wanted: LayerRange): boolean {
  return range.start <= wanted.start && range.end >= wanted.end;
}

/** A worker counts as slower where its rounds bore out less than this share of what they did at best for anyone. */
const SHARE_DOUBTED = 0.5;

/**
 * The rates to plan with. What a worker says of its own speed counts for as much as came of it: beside the others', since a network
 * or a machine that is slow for all makes every round late. A probe is one measurement on a machine that was busy with starting: software adapters of one
 * class, which share a machine's cores more often than not, get the median of theirs, since such a probe once cut three equal
 * tabs 5/1/2. And a stranger is not believed to be faster than the fastest that has served.
 */
export function believedRates(workers: readonly WorkerView[]): Map<string, number> {
  const probedByClass = new Map<string, number[]>();
  let [fastestServed, bestShare] = [0, 0];
  for (const { believedShare } of workers) bestShare = Math.max(bestShare, believedShare ?? 0);
  const credit = ({ believedShare }: WorkerView) =>
    believedShare == null ? 1 : Math.min(1, believedShare / (bestShare * SHARE_DOUBTED));
  for (const worker of workers) {
    if (worker.rateIs === 'served') {
      if (worker.trusted) fastestServed = Math.max(fastestServed, worker.macsPerSecond * credit(worker));
    } else if (worker.isFallback) {
      const name = worker.class ?? '';
      const rates = probedByClass.get(name);
      if (rates === undefined) probedByClass.set(name, [worker.macsPerSecond]);
      else rates.push(worker.macsPerSecond);
    }
  }
  const medians = new Map([...probedByClass].map(([name, rates]) => [name, medianOf(rates)]));
  const rates = new Map<string, number>();
  for (const worker of workers) {
    const probed = worker.rateIs === 'probed' && worker.isFallback;
    const rate = probed ? medians.get(worker.class ?? '')! : worker.macsPerSecond;
    const bound = worker.trusted || fastestServed === 0 ? Number.POSITIVE_INFINITY : fastestServed;
    rates.set(worker.id, Math.min(rate * credit(worker), bound));
  }
  return rates;
}

export function medianOf(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
