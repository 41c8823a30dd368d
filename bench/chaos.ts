/**
 * `npm run bench:chaos`: answers of real tabs in a real Chromium, while tabs are killed, stopped, reloaded, closed and added and the
 * server is killed: each text must be the undisturbed one, or its client must be told by the deadline why it is not.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Command } from 'commander';
import { seededRandom } from '../test/mesh/seeded.ts';
import { launchChromium } from '../test/support/chromium.ts';
import { type ResumedAnswer, resumableChat } from '../test/support/resumable-client.ts';
import { ChaosTabs } from './chaos-faults.ts';
import { ChaosServer } from './chaos-server.ts';

const flags = new Command('bench:chaos')
  .option('--requests <n>', 'answers', '200')
  .option('--at-once <n>', 'of them', '4')
  .option('--tabs <n>', 'at the start', '4')
  .option('--server-kills <n>', 'SIGKILL of the server', '3')
  .option('--fault-every <ms>', 'a fault of a tab', '4000')
  .option('--deadline <seconds>', 'of each answer', '180')
  .option('--seed <n>', 'of the faults', '1')
  .option('--port <n>', 'of the server', '9711')
  .option('--serve <args>', 'more arguments of shoal serve', '--min-stages 2')
  .parse()
  .opts<Record<string, string>>();
const number = (name: string): number => Number(flags[name]);
const note = (text: string) => process.stderr.write(`${text}\n`);

const TOPICS = ['a fox', 'a boat', 'the moon', 'a small dog', 'the sea', 'a red house', 'winter', 'a bird'];
const body = (index: number) => ({
  model: 'minnow',
  messages: [{ role: 'user', content: `Tell me a short story about ${TOPICS[index % TOPICS.length]}.` }],
  temperature: 0.8,
  seed: index % 16,
  max_tokens: 60,
  ...(index % 3 === 0 && { frequency_penalty: 0.5 }),
});

const random = seededRandom(number('seed'));

const stateFolder = await mkdtemp(join(tmpdir(), 'shoal-chaos-'));
const server = await ChaosServer.start(number('port'), [
  '--model',
  'minnow',
  '--state',
  stateFolder,
  ...(flags.serve ?? '').split(' ').filter((word) => word !== ''),
]);
const browser = await launchChromium();
const tabs = new ChaosTabs(browser, server.url);
const faults = new Map<string, number>();
const count = (kind: string) => faults.set(kind, (faults.get(kind) ?? 0) + 1);
let done = 0;
let isOver = false;

async function untilReady(): Promise<void> {
  while (!(await server.status<{ ready: boolean }>()).ready) await delay(200);
}

/** One fault after another; never so many that nobody is left. */
async function disturb(): Promise<void> {
  while (!isOver) {
    await delay(number('faultEvery') * (0.5 + random()));
    if (isOver) return;
    const at = Math.floor(random() * 1_000);
    const kinds =
      tabs.size > 3 ? ['kill', 'freeze', 'reload', 'close', 'add'] : ['freeze', 'reload', 'add', 'add'];
    const kind = tabs.size > 6 ? 'kill' : kinds[Math.floor(random() * kinds.length)]!;
    count(kind);
    note(`  ${kind} (${tabs.size} tabs, ${done} answers)`);
    if (kind === 'kill') tabs.kill(at);
    else if (kind === 'close') tabs.close(at);
    else if (kind === 'reload') await tabs.reload(at);
    else if (kind === 'freeze') await tabs.freeze(at, 1_000 + random() * 9_000);
    else await tabs.add().catch((error: unknown) => note(`  a tab could not be added: ${error}`));
  }
}

async function killServer(): Promise<void> {
  const kills = number('serverKills');
  for (let kill = 1; kill <= kills; kill++) {
    while (!isOver && done < (number('requests') * kill) / (kills + 1)) await delay(200);
    if (isOver) return;
    count('server killed');
    const awayMs = 500 + random() * 3_000;
    note(`  the server is killed, for ${(awayMs / 1_000).toFixed(1)} s`);
    await server.restart(awayMs);
  }
}

const told: string[] = [];
const wrong: string[] = [];
const answers: ResumedAnswer[] = [];
try {
  for (let i = 0; i < number('tabs'); i++) await tabs.add();
  await untilReady();
  note('undisturbed answers first');
  const expected = new Map<string, string>();
  const keyOf = (index: number) => JSON.stringify(body(index));
  for (let index = 0; index < Math.min(48, number('requests')); index++) {
    if (expected.has(keyOf(index))) continue;
    expected.set(keyOf(index), (await resumableChat(server.url, body(index), 120_000)).text);
  }
  const startedAt = performance.now();
  let next = 0;
  const client = async (): Promise<void> => {
    for (let index = next++; index < number('requests'); index = next++) {
      try {
        const answer = await resumableChat(server.url, body(index % 48), number('deadline') * 1_000);
        answers.push(answer);
        if (answer.text !== expected.get(keyOf(index % 48))) {
          wrong.push(
            `${index}: ${JSON.stringify(answer.text)} for ${JSON.stringify(expected.get(keyOf(index % 48)))}`,
          );
        }
      } catch (error) {
        told.push(`${index}: ${error instanceof Error ? error.message : String(error)}`);
      }
      done++;
    }
  };
  const disturbing = [disturb(), killServer()];
  await Promise.all(Array.from({ length: number('atOnce') }, client));
  isOver = true;
  await Promise.all(disturbing);
  const seconds = (performance.now() - startedAt) / 1_000;
  const pauses = answers.map(({ longestPauseMs }) => longestPauseMs).sort((a, b) => a - b);
  const quantile = (q: number) => ((pauses[Math.floor(q * (pauses.length - 1))] ?? 0) / 1_000).toFixed(2);
  process.stdout.write(
    `${[
      `| answers | equal | wrong | told an error | over several connections | faults | longest pause p50 / p95 / max s | seconds | load |`,
      `|--:|--:|--:|--:|--:|---|---|--:|--:|`,
      `| ${done} | ${answers.length - wrong.length} | ${wrong.length} | ${told.length} | ${answers.filter(({ connections }) => connections > 1).length} | ${[...faults].map(([kind, n]) => `${n} ${kind}`).join(', ')} | ${quantile(0.5)} / ${quantile(0.95)} / ${quantile(1)} | ${seconds.toFixed(0)} | ${loadavg()[0]!.toFixed(1)} |`,
      ...wrong.map((line) => `wrong ${line}`),
      ...told.map((line) => `told ${line}`),
      ...(await server.metrics('shoal_mesh_').catch(() => [])),
    ].join('\n')}\n`,
  );
  process.exitCode = wrong.length > 0 ? 1 : 0;
} finally {
  isOver = true;
  await browser.close();
  await server.close();
  await rm(stateFolder, { recursive: true, force: true });
}
