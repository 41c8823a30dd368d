import type { ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import type { Browser, Page } from 'puppeteer-core';
import { createServer, type ViteDevServer } from 'vite';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { launchChromium } from '../support/chromium.ts';

// Real RTCDataChannels between two tabs, each owned by its tab's Web Worker, signalled through this test.

const SIZES = [8, 60, 512, 4_000, 4_548, 4_550, 20_000, 65_536, 262_144, 300 * 1_024];
/** Answers a page that stands still although its worker never released it: the test then fails instead of hanging. */
const GIVE_UP_MS = 20_000;

let server: ViteDevServer;
let browser: Browser;
let url: string;
let held: ServerResponse | null = null;
let onHold = () => {};

beforeAll(async () => {
  server = await createServer({
    configFile: false,
    logLevel: 'error',
    root: fileURLToPath(new URL('webrtc-page', import.meta.url)),
    server: { port: 0, host: '127.0.0.1', hmr: false, fs: { strict: false } },
    cacheDir: fileURLToPath(new URL('../../node_modules/.vite-webrtc-test', import.meta.url)),
    optimizeDeps: { entries: ['page.ts', 'worker.ts'] },
    plugins: [
      {
        name: 'hold',
        configureServer({ middlewares }) {
          middlewares.use('/hold', (_request, response) => {
            held = response;
            onHold();
            setTimeout(() => response.writableEnded || response.end('gave up'), GIVE_UP_MS).unref();
          });
        },
      },
    ],
  });
  await server.listen();
  url = `http://127.0.0.1:${(server.httpServer!.address() as AddressInfo).port}/`;
  browser = await launchChromium();
});

afterAll(async () => {
  await browser?.close();
  await server?.close();
});

afterEach(async () => {
  for (const page of await browser.pages()) if (page.url().startsWith(url)) await page.close();
});

interface Tabs {
  readonly a: Page;
  readonly b: Page;
  /** Signals that passed, as [from, attempt]. */
  readonly signals: [string, number][];
}

/** Two tabs, `peer-a` (initiator) and `peer-b`, not yet connected. */
async function twoTabs(options: { refuseTransfer?: boolean } = {}): Promise<Tabs> {
  const [a, b] = [await browser.newPage(), await browser.newPage()];
  const signals: [string, number][] = [];
  for (const [page, self, other] of [
    [a, 'peer-a', b],
    [b, 'peer-b', a],
  ] as const) {
    page.on('pageerror', (error) => console.error(`${self}: ${String(error)}`));
    await page.exposeFunction('relaySignal', async (_to: string, attempt: number, data: unknown) => {
      signals.push([self, attempt]);
      await other.evaluate((from, n, signal) => window.tab.signal(from, n, signal), self, attempt, data);
    });
    await page.goto(url);
    await page.waitForFunction('window.tab !== undefined');
    await page.evaluate(
      (id, refuse) => window.tab.identify(id, refuse),
      self,
      options.refuseTransfer ?? false,
    );
  }
  return { a, b, signals };
}

async function connect({ a, b }: Tabs): Promise<void> {
  await a.evaluate(() => window.tab.connect('peer-b'));
  await b.evaluate(() => window.tab.connect('peer-a'));
  await Promise.all([a, b].map((page) => page.evaluate(() => window.tab.next('open'))));
}

/** Frames of these sizes from `page` to `peer` and back. */
async function echo(page: Page, peer: string, sizes: readonly number[]): Promise<unknown> {
  return await page.evaluate(
    (to, bytes) => {
      window.tab.echo(to, bytes);
      return window.tab.next('echoed');
    },
    peer,
    [...sizes],
  );
}

const intact = (frames: number) => ({ type: 'echoed', frames, wrong: 0 });

describe('links between real tabs', () => {
  it('carries frames of 8 B to 300 KB both ways on channels that the workers own', async () => {
    const tabs = await twoTabs();
    await connect(tabs);
    const both = await Promise.all([echo(tabs.a, 'peer-b', SIZES), echo(tabs.b, 'peer-a', SIZES)]);
    expect(both).toEqual([intact(SIZES.length), intact(SIZES.length)]);
    for (const page of [tabs.a, tabs.b]) {
      expect(await page.evaluate(() => [window.tab.transferred, window.tab.relayed])).toEqual([1, 0]);
    }
  });

  it('relays through the page where a channel cannot be transferred', async () => {
    const tabs = await twoTabs({ refuseTransfer: true });
    await connect(tabs);
    const sizes = [...SIZES, ...SIZES, ...SIZES];
    const both = await Promise.all([echo(tabs.a, 'peer-b', sizes), echo(tabs.b, 'peer-a', sizes)]);
    expect(both).toEqual([intact(sizes.length), intact(sizes.length)]);
    expect(await tabs.a.evaluate(() => [window.tab.transferred, window.tab.relayed])).toEqual([0, 1]);
  });

  it('keeps working while both main threads are blocked 80 ms of every 100', async () => {
    const tabs = await twoTabs();
    await connect(tabs);
    for (const page of [tabs.a, tabs.b]) await page.evaluate(() => window.tab.jank());
    expect(await echo(tabs.a, 'peer-b', Array(100).fill(512))).toEqual(intact(100));
  });

  it('needs nothing of a main thread that stands still', async () => {
    const tabs = await twoTabs();
    await connect(tabs);
    // Tab a waits in a synchronous request that is answered only when its worker has answered 20 frames.
    const standing = new Promise<void>((begun) => {
      onHold = begun;
    });
    const answer = tabs.a.evaluate(() => window.tab.standStill('/hold'));
    await standing;
    expect(await echo(tabs.b, 'peer-a', Array(20).fill(512))).toEqual(intact(20));
    held?.end('released');
    expect(await answer).toBe('released');
  });

  it('notices a tab that closes', async () => {
    const tabs = await twoTabs();
    await connect(tabs);
    await tabs.b.close();
    expect(await tabs.a.evaluate(() => window.tab.next('down'))).toMatchObject({
      type: 'down',
      peer: 'peer-b',
      code: 'LINK_FAILED',
    });
  });

  it('makes a second link after the first was dropped, under the next attempt number', async () => {
    const tabs = await twoTabs();
    await connect(tabs);
    await tabs.b.evaluate(() => window.tab.drop('peer-a'));
    // Told by the channel itself, not by a heartbeat that failed to come.
    expect(await tabs.a.evaluate(() => window.tab.next('down'))).toMatchObject({
      message: expect.not.stringMatching(/silent/),
    });
    await tabs.a.evaluate(() => window.tab.drop('peer-b'));
    await connect(tabs);
    expect(await echo(tabs.b, 'peer-a', SIZES)).toEqual(intact(SIZES.length));
    expect(Math.max(...tabs.signals.map(([, attempt]) => attempt))).toBe(2);
  });
});
