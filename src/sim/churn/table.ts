/** Placement rules side by side: the same machines come and go, only who decides differs. */
import { medianOf } from '../../schedule/mesh-view.ts';
import { type ChurnResult, runChurn } from './churn.ts';
import { parallaxPolicy, petalsPolicy, shoalPolicy } from './policies.ts';

export interface TableRow extends ChurnResult {
  readonly workers: number;
}

const POLICIES = [() => shoalPolicy(), petalsPolicy, () => parallaxPolicy()] as const;

/** Answers at once: one for ten workers. */
const MOST_STREAMS = 100;

/** In a small room chance decides more than the rule: of so many seeds the median of each figure. */
const SMALL_ROOM = 30;
const SEEDS = 5;

/** Of larger rooms less time is looked at, and less often: they change as much in it. */
function spanOf(workers: number): { seconds: number; stepSeconds: number } {
  if (workers <= 30) return { seconds: 3_600, stepSeconds: 3 };
  if (workers <= 100) return { seconds: 1_800, stepSeconds: 5 };
  return workers <= 1_000 ? { seconds: 600, stepSeconds: 10 } : { seconds: 120, stepSeconds: 20 };
}

export function* placementTable(sizes: readonly number[], seed: number, seeds = SEEDS): Generator<TableRow> {
  for (const workers of sizes) {
    for (const policy of POLICIES) {
      const concurrency = Math.min(MOST_STREAMS, Math.max(1, Math.round(workers / 10)));
      const results = Array.from({ length: workers <= SMALL_ROOM ? seeds : 1 }, (_, index) =>
        runChurn({ seed: seed + index, workers, policy, concurrency, ...spanOf(workers) }),
      );
      yield { workers, ...median(results) };
    }
  }
}

function median(results: readonly ChurnResult[]): ChurnResult {
  const of = (figure: (result: ChurnResult) => number) => medianOf(results.map(figure));
  return {
    policy: results[0]!.policy,
    coverage: of(({ coverage }) => coverage),
    tokensPerSecond: of(({ tokensPerSecond }) => tokensPerSecond),
    bound: of(({ bound }) => bound),
    firstTokenSeconds: of(({ firstTokenSeconds }) => firstTokenSeconds),
    pausesPerHour: of(({ pausesPerHour }) => pausesPerHour),
    pausedSecondsPerHour: of(({ pausedSecondsPerHour }) => pausedSecondsPerHour),
    movedPerHour: of(({ movedPerHour }) => movedPerHour),
    loadedBytesPerHour: of(({ loadedBytesPerHour }) => loadedBytesPerHour),
    decideMs: {
      mean: of(({ decideMs }) => decideMs.mean),
      p99: of(({ decideMs }) => decideMs.p99),
      worst: of(({ decideMs }) => decideMs.worst),
    },
  };
}

export function tableText(rows: readonly TableRow[]): string {
  const head =
    '| workers | rule | every layer held | tokens/s | of the bound | first token | pauses an hour | paused an hour | layers moved an hour | loaded an hour | a decision, mean / p99 / worst |';
  const lines = rows.map((row) => {
    const cells = [
      row.workers,
      row.policy,
      `${(row.coverage * 100).toFixed(1)} %`,
      row.tokensPerSecond.toFixed(1),
      `${((row.tokensPerSecond / row.bound) * 100).toFixed(0)} %`,
      `${row.firstTokenSeconds.toFixed(2)} s`,
      row.pausesPerHour.toFixed(1),
      `${row.pausedSecondsPerHour.toFixed(1)} s`,
      row.movedPerHour.toFixed(0),
      `${(row.loadedBytesPerHour / 1e9).toFixed(0)} GB`,
      `${row.decideMs.mean.toFixed(1)} / ${row.decideMs.p99.toFixed(0)} / ${row.decideMs.worst.toFixed(0)} ms`,
    ];
    return `| ${cells.join(' | ')} |`;
  });
  return [head, `|${'---|'.repeat(11)}`, ...lines, ''].join('\n');
}
