/**
 * `npm run bench:chat`: what an answer that comes in costs the page's main thread, at its beginning and at its end. In real
 * Chromium, with a scripted server behind the real application. `--page DIR` measures another build, in the same run.
 */
import { cpus, loadavg } from 'node:os';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import type { Browser, CDPSession } from 'puppeteer-core';
import { ChatServer } from '../test/support/chat-server.ts';
import { launchChromium } from '../test/support/chromium.ts';
import { TEXTS } from './chat-text.ts';

const flags = new Command('bench:chat')
  .option('--chars <n>', 'length of the answer', '20000')
  .option('--chars-per-second <n>', 'how fast it comes', '500')
  .option('--page <directory...>', 'builds to measure, one after the other', [
    fileURLToPath(new URL('../dist', import.meta.url)),
  ])
  .option('--text <kind...>', Object.keys(TEXTS).join(', '), Object.keys(TEXTS))
  .option('--json', 'one JSON object instead of a table')
  .parse()
  .opts<{
    chars: string;
    charsPerSecond: string;
    page: string[];
    text: (keyof typeof TEXTS)[];
    json?: boolean;
  }>();

const CHARS = Number(flags.chars);
const PER_SECOND = Number(flags.charsPerSecond);
/** Of an answer in pieces as a tokenizer makes them. */
const PIECE_CHARS = 5;
/** Shares are of the time in which so many characters come, around 7,000 and at the end. */
const WINDOW_CHARS = 2_000;

interface Window {
  /** Of the main thread's time. */
  readonly busy: number;
  readonly script: number;
  readonly layoutAndStyle: number;
  readonly msPerPiece: number;
}
interface Result {
  readonly page: string;
  readonly text: string;
  readonly windows: Record<string, Window>;
}

type Metrics = Record<string, number>;
async function metrics(session: CDPSession): Promise<Metrics> {
  const { metrics: all } = await session.send('Performance.getMetrics');
  return Object.fromEntries(all.map(({ name, value }) => [name, value]));
}

function between(before: Metrics, after: Metrics): Window {
  const seconds = (name: string) => after[name]! - before[name]!;
  const wall = seconds('Timestamp');
  return {
    busy: seconds('TaskDuration') / wall,
    script: seconds('ScriptDuration') / wall,
    layoutAndStyle: (seconds('LayoutDuration') + seconds('RecalcStyleDuration')) / wall,
    msPerPiece: (seconds('TaskDuration') * 1_000) / (WINDOW_CHARS / PIECE_CHARS),
  };
}

async function measure(browser: Browser, directory: string, kind: keyof typeof TEXTS): Promise<Result> {
  const text = TEXTS[kind](CHARS);
  const ends = [7_000 + WINDOW_CHARS / 2, CHARS];
  const server = await ChatServer.start(directory);
  const page = await browser.newPage();
  const session = await page.createCDPSession();
  await session.send('Performance.enable', { timeDomain: 'timeTicks' });
  const windows: Record<string, Window> = {};
  let done = () => {};
  const whole = new Promise<void>((resolve) => {
    done = resolve;
  });
  server.answer = () => ({
    pieces: (async function* () {
      let before: Metrics = {};
      const startMs = performance.now();
      for (let sent = 0; sent < text.length; sent += PIECE_CHARS) {
        if (ends.includes(sent + WINDOW_CHARS)) before = await metrics(session);
        yield text.slice(sent, sent + PIECE_CHARS);
        if (ends.includes(sent + PIECE_CHARS))
          windows[String(sent + PIECE_CHARS)] = between(before, await metrics(session));
        const dueMs = startMs + ((sent + PIECE_CHARS) * 1_000) / PER_SECOND;
        const waitMs = dueMs - performance.now();
        if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs));
      }
      done();
    })(),
  });
  try {
    await page.goto(server.url);
    await page.waitForSelector('.ask textarea[placeholder="Ask something…"]');
    await page.type('.ask textarea', 'Go.');
    await page.keyboard.press('Enter');
    await whole;
    return { page: directory, text: kind, windows };
  } finally {
    await page.close();
    await server.close();
  }
}

const browser = await launchChromium();
const results: Result[] = [];
try {
  for (const kind of flags.text)
    for (const directory of flags.page) {
      process.stderr.write(`measuring ${kind} in ${directory} …\n`);
      results.push(await measure(browser, directory, kind));
    }
} finally {
  await browser.close();
}

const percent = (share: number) => `${(share * 100).toFixed(0)} %`;
if (flags.json) process.stdout.write(`${JSON.stringify(results)}\n`);
else {
  const rows = results.flatMap(({ page, text, windows }) =>
    Object.entries(windows).map(
      ([end, { busy, script, layoutAndStyle, msPerPiece }]) =>
        `| ${page} | ${text} | ${Number(end) - WINDOW_CHARS}–${end} | ${percent(busy)} | ${percent(script)} | ${percent(layoutAndStyle)} | ${msPerPiece.toFixed(2)} |`,
    ),
  );
  process.stdout.write(
    [
      `${cpus()[0]?.model} (${cpus().length} cores), load ${loadavg()[0]!.toFixed(1)}; ${CHARS} characters at ${PER_SECOND} a second, ${PIECE_CHARS} a piece`,
      '',
      '| page | text | characters | main thread busy | script | layout and style | ms a piece |',
      '|---|---|---|--:|--:|--:|--:|',
      ...rows,
      '',
    ].join('\n'),
  );
}
