/** `npx tsx tools/screenshot.ts`: docs/page.png and docs/page-phone.png, of the real page with a live pipeline of three tabs. */
import { fileURLToPath } from 'node:url';
import { pino } from 'pino';
import type { Browser, Viewport } from 'puppeteer-core';
import { launchBrowser } from '../src/cli/browser/launch.ts';
import { TabFleet } from '../src/cli/browser/tab-fleet.ts';
import { resolveModel } from '../src/config/catalogue.ts';
import { openModelDirectory } from '../src/model/directory.ts';
import { startServer } from '../src/server/server.ts';

const TABS = 3;
const QUESTIONS = ['What is the capital of Japan?', 'And its continent?', 'What is 27 + 15?'];
const VIEWPORTS: Record<string, Viewport> = {
  'docs/page.png': { width: 1180, height: 760, deviceScaleFactor: 1 },
  'docs/page-phone.png': { width: 390, height: 844, deviceScaleFactor: 2, isMobile: true, hasTouch: true },
};
const root = fileURLToPath(new URL('../', import.meta.url));
const browserOptions = { gpu: 'auto', headful: false, insecure: false, sandbox: true } as const;

const { directory, id } = resolveModel('minnow');
const server = await startServer({
  node: {
    kind: 'mesh',
    model: await openModelDirectory(directory, { model: id }),
    expectWorkers: TABS,
    minStages: TABS,
  },
  port: 0,
  pageDirectory: `${root}dist`,
  log: pino({ level: 'silent' }),
});
const live = new Promise<void>((resolve) => server.onPipelineLive(() => resolve()));
const fleet = new TabFleet({
  ...browserOptions,
  serverUrl: server.url,
  tabs: TABS,
  namePrefix: 'tab',
  onChange: () => {},
});
let browser: Browser | undefined;
try {
  await fleet.start();
  await live;
  browser = await launchBrowser({ ...browserOptions, tabs: 1 });
  for (const [file, viewport] of Object.entries(VIEWPORTS)) {
    const page = await browser.newPage();
    await page.setViewport(viewport);
    await page.goto(server.url);
    for (const [i, question] of QUESTIONS.entries()) {
      await page.waitForSelector('.ask textarea:not([placeholder^="Waiting"])');
      await page.type('.ask textarea', question);
      await page.keyboard.press('Enter');
      // The line that names who served an answer is its last part.
      await page.waitForFunction((n) => document.querySelectorAll('.served').length === n, {}, i + 1);
    }
    await page.screenshot({ path: `${root}${file}` as `${string}.png` });
    process.stderr.write(`${file}\n`);
    await page.close();
  }
} finally {
  await browser?.close();
  await fleet.close();
  await server.close();
}
