/**
 * What workers of one class of adapters have in common: how a step's time follows from its matrices. Who has not served yet, or only
 * one range, is expected to be as the others are now, in the proportion in which it has stood to them before. Pure.
 */
import { medianOf } from './mesh-view.ts';
import { fitted, type StepCost } from './served-rates.ts';

export interface Likeness {
  /** Of a decode step, as it has been lately. */
  readonly cost: StepCost;
  /** What the probes of those who served it had said. */
  readonly probedMacsPerSecond: number;
  /** Multiply-accumulates a second of prefill; null: nobody has told. */
  readonly prefillMacsPerSecond: number | null;
}

export interface LikeSample {
  readonly worker: string;
  readonly probedMacsPerSecond: number;
  /** Of the range, for one row. */
  readonly macs: number;
  /** Of a decode step over it. */
  readonly seconds: number;
  readonly prefillMacsPerSecond: number | null;
  readonly atMs: number;
}

/** Classes, and of each ranges on workers, the newest: more would say the same. */
const CLASSES = 64;
const SAMPLES = 32;
/** Machines are busy at times: only what was measured about when the newest was can be held against it. */
const TOGETHER_MS = 60_000;
/** Reports of a worker, of which the median is how it stands to the others. */
const SHARES = 9;

export class LikeRates {
  readonly #samples = new Map<string, Map<string, LikeSample>>();
  readonly #found = new Map<string, Likeness>();

  /** The newest of a worker and a range stands for both. */
  note(name: string, sample: LikeSample): void {
    const those = this.#samples.get(name) ?? new Map<string, LikeSample>();
    this.#samples.delete(name);
    this.#samples.set(name, those);
    dropOldest(this.#samples, CLASSES);
    const key = `${sample.worker} ${sample.macs}`;
    those.delete(key);
    those.set(key, sample);
    dropOldest(those, SAMPLES);
    this.#found.delete(name);
  }

  /** Null: nobody of that class has served. */
  of(name: string): Likeness | null {
    const known = this.#found.get(name);
    if (known !== undefined) return known;
    const all = [...(this.#samples.get(name)?.values() ?? [])];
    const newest = all.at(-1);
    if (newest === undefined) return null;
    const late = all.filter(({ atMs }) => newest.atMs - atMs <= TOGETHER_MS);
    const isShaped = late.some(({ macs }) => macs !== newest.macs);
    const prefill = late.flatMap(({ prefillMacsPerSecond }) => prefillMacsPerSecond ?? []);
    const found = {
      cost: fitted(isShaped ? late : all),
      probedMacsPerSecond: medianOf(late.map(({ probedMacsPerSecond }) => probedMacsPerSecond)),
      prefillMacsPerSecond: prefill.length === 0 ? null : medianOf(prefill),
    };
    this.#found.set(name, found);
    dropOldest(this.#found, CLASSES);
    return found;
  }
}

/** How a worker stands to the others of its class: times as long as theirs that its steps take. */
export class Share {
  readonly #last: number[] = [];

  /** @param like of the same moment */
  note(macs: number, seconds: number, like: StepCost): void {
    this.#last.push(seconds / (like.stepSeconds + macs / like.macsPerSecond));
    if (this.#last.length > SHARES) this.#last.shift();
  }

  /** @param unserved before the first report */
  of(like: StepCost, unserved: number): StepCost {
    const share = this.#last.length === 0 ? unserved : medianOf(this.#last);
    return { stepSeconds: like.stepSeconds * share, macsPerSecond: like.macsPerSecond / share };
  }
}

function dropOldest(map: Map<string, unknown>, most: number): void {
  if (map.size <= most) return;
  const [oldest] = map.keys();
  if (oldest !== undefined) map.delete(oldest);
}
