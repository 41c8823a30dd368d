import type { Browser, Page, Viewport } from 'puppeteer-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ShoalError } from '../../src/config/errors.ts';
import { axeFaults } from '../support/axe.ts';
import { ChatServer, node, textPiece, usagePiece } from '../support/chat-server.ts';
import { launchChromium } from '../support/chromium.ts';

/** axe-core finds nothing on the page, in each state that a script brings it into; the page has to be built. */

const PATIENCE = { timeout: 20_000 };
const VIEWPORTS: Record<string, Viewport> = {
  desktop: { width: 1280, height: 800 },
  phone: { width: 390, height: 844, isMobile: true, hasTouch: true },
};
const RICH = `<think>What may be in it?</think>
## A title

A **word**, \`code\`, [a link](https://example.org) and <img src=x onerror=alert(1)>.

| a long head | another long head | and one more that has to scroll |
|---|:-:|--:|
| 1 | 2 | 3 |

> A quote.

- [x] done
- [ ] to do

\`\`\`js
const aLine = 'that is too long for a phone, so that somebody has to scroll sideways to its end';
\`\`\`

שלום עולם`;

let browser: Browser;
let server: ChatServer;

beforeAll(async () => {
  browser = await launchChromium();
  server = await ChatServer.start();
  server.model = { id: 'minnow', contextLength: 512 };
});
afterAll(async () => {
  await browser?.close();
  await server?.close();
});

async function ask(page: Page, question: string): Promise<void> {
  await page.waitForSelector('.ask textarea[placeholder="Ask something…"]', PATIENCE);
  await page.type('.ask textarea', question);
  await page.keyboard.press('Enter');
}
const answers = (page: Page, n: number) =>
  page.waitForFunction((count) => document.querySelectorAll('.foot').length === count, PATIENCE, n);

/** What the page is brought into, one after the other. */
const STATES: Record<string, (page: Page) => Promise<unknown>> = {
  'an empty chat': (page) => page.waitForSelector('.examples button:not([disabled])', PATIENCE),
  'an answer with everything in it': async (page) => {
    server.answer = () => ({ pieces: [RICH, usagePiece(200, 250)], by: { name: 'mesh' } });
    await ask(page, 'Go.');
    await answers(page, 1);
    await page.$eval('.thoughts', (details) => details.setAttribute('open', ''));
  },
  'an answer that was cut, with turns left out': async (page) => {
    server.answer = () => ({ pieces: ['Once', textPiece('', 'length'), usagePiece(12, 500)] });
    await ask(page, 'A story.');
    await answers(page, 2);
  },
  'a question that was refused': async (page) => {
    server.answer = () => {
      throw new ShoalError('UNAUTHORIZED', 'a key is needed');
    };
    await ask(page, 'More.');
    await page.waitForSelector('.key input', PATIENCE);
  },
  'a model that is gone': async (page) => {
    await page.select('select.model', 'big');
    server.nodes = server.nodes.slice(0, 1);
    await page.waitForSelector('.notice.choice', PATIENCE);
  },
  'an endpoint to lend': async (page) => {
    await page.focus('input[name="mode"][value="gpu"]');
    await page.keyboard.press('ArrowRight');
    await page.waitForSelector('#field-provider', PATIENCE);
  },
};

describe.each(Object.entries(VIEWPORTS))('on a %s', (_, viewport) => {
  it.each(['light', 'dark'])('axe-core finds nothing, %s', async (scheme) => {
    server.nodes = [
      node('mesh', ['minnow']),
      node('Ann (ollama)', ['big'], { lender: { id: 'provider-1-aa', name: 'Ann' } }),
    ];
    const context = await browser.createBrowserContext();
    const page = await context.newPage();
    await page.setViewport(viewport);
    await page.emulateMediaFeatures([
      { name: 'prefers-color-scheme', value: scheme },
      { name: 'prefers-reduced-motion', value: 'reduce' },
    ]);
    await page.goto(server.url);
    for (const [state, bring] of Object.entries(STATES)) {
      await bring(page);
      expect(await axeFaults(page), state).toEqual([]);
    }
    await context.close();
  });
});

it('a button without a name, and words that are too pale, would be found', async () => {
  const page = await browser.newPage();
  await page.goto(server.url);
  await page.waitForSelector('.card-head', PATIENCE);
  await page.evaluate(() => {
    document.querySelector('.actions')!.append(document.createElement('button'));
    document.querySelector<HTMLElement>('footer')!.style.color = '#bbb';
  });
  const rules = (await axeFaults(page)).map((fault) => fault.split(':')[0]);
  expect(rules).toEqual(['button-name', 'color-contrast']);
  await page.close();
});
