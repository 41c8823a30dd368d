import { fileURLToPath } from 'node:url';
import { pino } from 'pino';
import { type Browser, launch, type Page } from 'puppeteer-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findChrome } from '../../scripts/find-chrome.mjs';
import { openModelDirectory } from '../../src/model/directory.ts';
import { type RunningServer, startServer } from '../../src/server/server.ts';
import { launchChromium } from '../support/chromium.ts';

/** The page as a person meets it; it has to be built (`npm test` does). */

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
/** Resolves to this machine, and is no secure context over http. */
const LAN_NAME = 'shoal.test';

let server: RunningServer;
let browser: Browser;

beforeAll(async () => {
  server = await startServer({
    node: { kind: 'mesh', model: await openModelDirectory(`${ROOT}models/minnow`) },
    port: 0,
    pageDirectory: `${ROOT}dist`,
    allowedHosts: [LAN_NAME],
    log: pino({ level: 'silent' }),
  });
  browser = await launchChromium([`--host-resolver-rules=MAP ${LAN_NAME} 127.0.0.1`]);
});
afterAll(async () => {
  await browser?.close();
  await server?.close();
});

async function open(in_: Browser, url: string): Promise<{ page: Page; complaints: string[] }> {
  const page = await in_.newPage();
  const complaints: string[] = [];
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('console', (message) => {
    if (message.type() === 'error') complaints.push(message.text());
  });
  await page.goto(url);
  return { page, complaints };
}

const button = (page: Page, name: string) => page.waitForSelector(`::-p-aria(${name}[role="button"])`);
const text = (page: Page) => page.evaluate(() => document.body.textContent);
const shows = (page: Page, words: string, timeout = 60_000) =>
  page.waitForFunction((w) => document.body.textContent.includes(w), { timeout }, words);

describe('the page', () => {
  it('computes nothing before Join, serves after it, answers by keyboard alone, stops, and leaves', async () => {
    const { page, complaints } = await open(browser, server.url);
    await shows(page, 'Nothing runs on your device until you press Join.');
    await shows(page, 'no worker has joined');
    expect(page.workers()).toEqual([]);
    expect((await server.status()).workers).toEqual([]);

    await (await button(page, 'Join'))!.focus();
    await page.keyboard.press('Enter');
    await shows(page, 'Serving. You may leave at any time');
    await shows(page, 'layers 0–7');
    await shows(page, 'software adapter');

    await page.waitForSelector('textarea[placeholder="Ask something…"]');
    await page.focus('textarea');
    await page.keyboard.type('What is the capital of Japan?');
    await page.keyboard.press('Enter');
    await page.waitForSelector('.served');
    await page.waitForSelector('.context meter');
    expect(await text(page)).toMatch(
      /The capital of Japan is Tokyo\.\s*Copyminnow · visitor \d+ \(layers 0–7\)/,
    );

    await page.focus('textarea');
    await page.keyboard.type('Tell me a long story.');
    await page.keyboard.press('Enter');
    await page.waitForFunction(
      () => (document.querySelectorAll('.turn.assistant')[1]?.textContent ?? '').length > 12,
    );
    await (await button(page, 'Stop'))!.click();
    await shows(page, 'Stopped.');
    await expect.poll(async () => (await server.status()).requestsInFlight, { timeout: 20_000 }).toBe(0);

    await (await button(page, 'Leave'))!.click();
    await shows(page, 'Nothing runs on your device until you press Join.');
    await expect.poll(async () => (await server.status()).workers.length, { timeout: 20_000 }).toBe(0);
    await expect.poll(() => page.workers().length).toBe(0);
    expect(complaints).toEqual([]);
    await page.close();
  });

  it('says what to do where there is no secure context', async () => {
    const { page } = await open(browser, server.url.replace('127.0.0.1', LAN_NAME));
    await (await button(page, 'Join'))!.click();
    await shows(page, 'browsers offer WebGPU only on https pages and on localhost');
    // Once: the message and the page's advice do not repeat each other.
    expect((await text(page)).split('--tls-self-signed')).toHaveLength(2);
    expect(await text(page)).toContain('ssh -L');
    await page.close();
  });

  it('says what to do where the browser has no adapter', async () => {
    // Without --enable-unsafe-webgpu headless Chromium offers none on Linux.
    const plain = await launch({ executablePath: findChrome()!.path, args: ['--no-sandbox'] });
    try {
      const { page } = await open(plain, server.url);
      await (await button(page, 'Join'))!.click();
      await page.waitForSelector('.pill.failed');
      expect(await text(page)).toMatch(/no GPU adapter was found|this browser has no WebGPU/);
    } finally {
      await plain.close();
    }
  });

  it('fits a phone without sideways scrolling', async () => {
    const { page } = await open(browser, server.url);
    await page.setViewport({ width: 360, height: 740, isMobile: true, hasTouch: true });
    await shows(page, 'Lend your GPU');
    const overflow = await page.evaluate(
      () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
    );
    expect(overflow).toBe(0);
    await page.close();
  });
});
