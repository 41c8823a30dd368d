/**
 * What a worker's decode step costs, learnt while it serves: a + b · macs, of which the probe at its start knew only a guess of b.
 * Several ranges that it has served tell a and b apart; before that, a is what its device is known for.
 */
import { medianOf } from './mesh-view.ts';

interface Measured {
  readonly macs: number;
  /** Of the last steps, newest last. */
  readonly seconds: number[];
}

export interface StepCost {
  /** Of a step, whatever its size. */
  readonly stepSeconds: number;
  readonly macsPerSecond: number;
}

/** Of each range: the median of these is what a step takes, so that a busy moment or a lie now and then moves nothing. */
const SAMPLES = 9;
/** Samples of a range before it counts. */
const SAMPLES_NEEDED = 3;
/** Ranges that are remembered of a worker, the last served. */
const RANGES = 6;
/** Before there is a second range: what of a step is not its matrices, at most this share of it. */
const GUESSED_STEP_SECONDS = 0.001;
const GUESSED_STEP_SHARE = 0.5;
/** A served rate is never this many times more, or less, than the probe's. */
const RATE_BOUND = 64;

export class ServedRate {
  readonly #probed: number;
  readonly #ranges: Measured[] = [];

  constructor(probedMacsPerSecond: number) {
    this.#probed = probedMacsPerSecond;
  }

  /** One report: a decode step over a range of so many multiply-accumulates took so long, as a mean over some steps. */
  served(macs: number, seconds: number): void {
    if (!(macs > 0) || !(seconds > 0) || !Number.isFinite(seconds)) return;
    const index = this.#ranges.findIndex((range) => range.macs === macs);
    const range = index < 0 ? { macs, seconds: [] } : this.#ranges.splice(index, 1)[0]!;
    range.seconds.push(seconds);
    if (range.seconds.length > SAMPLES) range.seconds.shift();
    this.#ranges.push(range);
    if (this.#ranges.length > RANGES) this.#ranges.shift();
  }

  get isServed(): boolean {
    return this.#ranges.some(({ seconds }) => seconds.length >= SAMPLES_NEEDED);
  }

  get cost(): StepCost {
    const points = this.#ranges
      .filter(({ seconds }) => seconds.length >= SAMPLES_NEEDED)
      .map(({ macs, seconds }) => ({ macs, seconds: medianOf(seconds) }));
    const last = points.at(-1);
    if (last === undefined) return { stepSeconds: 0, macsPerSecond: this.#probed };
    return fitted(points, (macsPerSecond) => this.#bounded(macsPerSecond));
  }

  #bounded(macsPerSecond: number): number {
    return Math.min(this.#probed * RATE_BOUND, Math.max(this.#probed / RATE_BOUND, macsPerSecond));
  }
}

/** a and b of a + b · macs through what was measured. @param points the newest last, at least one */
export function fitted(
  points: readonly { readonly macs: number; readonly seconds: number }[],
  bounded: (macsPerSecond: number) => number = (macsPerSecond) => macsPerSecond,
): StepCost {
  const slope = slopeOf(points);
  if (slope === null) {
    const last = points.at(-1)!;
    const stepSeconds = Math.min(GUESSED_STEP_SECONDS, last.seconds * GUESSED_STEP_SHARE);
    return { stepSeconds, macsPerSecond: bounded(last.macs / (last.seconds - stepSeconds)) };
  }
  const macsPerSecond = bounded(1 / slope);
  const rest = points.map(({ macs, seconds }) => seconds - macs / macsPerSecond);
  return { stepSeconds: Math.max(0, medianOf(rest)), macsPerSecond };
}

/** The median slope of all pairs (Theil 1950, Sen 1968): a wrong point does not bend it. Null where no slope makes sense. */
function slopeOf(points: readonly { readonly macs: number; readonly seconds: number }[]): number | null {
  const slopes: number[] = [];
  for (const [index, a] of points.entries()) {
    for (const b of points.slice(index + 1)) {
      if (a.macs !== b.macs) slopes.push((b.seconds - a.seconds) / (b.macs - a.macs));
    }
  }
  if (slopes.length === 0) return null;
  const slope = medianOf(slopes);
  // A line through the origin is the flattest step; one that falls, or needs a negative step, was noise.
  const steepest = Math.max(...points.map(({ macs, seconds }) => seconds / macs));
  return slope > 0 && slope <= steepest ? slope : null;
}
