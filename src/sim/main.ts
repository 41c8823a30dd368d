/** `npm run sim`: see docs/SIMULATION.md. */
import { parseArgs } from 'node:util';
import { runChaos } from './chaos.ts';
import { placementTable, tableText } from './churn/table.ts';
import { loadText, runLoad } from './load.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seeds: { type: 'string', default: '200' },
    from: { type: 'string', default: '1' },
    seed: { type: 'string' },
    workers: { type: 'string' },
    replicas: { type: 'string' },
  },
});

const [what = 'table'] = positionals;
switch (what) {
  case 'table': {
    const rows = [];
    for (const row of placementTable(sizes([10, 30, 100, 1_000, 10_000]), Number(values.from))) {
      rows.push(row);
      process.stderr.write(`${row.workers} ${row.policy}\n`);
    }
    process.stdout.write(tableText(rows));
    break;
  }
  case 'chaos':
    process.exitCode = values.seed === undefined ? await chaos() : await replay(Number(values.seed));
    break;
  case 'load': {
    const rows = [];
    for (const workers of sizes([100, 1_000, 10_000])) {
      const replicas = values.replicas === undefined ? {} : { replicas: Number(values.replicas) };
      rows.push(await runLoad({ workers, seconds: 20, churnPerSecond: 2, seed: 1, ...replicas }));
      process.stderr.write(loadText(rows));
    }
    process.stdout.write(loadText(rows));
    break;
  }
  default:
    process.stderr.write(`'${what}' is none of: table, chaos, load\n`);
    process.exitCode = 2;
}

function sizes(usual: readonly number[]): readonly number[] {
  return values.workers?.split(',').map(Number) ?? usual;
}

/** One seed, with everything that is said in it. */
async function replay(seed: number): Promise<number> {
  const result = await runChaos(seed, { onLine: (line) => process.stdout.write(`${line}\n`) });
  process.stdout.write(`${JSON.stringify(result, null, 1)}\n`);
  return result.problems.length === 0 ? 0 : 1;
}

async function chaos(): Promise<number> {
  const from = Number(values.from);
  const count = Number(values.seeds);
  const startedMs = performance.now();
  const codes = new Map<string, number>();
  let [finished, failed, restarts, events, bad] = [0, 0, 0, 0, 0];
  for (let seed = from; seed < from + count; seed++) {
    const result = await runChaos(seed);
    finished += result.finished;
    failed += result.failures.length;
    restarts += result.restarts;
    events += result.events;
    for (const code of result.failures) codes.set(code, (codes.get(code) ?? 0) + 1);
    if (result.problems.length > 0) {
      bad += 1;
      process.stdout.write(`seed ${seed}: npm run sim -- chaos --seed ${seed}\n`);
      for (const problem of result.problems) process.stdout.write(`  ${problem}\n`);
    }
  }
  const seconds = (performance.now() - startedMs) / 1_000;
  const errors = [...codes].map(([code, times]) => `${code} ${times}`).join(', ') || 'none';
  process.stdout.write(
    `${count} schedules in ${seconds.toFixed(1)} s, ${events} events: ${bad} with problems; ` +
      `${finished} answers whole, ${failed} ended with an error (${errors}); ${restarts} went on on another route\n`,
  );
  return bad === 0 ? 0 : 1;
}
