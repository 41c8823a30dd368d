/** What a route is expected to give, before its first token; and what is learnt when that was wrong. */
import type { LayerRange } from './mesh-view.ts';
import type { StepCost } from './served-rates.ts';
import type { StageCosts } from './stage-costs.ts';

export interface PredictedStage extends LayerRange {
  readonly cost: StepCost;
  /** Rows a second of prefill through these layers; null where it was never measured. */
  readonly prefillRowsPerSecond: number | null;
  /** Of the hop to the next stage; of the last, back to the first. 0 where there is one stage. */
  readonly hopSeconds: number;
}

export interface Prediction {
  readonly tokensPerSecond: number;
  /** Of a prompt of so many positions, on a route where nothing else runs. */
  readonly firstTokenSeconds: number;
}

/** Rows of a chunk of prefill take this share of a decode step's time each, where nothing was measured: they share the weights. */
const PREFILL_ROW_SHARE = 0.4;
/** Rows that a stage computes before the next one can begin. */
const CHUNK_ROWS = 64;

/** Chunks of prefill go through the stages one behind the other, so the slowest counts for all, the others for one chunk. */
export function predict(
  costs: StageCosts,
  stages: readonly PredictedStage[],
  promptPositions: number,
): Prediction {
  let [token, slowestRow, chunk] = [0, 0, 0];
  const rows = Math.min(promptPositions, CHUNK_ROWS);
  for (const { start, end, cost, prefillRowsPerSecond, hopSeconds } of stages) {
    const step = cost.stepSeconds + costs.macs(start, end) / cost.macsPerSecond;
    token += step + hopSeconds;
    const row =
      prefillRowsPerSecond !== null && prefillRowsPerSecond > 0
        ? 1 / prefillRowsPerSecond
        : step * PREFILL_ROW_SHARE;
    slowestRow = Math.max(slowestRow, row);
    chunk += rows * row + hopSeconds;
  }
  return {
    tokensPerSecond: 1 / token,
    firstTokenSeconds: chunk + Math.max(0, promptPositions - rows) * slowestRow,
  };
}

/**
 * Weight of the newest measurement: machines are busier at one time than at another, so what all routes have in common follows quickly,
 * what a number of stages adds to it slowly. There are many tokens, and one first token an answer.
 */
const WEIGHTS = {
  token: { common: 0.1, stages: 0.03 },
  firstToken: { common: 0.4, stages: 0.15 },
} as const;
/** What is not in the stages' own times (a machine that several tabs share, the browser between) is of this size at most. */
const CORRECTION_BOUND = 4;

/** By how much tokens have taken longer than was expected: what is common to all routes, and what each number of stages adds. */
export class Correction {
  /** Logarithms of factors. */
  readonly #byStages = new Map<number, number>();
  #common: number | null = null;
  readonly #weights: (typeof WEIGHTS)[keyof typeof WEIGHTS];

  constructor(of: keyof typeof WEIGHTS) {
    this.#weights = WEIGHTS[of];
  }

  /** @param predictedSeconds without correction, @param measuredSeconds of the same tokens */
  learn(stages: number, predictedSeconds: number, measuredSeconds: number): void {
    if (!(predictedSeconds > 0) || !(measuredSeconds > 0)) return;
    const most = Math.log(CORRECTION_BOUND);
    const log = Math.min(most, Math.max(-most, Math.log(measuredSeconds / predictedSeconds)));
    const own = this.#nearest(stages);
    this.#common ??= log - own;
    const missed = log - this.#common - own;
    this.#common += missed * this.#weights.common;
    this.#byStages.set(stages, own + missed * this.#weights.stages);
  }

  /** Seconds measured over seconds predicted, as expected for a route of so many stages. */
  factor(stages: number): number {
    const most = Math.log(CORRECTION_BOUND);
    const log = (this.#common ?? 0) + this.#nearest(stages);
    return Math.exp(Math.min(most, Math.max(-most, log)));
  }

  /** Of as many stages, or of the number next to it that has been on. */
  #nearest(stages: number): number {
    let [found, distance] = [0, Number.POSITIVE_INFINITY];
    for (const [count, log] of this.#byStages) {
      if (Math.abs(count - stages) >= distance) continue;
      [found, distance] = [log, Math.abs(count - stages)];
    }
    return found;
  }
}

/** @param token of a token's time @param firstToken of the first one's */
export function corrected(
  { tokensPerSecond, firstTokenSeconds }: Prediction,
  { token, firstToken }: { readonly token: number; readonly firstToken: number },
): Prediction {
  return { tokensPerSecond: tokensPerSecond / token, firstTokenSeconds: firstTokenSeconds * firstToken };
}
