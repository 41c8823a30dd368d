import type { Browser, BrowserContext, Page } from 'puppeteer-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ShoalError } from '../../src/config/errors.ts';
import { ChatServer, node } from '../support/chat-server.ts';
import { launchChromium } from '../support/chromium.ts';

/** What a chat does at its edges: answers of no or of endless text, readers who scroll, screens that are small, storage that is shut. */

const PATIENCE = { timeout: 20_000 };
let browser: Browser;
let server: ChatServer;
let context: BrowserContext;
let page: Page;
let complaints: string[];

beforeAll(async () => {
  browser = await launchChromium();
});
afterAll(() => browser?.close());
beforeEach(async () => {
  server = await ChatServer.start();
  context = await browser.createBrowserContext();
  page = await context.newPage();
  complaints = [];
  page.on('pageerror', (error) => complaints.push(String(error)));
  await page.goto(server.url);
});
afterEach(async () => {
  await context.close();
  await server.close();
  expect(complaints).toEqual([]);
});

const shows = (words: string) =>
  page.waitForFunction((w) => document.body.textContent.includes(w), PATIENCE, words);
async function send(question: string): Promise<void> {
  await page.waitForSelector('.ask textarea[placeholder="Ask something…"]', PATIENCE);
  await page.type('.ask textarea', question);
  await page.keyboard.press('Enter');
}
async function ask(question: string): Promise<void> {
  const before = (await page.$$('.foot')).length;
  await send(question);
  await page.waitForFunction((n) => document.querySelectorAll('.foot').length === n, PATIENCE, before + 1);
}

describe('an answer', () => {
  it.each([
    ['nothing', []],
    ['whitespace', ['\n  ', '\n']],
    ['thoughts', ['<think>Hm.</think>\n']],
  ])('of %s alone is said to be none', async (_, pieces) => {
    server.answer = () => ({ pieces });
    await ask('Go.');
    await shows('The model gave no answer.');
    const spoken = () => page.$eval('.chat > .unseen', ({ textContent }) => textContent);
    await page.waitForFunction(() =>
      document.querySelector('.chat > .unseen')?.textContent?.includes('no answer'),
    );
    expect(await spoken()).toBe('The model gave no answer.');
  });

  it('of ten thousand quotes in each other, or one endless word, is shown as text, and the next one comes', async () => {
    server.answer = () => ({ pieces: ['Before.\n\n', '>'.repeat(10_000), `\n\n${'_a'.repeat(10_000)}`] });
    await ask('Go.');
    await shows('_a_a_a');
    server.answer = () => ({ pieces: ['**Fine.**'] });
    await ask('And now?');
    await page.waitForSelector('.turn:last-child strong', PATIENCE);
  });

  it('whose stream is no JSON says so in words', async () => {
    server.answer = () => ({ pieces: ['Once', { choices: 'none' }] });
    await send('Go.');
    await shows('a part of the answer that this page cannot read');
  });

  it('indents a quote within a quote by its bar alone', async () => {
    server.answer = () => ({ pieces: ['> a\n>\n> > b\n> >\n> > > c'] });
    await ask('Go.');
    const lefts = await page.$$eval('blockquote', (all) =>
      all.map((one) => one.getBoundingClientRect().left),
    );
    expect(lefts[2]! - lefts[0]!).toBeLessThan(40);
  });
});

it('a question that is refused has nothing read out again', async () => {
  await ask('First?');
  await page.waitForFunction(() =>
    document.querySelector('.chat > .unseen')?.textContent?.includes('You said: First?'),
  );
  server.answer = () => {
    throw new ShoalError('OVERLOADED', 'too many wait');
  };
  await send('Second?');
  await page.waitForSelector('.chat [role="alert"]', PATIENCE);
  await page.waitForFunction(() => document.querySelector('.chat > .unseen')?.textContent === '', PATIENCE);
});

describe('a reader who scrolls', () => {
  it('by ten pixels stays there while an answer comes in, and is taken to a question that is asked', async () => {
    server.answer = () => ({ pieces: ['A line.\n\n'.repeat(60)] });
    await ask('Go.');
    let more = () => {};
    let isOver = false;
    server.answer = () => ({
      pieces: (async function* () {
        while (!isOver) {
          yield 'More.\n\n';
          await new Promise<void>((resolve) => {
            more = resolve;
          });
        }
      })(),
    });
    const place = () =>
      page.$eval('.log', (log) => [
        log.scrollTop,
        Math.round(log.scrollHeight - log.scrollTop - log.clientHeight),
      ]);
    await page.$eval('.log', (log) => log.scrollTo(0, 0));
    await send('On?');
    await shows('More.');
    expect((await place())[1]).toBeLessThanOrEqual(1);
    await page.$eval('.log', (log) => log.scrollBy(0, -10));
    await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve))));
    const [before] = await place();
    for (let i = 0; i < 5; i++) {
      more();
      await page.waitForFunction(
        (n) => document.querySelector('.turn:last-child')!.querySelectorAll('.block').length === n,
        PATIENCE,
        i + 2,
      );
    }
    expect((await place())[0]).toBe(before);
    isOver = true;
    more();
  });
});

it('Escape stops an answer wherever in the chat the focus is; a key of an input method sends nothing', async () => {
  server.answer = () => ({
    pieces: (async function* () {
      yield 'Once';
      await new Promise(() => {});
    })(),
  });
  await page.waitForSelector('.ask textarea[placeholder="Ask something…"]', PATIENCE);
  await page.type('.ask textarea', 'にほん');
  await page.$eval('.ask textarea', (box) =>
    box.dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', keyCode: 229, bubbles: true })),
  );
  expect(server.asked).toEqual([]);
  await page.keyboard.press('Enter');
  await shows('Once');
  await page.focus('.log');
  await page.keyboard.press('Escape');
  await shows('Stopped.');
});

it.each([
  ['a laptop', { width: 1024, height: 600 }],
  ['a phone', { width: 390, height: 844 }],
])('a model that is gone leaves the message box in its card, of one line, on %s', async (_, viewport) => {
  await page.setViewport(viewport);
  const model = 'hf.co/somebody/A-Model-With-A-Name-Of-Many-Parts-32B-Instruct-GGUF:Q4_K_M';
  server.nodes = [node('host:1', ['small', model])];
  await page.reload();
  await page.waitForSelector('select.model', PATIENCE);
  await page.select('select.model', model);
  await shows(`You ask ${model}`);
  server.nodes = [node('host:1', ['small'])];
  await shows(`${model} is gone. Wait for it, or choose another model.`);
  const [card, box] = await page.$$eval('.chat, .ask textarea', (all) =>
    all.map((one) => {
      const { bottom, height } = one.getBoundingClientRect();
      return { bottom, height };
    }),
  );
  expect(box!.bottom).toBeLessThan(card!.bottom);
  expect(box!.height).toBeLessThan(50);
});

it('without storage the chat works, and says nothing', async () => {
  await page.evaluateOnNewDocument(() => {
    Object.defineProperty(window, 'sessionStorage', {
      get: () => {
        throw new DOMException('denied', 'SecurityError');
      },
    });
  });
  await page.reload();
  await ask('First?');
  await shows('You said: First?');
});

it('is kept when the page is hidden, which is all that a phone says before it ends a page', async () => {
  await page.waitForSelector('.ask textarea[placeholder="Ask something…"]', PATIENCE);
  await page.type('.ask textarea', 'half a quest');
  const stored = () => page.evaluate(() => JSON.stringify({ ...sessionStorage }));
  await page.evaluate(() => {
    Object.defineProperty(document, 'hidden', { value: true });
    document.dispatchEvent(new Event('visibilitychange'));
  });
  expect(await stored()).toContain('half a quest');
});

it('printed, it is the whole conversation and nothing else', async () => {
  server.answer = () => ({ pieces: ['A line.\n\n'.repeat(80)] });
  await ask('Go.');
  await page.emulateMediaType('print');
  const log = await page.$eval('.log', ({ scrollHeight, clientHeight }) => scrollHeight - clientHeight);
  expect(log).toBeLessThanOrEqual(1);
  expect(await page.$$eval('.side, .ask', (all) => all.map((one) => one.getClientRects().length))).toEqual([
    0, 0,
  ]);
});

it('where there is no mesh there is nothing to join, and the page says what can be lent', async () => {
  await shows('there is nothing to join. A server of your own can be lent');
  expect(await page.$eval('.actions button', (join) => join.disabled)).toBe(true);
});
