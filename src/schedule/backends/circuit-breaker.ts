/**
 * Whether a node is given requests, from what became of those it had. Pure: time and chance are passed in.
 *
 * closed → open after failures in a row, or a share of failures over a window; open → half-open when its back-off has
 * passed; half-open admits one trial, and another when that one has neither ended nor begun to answer within
 * BREAKER_TRIAL_MS: an answer that is no stream takes minutes to its first byte. The trial's first byte, or a probe that
 * found the node back, closes the circuit on probation: the back-off is forgotten with the first whole answer, and until
 * then one more failure opens it again.
 */
import {
  BREAKER_BACKOFF_MAX_MS,
  BREAKER_BACKOFF_MIN_MS,
  BREAKER_FAILURE_SHARE,
  BREAKER_FAILURES,
  BREAKER_MIN_OUTCOMES,
  BREAKER_TRIAL_MS,
  BREAKER_WINDOW_MS,
  BREAKER_WINDOW_OUTCOMES,
} from '../../config/limits.ts';

export type BreakerState = 'closed' | 'open' | 'half-open';

/**
 * One request that the breaker let through. Exactly one of `succeeded`, `failed` and `released` ends it; later calls do
 * nothing, so a trial can neither be counted twice nor be left open.
 */
export interface Admission {
  /** The first byte is there. */
  answering(): void;
  succeeded(nowMs: number): void;
  failed(nowMs: number, random: number): void;
  /** Ended without a verdict on the node: the client hung up, the node was busy. */
  released(): void;
}

interface Outcome {
  readonly atMs: number;
  readonly failed: boolean;
}

export class CircuitBreaker {
  #outcomes: Outcome[] = [];
  #failuresInRow = 0;
  /** While open: when the trial may come. */
  #retryAtMs: number | null = null;
  /** Openings since the last whole answer. */
  #openings = 0;
  /** The latest, while it runs. */
  #trial: { readonly sinceMs: number } | null = null;
  /** Verdicts on requests that were admitted before the circuit opened or closed say nothing new. */
  #generation = 0;

  state(nowMs: number): BreakerState {
    if (this.#retryAtMs === null) return 'closed';
    return nowMs < this.#retryAtMs ? 'open' : 'half-open';
  }

  admits(nowMs: number): boolean {
    const state = this.state(nowMs);
    if (state !== 'half-open') return state === 'closed';
    return this.#trial === null || nowMs - this.#trial.sinceMs >= BREAKER_TRIAL_MS;
  }

  /** Until the circuit admits a trial; 0 where it admits. While the trial runs nobody knows: the shortest back-off. */
  waitMs(nowMs: number): number {
    if (this.admits(nowMs)) return 0;
    return Math.max(this.#retryAtMs! - nowMs, this.#trial === null ? 0 : BREAKER_BACKOFF_MIN_MS);
  }

  /** The share of failures among the window's outcomes; 0 where there are too few to say. */
  failureShare(nowMs: number): number {
    this.#forget(nowMs);
    if (this.#outcomes.length < BREAKER_MIN_OUTCOMES) return 0;
    return this.#outcomes.filter(({ failed }) => failed).length / this.#outcomes.length;
  }

  /** For a request that goes to the node, as a rule only where `admits`. */
  admit(nowMs: number): Admission {
    const trial = this.state(nowMs) === 'half-open' ? { sinceMs: nowMs } : null;
    if (trial !== null) this.#trial = trial;
    let generation = this.#generation;
    let ended = false;
    const end = (verdict: () => void) => {
      if (ended) return;
      ended = true;
      if (generation !== this.#generation) return;
      if (this.#trial === trial) this.#trial = null;
      verdict();
    };
    return {
      answering: () => {
        if (ended || trial === null || generation !== this.#generation || this.#retryAtMs === null) return;
        this.#closeOnProbation();
        generation = this.#generation;
      },
      succeeded: (atMs) => end(() => this.#succeeded(atMs)),
      failed: (atMs, random) => end(() => this.#failed(atMs, random)),
      released: () => end(() => {}),
    };
  }

  /** The node was not ready when it was probed, and now is: nobody need wait, nor wait for a trial. */
  recovered(): void {
    if (this.#retryAtMs !== null) this.#closeOnProbation();
  }

  #succeeded(nowMs: number): void {
    if (this.#retryAtMs !== null) this.#close();
    this.#failuresInRow = 0;
    this.#openings = 0;
    this.#record({ atMs: nowMs, failed: false });
  }

  #failed(nowMs: number, random: number): void {
    this.#failuresInRow++;
    this.#record({ atMs: nowMs, failed: true });
    if (
      this.#retryAtMs !== null ||
      this.#failuresInRow >= BREAKER_FAILURES ||
      this.failureShare(nowMs) >= BREAKER_FAILURE_SHARE
    ) {
      this.#open(nowMs, random);
    }
  }

  /** Half of the back-off is chance, so that several gateways do not try a node that restarts at the same moment. */
  #open(nowMs: number, random: number): void {
    const backoff = Math.min(BREAKER_BACKOFF_MIN_MS * 2 ** this.#openings, BREAKER_BACKOFF_MAX_MS);
    this.#retryAtMs = nowMs + backoff * (0.5 + random / 2);
    this.#openings++;
    this.#nextGeneration();
  }

  #closeOnProbation(): void {
    this.#close();
    this.#failuresInRow = BREAKER_FAILURES - 1;
  }

  #close(): void {
    this.#retryAtMs = null;
    this.#nextGeneration();
  }

  #nextGeneration(): void {
    this.#generation++;
    this.#outcomes = [];
    this.#failuresInRow = 0;
    this.#trial = null;
  }

  #record(outcome: Outcome): void {
    this.#outcomes.push(outcome);
    if (this.#outcomes.length > BREAKER_WINDOW_OUTCOMES) this.#outcomes.shift();
  }

  #forget(nowMs: number): void {
    while (this.#outcomes[0] !== undefined && this.#outcomes[0].atMs < nowMs - BREAKER_WINDOW_MS) {
      this.#outcomes.shift();
    }
  }
}
