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

/** Answers after which a correction has taken in most of what they said. */
const CORRECTION_WEIGHT = 0.3;
/** What is not in the stages' own times (a machine that several tabs share, the browser between) is of this size at most. */
const CORRECTION_BOUND = 4;

/** By how much tokens have taken longer than was expected: one factor a number of stages, for each hop adds to it. */
export class Correction {
  readonly #byStages = new Map<number, number>();
  #any: number | null = null;

  /** @param predictedSeconds without correction, @param measuredSeconds of the same tokens */
  learn(stages: number, predictedSeconds: number, measuredSeconds: number): void {
    if (!(predictedSeconds > 0) || !(measuredSeconds > 0)) return;
    const log = Math.log(measuredSeconds / predictedSeconds);
    const most = Math.log(CORRECTION_BOUND);
    const bounded = Math.min(most, Math.max(-most, log));
    this.#byStages.set(stages, mixed(this.#byStages.get(stages) ?? null, bounded));
    this.#any = mixed(this.#any, bounded);
  }

  /** Seconds measured over seconds predicted, as expected for a route of so many stages. */
  factor(stages: number): number {
    return Math.exp(this.#byStages.get(stages) ?? this.#any ?? 0);
  }
}

function mixed(old: number | null, next: number): number {
  return old === null ? next : old + (next - old) * CORRECTION_WEIGHT;
}

export function corrected({ tokensPerSecond, firstTokenSeconds }: Prediction, factor: number): Prediction {
  return { tokensPerSecond: tokensPerSecond / factor, firstTokenSeconds };
}
