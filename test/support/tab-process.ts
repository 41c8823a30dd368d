import { setTimeout as delay } from 'node:timers/promises';
import type { Browser, Page } from 'puppeteer-core';

interface ProcessInfo {
  readonly id: number;
  readonly type: string;
  readonly cpuTime: number;
}

/** Long enough for the tab's own process to stand out among those that rest. */
const BUSY_MS = 250;

/**
 * The process that runs a tab: the renderer that works while the tab does.
 * @throws when no renderer worked more than the others
 */
export async function processOf(browser: Browser, page: Page): Promise<number> {
  const session = await browser.target().createCDPSession();
  const renderers = async (): Promise<ReadonlyMap<number, number>> => {
    const { processInfo } = (await session.send('SystemInfo.getProcessInfo')) as {
      processInfo: ProcessInfo[];
    };
    return new Map(
      processInfo.filter(({ type }) => type === 'renderer').map(({ id, cpuTime }) => [id, cpuTime]),
    );
  };
  try {
    for (let attempt = 0; attempt < 5; attempt++) {
      const before = await renderers();
      await page.evaluate((ms) => {
        const end = performance.now() + ms;
        while (performance.now() < end);
      }, BUSY_MS);
      const after = await renderers();
      const [busiest, next] = [...after]
        .map(([id, cpuTime]) => ({ id, seconds: cpuTime - (before.get(id) ?? 0) }))
        .sort((a, b) => b.seconds - a.seconds);
      if (busiest !== undefined && busiest.seconds > 1.5 * (next?.seconds ?? 0)) return busiest.id;
      await delay(100);
    }
  } finally {
    await session.detach();
  }
  throw new Error('no renderer worked more than the others; is the machine too busy?');
}
