import type { StepTimings } from '../gpu/stage-engine.ts';
import type { HopTimings } from '../mesh/protocol/control.ts';
import { MiddleRate } from './middle-rate.ts';

export interface HopSummary {
  /** Absent before the first decode step. */
  readonly timings: HopTimings | null;
  readonly decodeSteps: number;
  readonly decodeRows: number;
  readonly prefillRows: number;
  /** While it prefilled; null before the first. */
  readonly prefillRowsPerSecond: number | null;
}

/** Weight of the newest value: a mean over about the last 32. */
const SMOOTHING = 1 / 32;

/**
 * What one hop of this stage costs, kept as means over the last steps, so that nothing grows. What the server cuts and routes by,
 * the time of a decode step and the rate of prefill, is of the middle half: one step beside others' work must not move layers.
 */
export class HopStats {
  readonly #means = new Map<string, number>();
  readonly #decode = new MiddleRate();
  readonly #prefill = new MiddleRate();
  #decodeSteps = 0;
  #decodeRows = 0;
  #prefillRows = 0;

  step(timings: StepTimings, decodeRows: number, prefillRows: number): void {
    this.#decodeRows += decodeRows;
    this.#prefillRows += prefillRows;
    if (prefillRows > 0) {
      // Rows cost alike, so those of answers beside the prompts count in the rate.
      const ms = timings.uploadMs + timings.computeMs + timings.readbackMs;
      this.#prefill.add(prefillRows + decodeRows, ms);
      return;
    }
    this.#decodeSteps += 1;
    this.#observe('uploadMs', timings.uploadMs);
    this.#decode.add(1, timings.computeMs);
    this.#observe('readbackMs', timings.readbackMs);
  }

  packed(ms: number, bytes: number, rows: number, isDecode: boolean): void {
    if (!isDecode) return;
    this.#observe('packMs', ms);
    this.#observe('bytes', bytes / Math.max(1, rows));
  }

  unpacked(ms: number, isDecode: boolean): void {
    if (isDecode) this.#observe('unpackMs', ms);
  }

  wireRtt(ms: number): void {
    this.#observe('wireRttMs', ms);
  }

  summary(): HopSummary {
    const mean = (name: string): number => this.#means.get(name) ?? 0;
    const prefillRowMs = this.#prefill.msOfOne;
    return {
      timings:
        this.#decodeSteps === 0
          ? null
          : {
              uploadMs: mean('uploadMs'),
              computeMs: this.#decode.msOfOne ?? 0,
              readbackMs: mean('readbackMs'),
              packMs: mean('packMs'),
              unpackMs: mean('unpackMs'),
              wireRttMs: mean('wireRttMs'),
              bytesPerToken: mean('bytes'),
            },
      decodeSteps: this.#decodeSteps,
      decodeRows: this.#decodeRows,
      prefillRows: this.#prefillRows,
      // A clock of whole milliseconds may see none.
      prefillRowsPerSecond: prefillRowMs === null || prefillRowMs === 0 ? null : 1_000 / prefillRowMs,
    };
  }

  #observe(name: string, value: number): void {
    const mean = this.#means.get(name);
    this.#means.set(name, mean === undefined ? value : mean + (value - mean) * SMOOTHING);
  }
}
