/**
 * `npm run bench:recovery`: how long an answer stands still when a worker of its route is lost, with a replica and without: a tab that
 * closes (says goodbye), one whose process is killed, one that is stopped (SIGSTOP), at several lengths. Two stages in a real
 * Chromium on this machine, the server in this process, whose log gives the times.
 */
import { loadavg } from 'node:os';
import { Writable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { Command } from 'commander';
import { pino } from 'pino';
import type { Browser, Page } from 'puppeteer-core';
import { PAGE_FOLDER } from '../src/config/installation.ts';
import { openModelDirectory } from '../src/model/directory.ts';
import { startServer } from '../src/server/server.ts';
import { launchChromium } from '../test/support/chromium.ts';
import { processOf } from '../test/support/tab-process.ts';

const flags = new Command('bench:recovery')
  .option('--rounds <n>', 'of each loss at each length', '5')
  .option('--positions <list>', 'positions held when the worker is lost', '32,128,400')
  .option('--losses <list>', 'goodbye, killed, frozen', 'goodbye,killed,frozen')
  .option('--replicas <n>', 'workers that hold each range', '2')
  .option('--model <dir>', 'in Hugging Face layout', 'models/minnow')
  .parse()
  .opts<{ rounds: string; positions: string; losses: string; replicas: string; model: string }>();

type HowLost = 'goodbye' | 'killed' | 'frozen';
interface LogLine {
  readonly msg: string;
  readonly atMs: number;
  readonly positions?: readonly number[];
  readonly downloadedBytes?: number;
}
interface Round {
  readonly how: string;
  readonly positions: number;
  readonly replayMs: number;
  readonly nextTokenMs: number;
  readonly computed: readonly number[];
  readonly loadedBytes: number;
  /** Replay by the replacement over prefill by the lost one, rows a second as the workers measure them; null where one has not told. */
  readonly rateRatio: number | null;
}

const STAGES = 2;
const REPLICAS = Number(flags.replicas);
const note = (text: string) => process.stderr.write(`${text}\n`);
const lines: LogLine[] = [];
const log = pino(
  { level: 'info', timestamp: false },
  new Writable({
    write(chunk: Buffer, _encoding, done) {
      const atMs = performance.now();
      for (const line of chunk.toString().split('\n')) {
        if (line !== '') lines.push({ ...(JSON.parse(line) as LogLine), atMs });
      }
      done();
    },
  }),
);

const server = await startServer({
  node: {
    kind: 'mesh',
    model: await openModelDirectory(flags.model, { model: 'bench' }),
    expectWorkers: STAGES,
    minStages: STAGES,
    maxStages: STAGES,
    replicas: REPLICAS,
  },
  port: 0,
  pageDirectory: PAGE_FOLDER,
  log,
});
const browser: Browser = await launchChromium();
const tabs = new Map<string, { page: Page; pid: number }>();
let count = 0;

async function addTab(): Promise<void> {
  const name = `tab-${++count}`;
  const page = await browser.newPage();
  await page.goto(`${server.url}/?auto=1&name=${name}&memory=1`);
  tabs.set(name, { page, pid: await processOf(browser, page) });
}

/** Until so many workers hold layers, and the route is live. */
async function untilHeld(workers: number): Promise<void> {
  const endsAt = performance.now() + 120_000;
  while (performance.now() < endsAt) {
    const status = await server.status();
    const serving = status.workers.filter(({ state }) => state === 'serving').length;
    if (status.ready && serving >= workers) return;
    await delay(200);
  }
  throw new Error(`no ${workers} serving workers in 120 s: ${(await server.status()).detail}`);
}

async function lose(how: HowLost, name: string): Promise<void> {
  const tab = tabs.get(name)!;
  tabs.delete(name);
  if (how === 'goodbye') void tab.page.close();
  else process.kill(tab.pid, how === 'killed' ? 'SIGKILL' : 'SIGSTOP');
}

/** A greedy answer whose second stage is lost `positions` positions in. */
async function round(how: HowLost, positions: number): Promise<Round> {
  const prompt = Array.from({ length: positions }, (_, i) => 5 + ((i * 37) % 1_000));
  const response = await server.fetch(`${server.url}/v1/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      model: 'bench',
      prompt,
      max_tokens: 90,
      ignore_eos: true,
      temperature: 0,
      stream: true,
    }),
  });
  lines.length = 0;
  let [victim, pid, rateBefore] = ['', 0, null as number | null];
  const rateOf = async (name: string) =>
    (await server.status()).workers.find((worker) => worker.name === name)?.prefillRowsPerSecond ?? null;
  let [pieces, lostAt, nextAt] = [0, 0, 0];
  const decoder = new TextDecoder();
  for await (const bytes of response.body!) {
    const text = decoder.decode(bytes, { stream: true });
    if (text.includes('"error"')) throw new Error(text);
    if (lostAt > 0 && nextAt === 0 && lines.some(({ msg }) => msg.startsWith('sequence goes on'))) {
      nextAt = performance.now();
    }
    pieces += text.split('data: {').length - 1;
    if (pieces >= 4 && lostAt === 0) {
      // Once a second a worker tells its rates.
      await delay(1_200);
      victim = (await server.status()).routes![0]!.stages[STAGES - 1]!.name;
      pid = tabs.get(victim)!.pid;
      rateBefore = await rateOf(victim);
      lostAt = performance.now();
      await lose(how, victim);
    }
  }
  if (how === 'frozen') process.kill(pid, 'SIGKILL');
  const onward = lines.find(({ msg }) => msg.startsWith('sequence goes on'));
  if (onward === undefined) throw new Error(`${victim} was lost and the answer did not move`);
  await delay(1_200);
  const replacement = onward.msg.split(' by ')[1]!.split(', ')[STAGES - 1]!.split(':')[0]!;
  const rateAfter = await rateOf(replacement);
  const loaded = lines.filter(({ atMs, downloadedBytes }) => downloadedBytes !== undefined && atMs < nextAt);
  return {
    how,
    positions,
    replayMs: onward.atMs - lostAt,
    nextTokenMs: nextAt - lostAt,
    computed: onward.positions ?? [],
    rateRatio: rateBefore === null || rateAfter === null ? null : rateAfter / rateBefore,
    loadedBytes: loaded.reduce((sum, { downloadedBytes = 0 }) => sum + downloadedBytes, 0),
  };
}

const rounds: Round[] = [];
try {
  const wanted = STAGES * REPLICAS;
  for (const how of flags.losses.split(',') as HowLost[]) {
    for (const positions of flags.positions.split(',').map(Number)) {
      for (let i = 0; i < Number(flags.rounds); i++) {
        while (tabs.size < wanted) await addTab();
        await untilHeld(wanted);
        const result = await round(how, positions);
        rounds.push(result);
        note(
          `${how}, ${positions}: ${result.replayMs.toFixed(0)} ms to the replay, ${result.nextTokenMs.toFixed(0)} ms to the next token; computed ${result.computed.join(' · ')}`,
        );
      }
    }
  }
  const quantile = (values: readonly number[], q: number) =>
    [...values].sort((a, b) => a - b)[Math.ceil(q * values.length) - 1] ?? 0;
  const table = [
    '| loss | positions | rounds | to the replay p50 / p95 ms | to the next token p50 / p95 ms | positions computed by stage (lost: last) | bytes loaded meanwhile | replay rate over prefill rate |',
    '|---|--:|--:|--:|--:|---|--:|--:|',
  ];
  for (const key of new Set(rounds.map(({ how, positions }) => `${how}|${positions}`))) {
    const those = rounds.filter(({ how, positions }) => `${how}|${positions}` === key);
    const [replays, tokens] = [
      those.map(({ replayMs }) => replayMs),
      those.map(({ nextTokenMs }) => nextTokenMs),
    ];
    const [how, positions] = key.split('|');
    table.push(
      `| ${how} | ${positions} | ${those.length} | ${quantile(replays, 0.5).toFixed(0)} / ${quantile(replays, 0.95).toFixed(0)} | ` +
        `${quantile(tokens, 0.5).toFixed(0)} / ${quantile(tokens, 0.95).toFixed(0)} | ${those[0]!.computed.join(' · ')} | ` +
        `${Math.max(...those.map(({ loadedBytes }) => loadedBytes))} | ${quantile(
          those.flatMap(({ rateRatio }) => rateRatio ?? []),
          0.5,
        ).toFixed(2)} |`,
    );
  }
  process.stdout.write(`${table.join('\n')}\n\nload ${loadavg()[0]!.toFixed(1)}, replicas ${REPLICAS}\n`);
} finally {
  await browser.close();
  await server.close();
}
