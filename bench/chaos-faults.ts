import { setTimeout as delay } from 'node:timers/promises';
import type { Browser, Page } from 'puppeteer-core';
import { processOf } from '../test/support/tab-process.ts';

/** Tabs of one browser that are killed, stopped, reloaded, closed and added. */
export class ChaosTabs {
  readonly #browser: Browser;
  readonly #url: string;
  readonly #tabs: { readonly page: Page; readonly pid: number; readonly name: string }[] = [];
  #count = 0;
  readonly #stopped = new Set<number>();

  constructor(browser: Browser, url: string) {
    this.#browser = browser;
    this.#url = url;
  }

  get size(): number {
    return this.#tabs.length;
  }

  async add(): Promise<void> {
    const name = `tab-${++this.#count}`;
    const page = await this.#browser.newPage();
    await page.goto(`${this.#url}/?auto=1&name=${name}&memory=1`, { waitUntil: 'domcontentloaded' });
    this.#tabs.push({ page, name, pid: await processOf(this.#browser, page) });
  }

  /** SIGKILL of the renderer: the tab never says goodbye. */
  kill(at: number): void {
    const [tab] = this.#tabs.splice(at % this.#tabs.length, 1);
    if (tab === undefined) return;
    process.kill(tab.pid, 'SIGKILL');
    // Never answered where nobody is left to answer.
    void tab.page.close().catch(() => {});
  }

  /** SIGSTOP of the renderer for a while: the browser holds its sockets open. */
  async freeze(at: number, ms: number): Promise<void> {
    const tab = this.#tabs[at % this.#tabs.length];
    if (tab === undefined || this.#stopped.has(tab.pid)) return;
    this.#stopped.add(tab.pid);
    process.kill(tab.pid, 'SIGSTOP');
    await delay(ms);
    this.#stopped.delete(tab.pid);
    try {
      process.kill(tab.pid, 'SIGCONT');
    } catch {
      // It was killed meanwhile.
    }
  }

  async reload(at: number): Promise<void> {
    const tab = this.#tabs[at % this.#tabs.length];
    if (tab === undefined || this.#stopped.has(tab.pid)) return;
    await tab.page.reload({ waitUntil: 'domcontentloaded' }).catch(() => {});
  }

  /** As a person closes it. */
  close(at: number): void {
    const [tab] = this.#tabs.splice(at % this.#tabs.length, 1);
    void tab?.page.close().catch(() => {});
  }
}
