import type { Page } from 'puppeteer-core';
import { expect, it } from 'vitest';
import { OpenTab } from '../../src/cli/browser/open-tab.ts';

function openTab(evaluate: () => Promise<void>) {
  const asked: string[] = [];
  const page = {
    evaluate: (_: unknown, type: string) => {
      asked.push(type);
      return evaluate();
    },
  } as unknown as Page;
  return { tab: new OpenTab(page), asked };
}

it('asks the page to leave, and waits until it has', async () => {
  const { tab, asked } = openTab(async () => {});
  let isOver = false;
  const leaving = tab.leave().then(() => {
    isOver = true;
  });
  await new Promise((resolve) => setTimeout(resolve, 5));
  expect([asked, isOver]).toEqual([['shoal-leave'], false]);
  tab.left();
  await leaving;
});

it('does not wait for a page that is gone', async () => {
  const { tab } = openTab(() => Promise.reject(new Error('Target closed')));
  await tab.leave();
});

it('nor for one that says nothing, once it is closed', async () => {
  const { tab } = openTab(() => new Promise(() => {}));
  const leaving = tab.leave();
  tab.left();
  await leaving;
});
