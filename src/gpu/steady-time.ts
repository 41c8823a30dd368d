/** Attempts whose best so many lie close together tell the adapter's own speed, and not what else the machine does. */
const AGREEING = 3;
/** How close: the largest of the best over the least. */
const CLOSE = 1.1;
/** Between two attempts: others' work comes in bursts, and attempts in a row would all fall into one. */
const PAUSE_MS = 10;

export interface SteadyTimeOptions {
  /** One short attempt; its time in ms. */
  readonly attempt: () => Promise<number>;
  /** Attempts made before, spread over time, in ms. */
  readonly earlier: readonly number[];
  /** No attempt begins after so long. */
  readonly boundMs: number;
  readonly now: () => number;
  readonly sleep: (ms: number) => Promise<void>;
}

/**
 * The best time of attempts that are spread over a bounded while, in ms. On a quiet machine the earlier ones agree already and
 * nothing is waited for; on a busy one most are too long, never too short, so the best is what counts.
 */
export async function steadyTime({
  attempt,
  earlier,
  boundMs,
  now,
  sleep,
}: SteadyTimeOptions): Promise<number> {
  const times = [...earlier];
  const untilMs = now() + boundMs;
  while (!isSettled(times) && now() < untilMs) {
    if (times.length > 0) await sleep(PAUSE_MS);
    times.push(await attempt());
  }
  return Math.min(...times);
}

function isSettled(times: readonly number[]): boolean {
  const best = [...times].sort((a, b) => a - b).slice(0, AGREEING);
  return best.length === AGREEING && best[AGREEING - 1]! <= best[0]! * CLOSE;
}
