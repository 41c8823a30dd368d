import type { Browser, BrowserContext, Page } from 'puppeteer-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ShoalError } from '../../src/config/errors.ts';
import { type Asked, ChatServer, node, type Piece, textPiece, usagePiece } from '../support/chat-server.ts';
import { launchChromium } from '../support/chromium.ts';

/** The page's chat in a real browser, with a scripted server behind the real application; the page has to be built. */

const PATIENCE = { timeout: 20_000 };
const ANN = { id: 'provider-1-aa', name: 'Ann' };
const BOB = { id: 'provider-2-bb', name: 'Bob' };

let browser: Browser;
let server: ChatServer;
let context: BrowserContext;
let page: Page;
let complaints: string[];
let requested: string[];

beforeAll(async () => {
  browser = await launchChromium();
});
afterAll(() => browser?.close());
beforeEach(async () => {
  server = await ChatServer.start();
  context = await browser.createBrowserContext();
  page = await context.newPage();
  complaints = [];
  requested = [];
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('console', (message) => complaints.push(`${message.type()}: ${message.text()}`));
  page.on('request', (request) => requested.push(request.url()));
  await page.goto(server.url);
});
afterEach(async () => {
  await context.close();
  await server.close();
});

const shows = (words: string) =>
  page.waitForFunction((w) => document.body.textContent.includes(w), PATIENCE, words);
const gone = (selector: string) =>
  page.waitForFunction((s) => !document.querySelector(s), PATIENCE, selector);
const textOf = (selector: string) => page.$eval(selector, ({ textContent }) => textContent);
const box = () => page.$eval('.ask textarea', ({ value }) => value);
const says = (...pieces: Piece[]) => {
  server.answer = () => ({ pieces });
};
const userMessages = ({ messages }: Asked) =>
  messages.filter(({ role }) => role === 'user').map(({ content }) => content);

async function send(question: string): Promise<void> {
  await page.waitForSelector('.ask textarea[placeholder="Ask something…"]', PATIENCE);
  await page.type('.ask textarea', question);
  await page.keyboard.press('Enter');
}

/** Until its foot is there, the last part of an answer. */
async function ask(question: string): Promise<void> {
  const before = (await page.$$('.foot')).length;
  await send(question);
  await page.waitForFunction((n) => document.querySelectorAll('.foot').length === n, PATIENCE, before + 1);
}

/** Pieces that the test lets through one by one. */
function held() {
  const waiting: Piece[] = [];
  let wake = () => {};
  let isOver = false;
  const pieces = (async function* () {
    for (;;) {
      while (waiting.length > 0) yield waiting.shift()!;
      if (isOver) return;
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  })();
  const say = (...more: Piece[]) => {
    waiting.push(...more);
    wake();
  };
  const end = () => {
    isOver = true;
    wake();
  };
  server.answer = () => ({ pieces });
  return { say, end };
}

describe('at the context’s end', () => {
  beforeEach(async () => {
    server.model = { id: 'minnow', contextLength: 512 };
    server.nodes = [node('mesh', ['minnow'])];
    await page.reload();
  });

  it('an answer says that it was cut and why, the meter is full, and the oldest turns are left out', async () => {
    says('One.', usagePiece(60, 20));
    await ask('First?');
    await shows('80 of 512 tokens');
    says('Once upon a', textPiece('', 'length'), usagePiece(100, 412));
    await ask('Second?');
    await shows('Cut off here: the context of 512 tokens is full.');
    await shows('512 of 512 tokens');
    says('Yes.', usagePiece(30, 2));
    await ask('Third?');
    expect(userMessages(server.asked.at(-1)!)).toEqual(['Third?']);
    await shows('The first 4 messages no longer fit and are not sent.');
    await shows('32 of 512 tokens');
    const marked = await page.$eval('.left-out', (mark) => mark.nextElementSibling?.textContent);
    expect(marked).toBe('Third?');
  });

  it('an answer that the server’s own limit cut says that', async () => {
    says('Once upon a', textPiece('', 'length'), usagePiece(10, 100));
    await ask('A story.');
    await shows('the server allows no longer answer (max tokens)');
  });

  it('a question that is refused comes back into the box, with the reason and the way out', async () => {
    says('One.');
    await ask('First?');
    server.answer = () => {
      throw new ShoalError('CONTEXT_LENGTH_EXCEEDED', 'messages is 600 tokens long, and minnow takes 512');
    };
    await send('A very long question');
    await shows('messages is 600 tokens long');
    await shows('New chat starts with an empty context.');
    expect(await box()).toBe('A very long question');
    // With the first turn, and without it.
    expect(server.asked.slice(1).map(userMessages)).toEqual([
      ['First?', 'A very long question'],
      ['A very long question'],
    ]);
    expect(await page.$$('.turn')).toHaveLength(2);
    says('Yes.');
    await page.keyboard.press('Enter');
    await shows('Yes.');
    await gone('[role="alert"]');
  });
});

it('where the context is not known there is no meter, and usage is not asked for', async () => {
  says('One.', usagePiece(60, 20));
  await ask('First?');
  expect(await page.$('meter')).toBeNull();
});

describe('the model', () => {
  const own = node('host:1', ['small']);
  const lent = (by: typeof ANN) => node(`${by.name} (ollama)`, ['big'], { lender: by });

  it('stays chosen when it is gone and across a reload, and the history goes nowhere before somebody says so', async () => {
    server.nodes = [own, lent(ANN)];
    await page.reload();
    server.answer = ({ lenders }) => ({
      pieces: ['Yes.'],
      by: lenders?.length ? { name: 'Ann (ollama)', lender: ANN } : { name: 'host:1' },
    });
    await page.waitForSelector('select.model');
    await page.select('select.model', 'big');
    await ask('First?');
    expect(await textOf('.served')).toBe('big · lent by Ann');
    expect(server.asked[0]).toMatchObject({ model: 'big', lenders: [ANN.id] });

    server.nodes = [own];
    await shows('big is gone.');
    await page.reload();
    await shows('big is gone.');
    expect(
      await page.$eval('select.model', ({ value, selectedOptions }) => [value, selectedOptions[0]?.text]),
    ).toEqual(['big', 'big (gone)']);
    await page.type('.ask textarea', 'Second?');
    await page.keyboard.press('Enter');
    expect(await page.$eval('.ask button', (button) => button.disabled)).toBe(true);
    expect(server.asked).toHaveLength(1);

    await page.locator('::-p-text(Go on with small)').click();
    await page.focus('.ask textarea');
    await page.keyboard.press('Enter');
    await shows('small · by host:1');
    expect(server.asked[1]).toMatchObject({ model: 'small', lenders: [] });
    expect(userMessages(server.asked[1]!)).toEqual(['First?', 'Second?']);
  });

  it('of another lender is not sent the conversation unasked, though it has the same name', async () => {
    server.nodes = [lent(ANN)];
    await page.reload();
    await ask('First?');
    server.nodes = [lent(ANN), lent(BOB)];
    await shows('Bob (ollama)');
    await ask('Second?');
    expect(server.asked[1]!.lenders).toEqual([ANN.id]);
    server.nodes = [lent(BOB)];
    await shows('Ann, who lent big, has left. Bob lends a model of this name');
    await page.locator('::-p-text(Go on with big, lent by Bob)').click();
    await ask('Third?');
    expect(server.asked[2]!.lenders).toEqual([BOB.id]);
  });
});

describe('a reload', () => {
  it('and Back keep the chat and what was typed; New chat deletes it; keys are never kept', async () => {
    says('The answer is <think>42.');
    await ask('What?');
    await page.type('.ask textarea', 'half a quest');
    await page.reload();
    await shows('The answer is <think>42.');
    expect(await box()).toBe('half a quest');
    await page.goto('about:blank');
    await page.goBack();
    await shows('The answer is <think>42.');

    server.answer = () => {
      throw new ShoalError('UNAUTHORIZED', 'a key is needed');
    };
    await page.focus('.ask textarea');
    await page.keyboard.press('Enter');
    await page.waitForSelector('.key input');
    await page.type('.key input', 'sk-secret');
    await page.evaluate(() => dispatchEvent(new Event('pagehide')));
    const stored = () => page.evaluate(() => JSON.stringify([{ ...sessionStorage }, { ...localStorage }]));
    expect(await stored()).toContain('What?');
    expect(await stored()).not.toContain('sk-secret');

    await page.locator('::-p-text(New chat)').click();
    await gone('.turn');
    expect(await stored()).not.toContain('What?');
  });

  it('in the middle of an answer keeps what there is of it', async () => {
    const { say } = held();
    await send('A story.');
    say('Once upon');
    await shows('Once upon');
    await page.reload();
    await shows('Once upon');
    await shows('Stopped.');
  });
});

describe('an answer', () => {
  it('loads nothing and complains of nothing, whatever it holds, while it comes in', async () => {
    const bad =
      '<img src=x onerror=alert(1)> ![p](https://example.org/p.png) <script src=//example.org/s.js></script>\n\n' +
      '<div style="background:url(b.png)" onclick="x()">\n\n<svg/onload=alert(1)>\n\n' +
      '[js](javascript:alert(1)) [out](https://example.org/a) [in](/metrics)\n\n';
    const { say, end } = held();
    await send('Go.');
    for (let i = 0; i < 40; i++) {
      say(...bad.match(/.{1,9}/gs)!);
      await new Promise((resolve) => setTimeout(resolve, 15));
    }
    end();
    await page.waitForSelector('.foot', PATIENCE);
    expect(complaints).toEqual([]);
    expect(requested.filter((url) => !url.startsWith(server.url))).toEqual([]);
    expect(await page.$$('.markdown :is(img, script, svg, div[style], [onclick], [onload])')).toEqual([]);
    const links = await page.$$eval('.block a', (all) =>
      all.slice(0, 4).map((a) => [a.textContent, a.getAttribute('href'), a.target, a.rel]),
    );
    expect(links).toEqual([
      ['p', 'https://example.org/p.png', '_blank', 'noopener noreferrer'],
      ['js', null, '', ''],
      ['out', 'https://example.org/a', '_blank', 'noopener noreferrer'],
      ['in', null, '', ''],
    ]);
  });

  it('keeps the elements of its finished blocks while it grows and when it is whole', async () => {
    const { say, end } = held();
    await send('Go.');
    say('First.\n\n- a\n- b\n\n```js\nlet a;\n```\n\nFourth');
    await shows('Fourth');
    await page.evaluate(() => {
      for (const [i, { firstElementChild }] of [...document.querySelectorAll('.block')].entries())
        Object.assign(firstElementChild!, { mark: i });
    });
    say(' goes on.\n\nFifth.\n\nSixth.');
    await shows('Sixth.');
    const marks = () =>
      page.$$eval('.block > *', (all) => all.map((element) => (element as { mark?: number }).mark ?? null));
    expect(await marks()).toEqual([0, 1, 2, null, null, null]);
    end();
    await page.waitForSelector('.foot', PATIENCE);
    expect(await marks()).toEqual([0, 1, 2, null, null, null]);
  });

  it('folds what the model thinks, also while it comes in', async () => {
    const { say, end } = held();
    await send('Go.');
    say({ choices: [{ index: 0, delta: { reasoning_content: 'Told apart.' }, finish_reason: null }] });
    await shows('Thinking…');
    say('<thi', 'nk>In the', ' text');
    await shows('In the text');
    expect(await page.$eval('.thoughts', (details) => (details as HTMLDetailsElement).open)).toBe(false);
    expect(await textOf('.markdown')).toBe('');
    say('</think>\n\nThe answer.');
    end();
    await page.waitForSelector('.foot', PATIENCE);
    expect(await textOf('.markdown')).toBe('The answer.\n');
    expect(await textOf('.thoughts div')).toBe('Told apart.\n\nIn the text');
    await ask('And?');
    expect(server.asked[1]!.messages[1]).toEqual({ role: 'assistant', content: 'The answer.' });
  });

  it('can be read and copied: tables scroll, code takes focus, text runs its own way', async () => {
    await context.overridePermissions(server.url, ['clipboard-read', 'clipboard-write']);
    await page.setViewport({ width: 390, height: 844 });
    says(
      '| Internationalization | Straightforwardness | Incomprehensibilities |\n|---|---|--:|\n| a | b | 1 |\n\n' +
        '> quoted\n\n- [x] done\n- [ ] not\n\n```py\nprint(1)\n```\n\nשלום עולם\n\nplain',
    );
    await ask('Go.');
    const table = await page.$eval('.scroll', (frame) => ({
      scrolls: frame.scrollWidth > frame.clientWidth,
      lines: [...frame.querySelectorAll('th')].map((th) => Math.round(th.getClientRects()[0]!.height)),
      right: getComputedStyle(frame.querySelectorAll('td')[2]!).textAlign,
      tabIndex: (frame as HTMLElement).tabIndex,
    }));
    expect(table).toMatchObject({ scrolls: true, right: 'end', tabIndex: 0 });
    // No word is broken: every head has one line.
    expect(Math.max(...table.lines)).toBeLessThan(45);
    const sideways = () =>
      page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    expect(await sideways()).toBe(0);
    expect(await page.$eval('blockquote', (q) => getComputedStyle(q).borderInlineStartWidth)).toBe('4px');
    expect(await page.$$eval('.box', (all) => all.map((one) => one.textContent))).toEqual(['☑', '☐']);
    const directions = await page.$$eval('.block', (all) =>
      all.map((one) => getComputedStyle(one).direction),
    );
    expect(directions).toEqual(['ltr', 'ltr', 'ltr', 'ltr', 'rtl', 'ltr']);
    expect(await page.$eval('pre', (pre) => [pre.tabIndex, pre.getAttribute('aria-label')])).toEqual([
      0,
      'Code, py',
    ]);

    const copied = () => page.evaluate(() => navigator.clipboard.readText());
    await page.locator('::-p-aria(Copy code)').click();
    await shows('Copied');
    expect(await copied()).toBe('print(1)');
    await page.locator('::-p-aria(Copy answer)').click();
    await page.waitForFunction(
      () => document.querySelector('.foot .copy')?.textContent === 'Copied',
      PATIENCE,
    );
    expect(await copied()).toContain('- [ ] not');
  });

  it('that is stopped by keyboard leaves the focus where the next question is typed', async () => {
    const { say } = held();
    await send('Go.');
    say('Once');
    await shows('Once');
    await page.focus('.ask button');
    await page.keyboard.press('Enter');
    await shows('Stopped.');
    expect(await page.evaluate(() => document.activeElement?.tagName)).toBe('TEXTAREA');
  });

  it('is read out once, when it is whole', async () => {
    await page.evaluate(() => {
      const heard: string[] = [];
      Object.assign(window, { heard });
      new MutationObserver(() => {
        for (const live of document.querySelectorAll('.chat [role="status"]'))
          heard.push(live.textContent ?? '');
      }).observe(document.body, { subtree: true, childList: true, characterData: true });
    });
    const { say, end } = held();
    await send('Go.');
    for (const word of ['One ', 'two ', 'three.']) {
      say(word);
      await shows(word);
    }
    end();
    await page.waitForSelector('.foot', PATIENCE);
    await page.waitForFunction(
      () => document.querySelector('.chat [role="status"]')?.textContent === 'One two three.',
    );
    const heard = await page.evaluate(() => (window as unknown as { heard: string[] }).heard);
    expect([...new Set(heard)]).toEqual(
      ['', 'The model answers.', 'One two three.'].filter((t) => heard.includes(t)),
    );
    expect(
      await page.$eval('.log', (log) => [log.getAttribute('aria-live'), log.getAttribute('tabindex')]),
    ).toEqual(['off', '0']);
  });
});
