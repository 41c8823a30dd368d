import { setMaxListeners } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import type { Browser, Page } from 'puppeteer-core';
import { ShoalError } from '../../config/errors.ts';
import { BROWSER_START_MS, MAX_TABS, SHUTDOWN_MS } from '../../config/limits.ts';
import { parseProbeLine } from '../../worker/probe-line.ts';
import { Backoff } from '../backoff.ts';
import { type BrowserOptions, launchBrowser } from './launch.ts';
import { OpenTab } from './open-tab.ts';
import { lossReason, lostState, parseStateLine, type TabState } from './tab-state.ts';

export interface TabFleetOptions extends BrowserOptions {
  /** Where the page is, e.g. `http://127.0.0.1:8787`. */
  readonly serverUrl: string;
  /** What each tab lends, GB; the page's default where absent. */
  readonly memoryGb?: number;
  /** Of a server that asks workers for one. */
  readonly joinKey?: string;
  /** Tabs are called `<prefix>-1`, `<prefix>-2`, … */
  readonly namePrefix: string;
  /** A tab entered another phase, was lost, or waits for its restart. */
  readonly onChange: (tab: string, state: TabState) => void;
  /** A tab said something, maybe only how far it is. */
  readonly onState?: (tab: string, state: TabState) => void;
  /** A tab measured its kernels. */
  readonly onProbe?: (tab: string, line: string) => void;
}

/**
 * N worker tabs in one headless browser, each in a renderer process of its own. What crashes is started again after a
 * doubling wait: a tab alone, or the browser with all of them.
 */
export class TabFleet {
  readonly #options: TabFleetOptions;
  readonly #stop = new AbortController();
  readonly #states = new Map<string, TabState>();
  /** Those that are open. */
  readonly #tabs = new Set<OpenTab>();
  #isDraining = false;
  #browser: Promise<Browser> | null = null;
  #running: Promise<unknown> = Promise.resolve();

  constructor(options: TabFleetOptions) {
    this.#options = options;
    // Every tab that waits listens; from eleven on Node takes that for a leak.
    setMaxListeners(MAX_TABS, this.#stop.signal);
  }

  /** What each tab said last. */
  get states(): ReadonlyMap<string, TabState> {
    return this.#states;
  }

  /**
   * Starts the browser and opens the tabs; returns once the browser runs. Later crashes are handled, not thrown.
   * @throws NO_BROWSER
   */
  async start(): Promise<void> {
    await this.#launched();
    const names = Array.from(
      { length: this.#options.tabs },
      (_, i) => `${this.#options.namePrefix}-${i + 1}`,
    );
    this.#running = Promise.all(names.map((name) => this.#keepAlive(name)));
  }

  /**
   * Has every tab leave as a person would: what runs there moves to other workers first. Resolves when each has, or can no longer;
   * tabs are not started again. `close` ends the wait.
   */
  async drain(): Promise<void> {
    this.#isDraining = true;
    await Promise.all([...this.#tabs].map((tab) => tab.leave()));
  }

  /** Closes every tab (each says goodbye to the server) and the browser. Idempotent. */
  async close(): Promise<void> {
    this.#stop.abort();
    const browser = await this.#browser?.catch(() => null);
    this.#browser = null;
    if (browser) await closeBrowser(browser);
    await this.#running;
  }

  #launched(): Promise<Browser> {
    this.#browser ??= launchBrowser(this.#options, this.#stop.signal).then((browser) => {
      browser.once('disconnected', () => {
        this.#browser = null;
      });
      return browser;
    });
    this.#browser.catch(() => {
      this.#browser = null;
    });
    return this.#browser;
  }

  async #keepAlive(name: string): Promise<void> {
    const backoff = new Backoff();
    const { signal } = this.#stop;
    while (!signal.aborted && !this.#isDraining) {
      const started = performance.now();
      const reason = await this.#runTab(name).catch((error) => lossReason(ShoalError.from(error).message));
      if (signal.aborted || this.#isDraining) return;
      const waitMs = backoff.afterFailure(performance.now() - started);
      this.#set(name, lostState(this.#states.get(name), reason, waitMs));
      await delay(waitMs, undefined, { signal }).catch(() => undefined);
    }
  }

  /** @returns why the tab ended, once it did */
  async #runTab(name: string): Promise<string> {
    const browser = await this.#launched();
    // A window of its own: pages that share one may share a process.
    const page = await browser.newPage();
    const tab = new OpenTab(page);
    this.#tabs.add(tab);
    try {
      const ended = this.#untilLost(name, browser, page, tab);
      const opened = page
        .goto(this.#address(name), {
          timeout: BROWSER_START_MS,
          waitUntil: 'domcontentloaded',
        })
        .then((response) => {
          // 304: this browser has shown the page before, and has it still.
          if (response?.ok() || response?.status() === 304) return ended;
          throw new Error(`the server answered ${response?.status() ?? 'nothing'} for the page`);
        });
      // A tab that crashes while it loads never ends its `goto`.
      return await Promise.race([opened, ended]);
    } finally {
      this.#tabs.delete(tab);
      tab.left();
      // A crashed page answers nothing; its close must not hold up the next one.
      await Promise.race([
        page.close().catch(() => undefined),
        delay(SHUTDOWN_MS, undefined, { ref: false }),
      ]);
    }
  }

  /** The key stands behind `#`, which is sent to nobody and logged nowhere. */
  #address(name: string): string {
    const { serverUrl, memoryGb, joinKey } = this.#options;
    const query = new URLSearchParams({ auto: '1', name });
    if (memoryGb !== undefined) query.set('memory', String(memoryGb));
    const hash = joinKey === undefined ? '' : `#${new URLSearchParams({ 'join-key': joinKey })}`;
    return `${serverUrl}/?${query}${hash}`;
  }

  #untilLost(name: string, browser: Browser, page: Page, tab: OpenTab): Promise<string> {
    return new Promise((resolve) => {
      page.once('error', () => resolve('the tab crashed'));
      page.once('close', () => resolve('the tab was closed'));
      browser.once('disconnected', () => resolve('the browser ended'));
      page.on('console', (message) => {
        const probe = parseProbeLine(message.text());
        if (probe !== null) this.#options.onProbe?.(name, probe);
        const state = parseStateLine(message.text());
        if (state === null) return;
        this.#set(name, state);
        if (state.phase === 'idle') tab.left();
        if (state.phase === 'failed') resolve('the worker failed');
      });
      page.on('pageerror', (error) => {
        resolve(`the page threw ${error instanceof Error ? error.message : String(error)}`);
      });
    });
  }

  #set(name: string, state: TabState): void {
    // While closing, every tab reports that it lost the server: no news.
    if (this.#stop.signal.aborted) return;
    const before = this.#states.get(name);
    this.#states.set(name, state);
    this.#options.onState?.(name, state);
    // A tab that is lost again and again is told again and again: its pauses are long enough.
    if (
      state.phase === 'lost' ||
      before?.phase !== state.phase ||
      before.error?.message !== state.error?.message
    ) {
      this.#options.onChange(name, state);
    }
  }
}

async function closeBrowser(browser: Browser): Promise<void> {
  const child = browser.process();
  const closed = browser.close().catch(() => undefined);
  const inTime = await Promise.race([closed.then(() => true), delay(SHUTDOWN_MS, false, { ref: false })]);
  if (!inTime) child?.kill('SIGKILL');
  await closed;
}
