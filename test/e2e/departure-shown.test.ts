import type { Browser } from 'puppeteer-core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { launchChromium } from '../support/chromium.ts';
import { MeshRun } from '../support/mesh-run.ts';

/** What somebody who asks sees of a tab that dies in mid-answer: real tabs, and the page of a third person. */

let browser: Browser;

beforeAll(async () => {
  browser = await launchChromium();
});
afterAll(() => browser?.close());

it('a killed tab is named while the answer waits, and at its end', { timeout: 300_000 }, async () => {
  const run = await MeshRun.start(browser, 3);
  try {
    const page = await browser.newPage();
    await page.goto(run.server.url);
    await page.waitForSelector('textarea[placeholder="Ask something…"]');
    // Everything that is said in the answer's notice, however short it is there.
    await page.evaluate(() => {
      const said = new Set<string>();
      Object.assign(window, { said });
      new MutationObserver(() => {
        const text = document.querySelector('.turn .recovery')?.textContent;
        if (text) said.add(text);
      }).observe(document.body, { subtree: true, childList: true, characterData: true });
    });
    await page.type('textarea', 'Tell me a long story about a fox.');
    await page.keyboard.press('Enter');
    await page.waitForFunction(
      () => (document.querySelector('.turn.assistant .markdown')?.textContent ?? '').length > 10,
    );
    const { stages } = (await run.server.status()).pipeline!;
    const victim = stages[1]!.name;
    const session = await run.tabs[Number(victim.slice(4)) - 1]!.createCDPSession();
    // Never answered: there is nobody left to do so.
    session.send('Page.crash').catch(() => {});

    await page.waitForSelector('.served', { timeout: 120_000 });
    const served = await page.$eval('.served', (footer) => footer.textContent);
    expect(served).toContain(`moved 1×: ${victim} left`);
    expect(served).not.toContain(`${victim} (`);
    const said = await page.evaluate(() => [...(window as unknown as { said: Set<string> }).said]);
    const others = stages.map(({ name }) => name).filter((name) => name !== victim);
    expect(said.length).toBeGreaterThan(0);
    for (const text of said) {
      expect(text).toMatch(new RegExp(`^${victim} left, goes on with `));
      for (const name of others) expect(text).toContain(name);
      expect(text).not.toContain('0.0 of 0.0');
    }
    expect(await page.$('.turn .recovery')).toBeNull();
  } finally {
    await run.close();
  }
});
