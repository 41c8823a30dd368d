/**
 * `npm run bench:page [-- --url http://localhost:8080]`: the bytes that a browser takes from the server when it opens the page,
 * when it opens it again, and when its visitor presses Join, as the browser counts them: bodies as they were sent, and headers.
 */
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { pino } from 'pino';
import type { Browser, Page } from 'puppeteer-core';
import { openModelDirectory } from '../src/model/directory.ts';
import { startServer } from '../src/server/server.ts';
import { launchChromium } from '../test/support/chromium.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const SETTLED_MS = 1_500;

interface Transfer {
  readonly requests: number;
  readonly bytes: number;
}

const { url } = new Command('first-load')
  .option('--url <url>', 'a server that runs; without it one is started on the built page')
  .parse()
  .opts<{ url?: string }>();
const server =
  url === undefined
    ? await startServer({
        node: { kind: 'mesh', model: await openModelDirectory(`${ROOT}models/minnow`) },
        port: 0,
        pageDirectory: `${ROOT}dist`,
        log: pino({ level: 'silent' }),
      })
    : null;
const browser = await launchChromium();
try {
  const rows = await measure(browser, url ?? server!.url);
  const line = ([name, { requests, bytes }]: readonly [string, Transfer]) =>
    `| ${name} | ${requests} | ${bytes.toLocaleString('en')} |`;
  process.stdout.write(`| what | requests | bytes |\n|---|--:|--:|\n${rows.map(line).join('\n')}\n`);
} finally {
  await browser.close();
  await server?.close();
}

async function measure(browser: Browser, address: string): Promise<(readonly [string, Transfer])[]> {
  const page = await browser.newPage();
  const first = await during(page, () => page.goto(address));
  const again = await during(page, () => page.reload());
  const joined = await during(page, async () => {
    await (await page.waitForSelector('::-p-aria(Join[role="button"])'))!.click();
    await page.waitForFunction(() => document.querySelector('.pill.serving, .pill.failed') !== null);
  });
  return [
    ['the page, opened for the first time', first],
    ['the page, opened again', again],
    ['Join: code of the page (weights, and what the worker fetches, apart)', joined],
  ];
}

/** What the page's own thread fetches, polls of the status apart: how many there are is a matter of time. */
async function during(page: Page, act: () => Promise<unknown>): Promise<Transfer> {
  const session = await page.createCDPSession();
  const open = new Set<string>();
  let [requests, bytes] = [0, 0];
  session.on('Network.requestWillBeSent', ({ requestId, request }) => {
    if (request.url.startsWith('http') && !request.url.endsWith('/api/status')) open.add(requestId);
  });
  session.on('Network.loadingFinished', ({ requestId, encodedDataLength }) => {
    if (!open.delete(requestId)) return;
    // Zero is what came out of the browser's cache without a question.
    if (encodedDataLength > 0) requests++;
    bytes += encodedDataLength;
  });
  await session.send('Network.enable');
  await act();
  await new Promise((resolve) => setTimeout(resolve, SETTLED_MS));
  await session.detach();
  return { requests, bytes };
}
