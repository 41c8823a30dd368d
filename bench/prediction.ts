/**
 * `npm run bench:prediction`: what the mesh says before a placement's first token, against what is then measured. Real tabs in a headless
 * Chromium on this machine, the server in this process; tabs come and go and lend different memory, so that each placement cuts
 * the layers as none before it did. What earlier placements taught may help: the mesh runs on.
 */
import { cpus, loadavg } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { Command } from 'commander';
import { pino } from 'pino';
import type { Page } from 'puppeteer-core';
import { PAGE_FOLDER } from '../src/config/installation.ts';
import { openModelDirectory } from '../src/model/directory.ts';
import { startServer } from '../src/server/server.ts';
import { launchChromium } from '../test/support/chromium.ts';

const flags = new Command('bench:prediction')
  .option('--tokens <n>', 'of each answer', '64')
  .option('--answers <n>', 'after each placement; the first is the one that is compared', '2')
  .option(
    '--tabs <list>',
    'placements, each of tabs by the layers that they have memory for',
    '8 8,8 8,8,8 8,1 8,2 8,8,1 8,3 8,8,8,8 8,2,2 8,1,1 8,8,2,1 8,8,2 8,8,8,8,8',
  )
  .option('--placements <n>', 'new cuts, then it ends', '10')
  .option('--model <dir>', 'in Hugging Face layout', 'models/minnow')
  .parse()
  .opts<{ tokens: string; answers: string; tabs: string; placements: string; model: string }>();

interface Placed {
  readonly cut: string;
  readonly said: Figures;
  readonly had: Figures;
  /** The next answer on the same placement: how far measurements are from themselves. */
  readonly again: Figures | null;
  readonly load: number;
}
interface Figures {
  readonly tokensPerSecond: number;
  readonly firstTokenMs: number;
}

/** Positions of the prompt that the server's word on the first token is about. */
const PROMPT = Array.from({ length: 32 }, (_, i) => 5 + ((i * 37) % 1_000));
const PLACED_DEADLINE_MS = 120_000;
/** Workers tell their rates once a second. */
const TOLD_MS = 1_500;

const note = (text: string) => process.stderr.write(`${text}\n`);
const model = await openModelDirectory(flags.model, { model: 'bench' });
const server = await startServer({
  node: { kind: 'mesh', model, minStages: 8, replicas: 1 },
  port: 0,
  pageDirectory: PAGE_FOLDER,
  log: pino({ level: 'silent' }),
});
const browser = await launchChromium();
const tabs: { readonly layers: number; readonly name: string; readonly page: Page }[] = [];
let count = 0;

/** Closes and opens tabs until those that are there have memory for so many layers each. */
async function setTabs(wanted: readonly number[]): Promise<void> {
  const missing = [...wanted];
  for (const tab of [...tabs]) {
    const index = missing.indexOf(tab.layers);
    if (index >= 0) missing.splice(index, 1);
    else {
      tabs.splice(tabs.indexOf(tab), 1);
      await tab.page.close();
    }
  }
  const { share } = (await server.status()).model!;
  const { layerGpuBytes, endsGpuBytes, scratchGpuBytes } = share!;
  for (const layers of missing) {
    const name = `tab-${++count}`;
    const page = await browser.newPage();
    const gigabytes = (layers * layerGpuBytes + endsGpuBytes + 1.2 * scratchGpuBytes) / 1e9;
    await page.goto(`${server.url}/?auto=1&name=${name}&memory=${layers === 8 ? 1 : gigabytes}`);
    tabs.push({ layers, name, page });
  }
}

/** Until all tabs are stages of the route that serves, and nothing loads. */
async function placed(): Promise<string[]> {
  const endsAt = performance.now() + PLACED_DEADLINE_MS;
  let status = await server.status();
  while (performance.now() < endsAt) {
    status = await server.status();
    const stages = status.pipeline?.stages ?? [];
    const isWhole =
      stages.length === tabs.length && tabs.every(({ name }) => stages.some((s) => s.name === name));
    const isQuiet = status.workers.every(({ state }) => state === 'serving') && !status.loading;
    if (status.ready && isWhole && isQuiet)
      return stages.map(({ shard }) => `${shard.start}–${shard.end - 1}`);
    await delay(100);
  }
  const workers = status.workers.map(({ name, state, problem, spare }) => ({ name, state, problem, spare }));
  throw new Error(`not placed in time: ${status.detail}; ${JSON.stringify(workers)}`);
}

async function answered(): Promise<Figures> {
  const response = await server.fetch(`${server.url}/v1/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      model: 'bench',
      prompt: PROMPT,
      max_tokens: Number(flags.tokens),
      ignore_eos: true,
      temperature: 0,
    }),
  });
  const { shoal, error } = (await response.json()) as {
    shoal?: { restarts: number; tokens_per_second: number; time_to_first_token_ms: number };
    error?: { message: string };
  };
  if (shoal === undefined || shoal.restarts > 0) throw new Error(error?.message ?? 'the answer moved');
  return { tokensPerSecond: shoal.tokens_per_second, firstTokenMs: shoal.time_to_first_token_ms };
}

const errorOf = (said: number, had: number) => Math.abs(said - had) / had;
const percent = (share: number) => `${(100 * share).toFixed(0)} %`;
const median = (values: readonly number[]) => {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
};

const rows: Placed[] = [];
const seen = new Set<string>();
try {
  for (const step of flags.tabs.split(' ')) {
    if (rows.length === Number(flags.placements)) break;
    await setTabs(step.split(',').map(Number));
    let cut: string;
    try {
      cut = (await placed()).join(' · ');
    } catch (error) {
      note(`${step}: ${(error as Error).message}`);
      continue;
    }
    if (seen.has(cut)) {
      note(`${step}: ${cut} again`);
      continue;
    }
    seen.add(cut);
    // Before its first token.
    const { tokensPerSecond, firstTokenMs } = (await server.status()).predicted!;
    const said = { tokensPerSecond, firstTokenMs };
    const had = await answered();
    const load = loadavg()[0]!;
    note(
      `${cut}: said ${said.tokensPerSecond.toFixed(1)} tok/s, had ${had.tokensPerSecond.toFixed(1)}; first token ${said.firstTokenMs.toFixed(0)} ms, had ${had.firstTokenMs.toFixed(0)}; load ${load.toFixed(1)}`,
    );
    let again: Figures | null = null;
    for (let i = 1; i < Number(flags.answers); i++) {
      const next = await answered();
      again ??= next;
    }
    rows.push({ cut, said, had, again, load });
    await delay(TOLD_MS);
  }
  const speedErrors = rows.map(({ said, had }) => errorOf(said.tokensPerSecond, had.tokensPerSecond));
  const noise = rows.flatMap(({ had, again }) =>
    again === null ? [] : errorOf(again.tokensPerSecond, had.tokensPerSecond),
  );
  const firstErrors = rows.map(({ said, had }) => errorOf(said.firstTokenMs, had.firstTokenMs));
  const table = [
    '| placement | said tok/s | had tok/s | error | asked again, had | said first token ms | had | error | load |',
    '|---|--:|--:|--:|--:|--:|--:|--:|--:|',
    ...rows.map(({ cut, said, had, again, load }, i) =>
      [
        `| ${cut}`,
        said.tokensPerSecond.toFixed(1),
        had.tokensPerSecond.toFixed(1),
        percent(speedErrors[i]!),
        again?.tokensPerSecond.toFixed(1) ?? '–',
        said.firstTokenMs.toFixed(0),
        had.firstTokenMs.toFixed(0),
        percent(firstErrors[i]!),
        `${load.toFixed(1)} |`,
      ].join(' | '),
    ),
    '',
    `${rows.length} placements, ${flags.tokens} tokens each, prompt ${PROMPT.length}: median error ${percent(median(speedErrors))} of the speed, ` +
      `${percent(median(firstErrors))} of the first token, ${percent(median(noise))} between two answers on one placement; ${cpus()[0]?.model} (${cpus().length} cores), load ${loadavg()[0]!.toFixed(1)}.`,
  ];
  process.stdout.write(`${table.join('\n')}\n`);
} finally {
  await browser.close();
  await server.close();
}
